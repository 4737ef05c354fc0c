"""Small feature stores, as `consolidate` writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lambdascape.core import hdf5
from lambdascape.features import store


def write_store(
    path: str | Path, frames: npt.ArrayLike, clip_start: npt.ArrayLike, clips: Sequence[str], about: dict[str, Any]
) -> None:
    """Write frames of shape (frame, mel) as a store."""
    stored = np.asarray(frames, np.float16)
    with hdf5.create(path, "features", about) as file:
        file["frames"] = stored
        store.write_index(file, clip_start, clips, store.crcs_of(stored, clip_start))
