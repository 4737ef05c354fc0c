"""The history as TensorBoard's event files, for those who watch a training."""

import shutil
from pathlib import Path
from typing import Any


class Board:
    """Event files of one run, one folder for each split, written on as the training goes on.

    Args:
        folder: of the event files; what an earlier call left there is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, Any] = {}
        self.shown = 0
        shutil.rmtree(folder, ignore_errors=True)

    def show(self, history: list[dict[str, Any]]) -> None:
        """Write the rows of a history that are not shown yet: every number of each, at its epoch."""
        import tensorflow as tf

        for row in history[self.shown :]:
            writer = self._writer(row["split"])
            with writer.as_default(step=row["epoch"]):
                for name, value in row.items():
                    if isinstance(value, float):
                        tf.summary.scalar(name, value)
            writer.flush()
        self.shown = len(history)

    def _writer(self, split: str) -> Any:
        import tensorflow as tf

        if split not in self.writers:
            self.writers[split] = tf.summary.create_file_writer(str(self.folder / split))
        return self.writers[split]
