"""The HDF5 files of the workflow: names, shapes, dtypes and attributes; atomic writing; checking when opened."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.errors import InputError
from lambdascape.files import atomic_path, read_text_table

TEXT = h5py.string_dtype("utf-8")
TILE_COLUMNS = ("clip", "moment", "session", "node", "fold", "label")


@contextmanager
def create(path: str | Path, schema: str, attributes: dict[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that gets its name, and the attribute `complete`, when the block ends well.

    Args:
        path: final name.
        schema: kind of file, checked by `open_checked`.
        attributes: plain values, stored as JSON in the attribute `about`.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        yield file
        file.attrs["schema"] = schema
        file.attrs["about"] = json.dumps(attributes, sort_keys=True)
        file.attrs["complete"] = 1


@contextmanager
def open_checked(path: str | Path, schema: str) -> Iterator[h5py.File]:
    """Yield an HDF5 file opened for reading, after checking that it is complete and of the expected kind.

    Raises:
        InputError: the file is absent, unreadable, of another kind, or was not finished.
    """
    try:
        file = h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise InputError(f"{path}: must be a readable HDF5 file; {error}") from None
    with file:
        found = file.attrs.get("schema")
        if found != schema or "complete" not in file.attrs:
            raise InputError(
                f"{path}: must be a complete file of kind {schema!r}; its kind is {found!r}. Delete it and rerun."
            )
        yield file


def about(file: h5py.File) -> dict[str, Any]:
    """The plain values stored by `create`."""
    return dict(json.loads(str(file.attrs["about"])))


@dataclass(frozen=True)
class Features:
    """All frames of all clips, memory-mapped.

    Attributes:
        frames: shape (frame, mel), float16, natural log of the mel magnitude.
        clip_start: shape (clip + 1,), int64; the frames of clip i are `clip_start[i]:clip_start[i + 1]`.
        clips: clip ids in the order of the manifest.
        about: the recipe's settings and where the file came from.
    """

    frames: npt.NDArray[np.float16]
    clip_start: npt.NDArray[np.int64]
    clips: list[str]
    about: dict[str, Any]

    @property
    def frames_per_second(self) -> float:
        """Frames in a second: sample rate over hop length."""
        recipe = self.about["recipe"]
        return float(recipe["sr"]) / float(recipe["hop_length"])


def open_features(path: str | Path) -> Features:
    """Open a feature store; the frames are mapped, not read, so that jobs on one machine share them.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "features") as file:
        frames = file["frames"]
        offset, shape, dtype = frames.id.get_offset(), frames.shape, frames.dtype
        clip_start = file["clip_start"][:]
        clips = [str(clip) for clip in file["clip"].asstr()[:]]
        values = about(file)
    mapped: Any = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)
    return Features(mapped, clip_start, clips, values)


def read_manifest(path: str | Path, features: Features) -> pd.DataFrame:
    """Read the manifest of the clips in a feature store: row i of the table is clip i of the store.

    Raises:
        InputError: the manifest lists other clips than the store holds, or in another order.
    """
    clips = read_text_table(path)
    if clips["clip"].tolist() != features.clips:
        raise InputError(
            f"{path} must list the clips of the feature store in its order; it does not. Remake the features."
        )
    return clips


def write_embeddings(
    path: str | Path, embedding: npt.NDArray[np.float32], tiles: pd.DataFrame, attributes: dict[str, Any]
) -> None:
    """Write the embeddings of one space, one row per tile.

    Args:
        path: the HDF5 file.
        embedding: shape (tile, dim), float32.
        tiles: one row per tile: the text columns of `TILE_COLUMNS` and `start_s`, the tile's start in its clip in
            seconds.
        attributes: plain values: which space it is and its settings.

    Raises:
        InputError: the numbers of rows differ, or a value is not finite.
    """
    if len(embedding) != len(tiles):
        raise InputError(f"embeddings need one row per tile; got {len(embedding)} rows for {len(tiles)} tiles")
    if not np.isfinite(embedding).all():
        raise InputError(
            f"embeddings must be finite; {path} would hold {(~np.isfinite(embedding)).sum()} values that are not"
        )
    with create(path, "embeddings", attributes) as file:
        file["embedding"] = embedding.astype(np.float32, copy=False)
        for column in TILE_COLUMNS:
            file.create_dataset(column, data=tiles[column].tolist(), dtype=TEXT)
        file["start_s"] = tiles["start_s"].to_numpy(np.float64)


def read_embeddings(path: str | Path) -> tuple[npt.NDArray[np.float32], pd.DataFrame, dict[str, Any]]:
    """Read one space.

    Returns:
        Embedding of shape (tile, dim); a table with `TILE_COLUMNS` and `start_s`, one row per tile; the attributes.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "embeddings") as file:
        columns: dict[str, Any] = {column: file[column].asstr()[:].astype(str) for column in TILE_COLUMNS}
        columns["start_s"] = file["start_s"][:]
        return file["embedding"][:], pd.DataFrame(columns), about(file)
