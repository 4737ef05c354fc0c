"""The history as TensorBoard's event files, for those who watch a training."""

import shutil
import time
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
            numbers = [
                tf.compat.v1.Summary.Value(tag=name, simple_value=value)
                for name, value in row.items()
                if isinstance(value, float)
            ]
            event = tf.compat.v1.Event(
                wall_time=time.time(), step=row["epoch"], summary=tf.compat.v1.Summary(value=numbers)
            )
            writer = self._writer(row["split"])
            writer.write(event.SerializeToString())
            writer.flush()
        self.shown = len(history)

    def _writer(self, split: str) -> Any:
        import tensorflow as tf

        if split not in self.writers:
            (self.folder / split).mkdir(parents=True)
            self.writers[split] = tf.io.TFRecordWriter(str(self.folder / split / "events.out.tfevents.lambdascape"))
        return self.writers[split]
