"""Small feature stores, as `consolidate` writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core import hdf5
from lambdascape.core.tsv import write_table
from lambdascape.features import store

RECIPE = {"sr": 1000, "win_length": 20, "hop_length": 10, "n_mels": 16}


def write_store(
    path: str | Path, frames: npt.ArrayLike, clip_start: npt.ArrayLike, clips: Sequence[str], about: dict[str, Any]
) -> None:
    stored = np.asarray(frames, np.float16)
    with hdf5.create(path, "features", about) as file:
        file["frames"] = stored
        store.write_index(file, clip_start, clips, store.crcs_of(stored, clip_start))


def write_clips(folder: Path, count: int, held_out: int, tone: float = 1.0) -> tuple[Path, Path]:
    """A store of so many clips of 119 frames, two to a session, and their manifest; the last are in fold b.

    Args:
        folder: where `features.h5` and `clips.tsv` are made.
        count: of all clips.
        held_out: of those in fold b; the others are in fold a.
        tone: size of what the frames of one clip have in common, beside noise of size 1.
    """
    names, rng = [f"clip{i:02d}" for i in range(count)], np.random.default_rng(3)
    common = np.repeat(rng.normal(size=(count, 1, 16)), 119, axis=1)
    frames = (tone * common + rng.normal(size=(count, 119, 16))).reshape(-1, 16)
    write_store(folder / "features.h5", frames, np.arange(count + 1) * 119, names, {"recipe": RECIPE})
    columns = {
        "clip": names,
        "moment": names,
        "session": [f"s{i // 2}" for i in range(count)],
        "node": "",
        "label": "x",
    }
    table = pd.DataFrame(columns | {"fold": ["a"] * (count - held_out) + ["b"] * held_out})
    write_table(table, folder / "clips.tsv")
    return folder / "features.h5", folder / "clips.tsv"
