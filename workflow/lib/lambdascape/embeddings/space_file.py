"""The HDF5 file of one space: one row per tile."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.hdf5 import TEXT, about, create, open_checked

TILE_COLUMNS = ("clip", "moment", "session", "node", "fold", "label")
CODED_ROWS = 1 << 16  # texts held at once while they are numbered


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


def read_coded_embeddings(
    path: str | Path, columns: Sequence[str]
) -> tuple[npt.NDArray[np.float32], dict[str, tuple[npt.NDArray[np.intp], list[str]]]]:
    """Read one space with numbers in place of texts: the names of a million tiles never lie in memory at once.

    Args:
        path: a file of `write_embeddings`.
        columns: some of `TILE_COLUMNS`.

    Returns:
        Embedding of shape (tile, dim); for each column the index of each tile's name, shape (tile,), and the different
        names in alphabetical order.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "embeddings") as file:
        return file["embedding"][:], {column: _coded(file[column]) for column in columns}


def read_places(path: str | Path) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Read where the tiles of one space lie: a number for each tile's clip, and its start in the clip in seconds.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "embeddings") as file:
        return _coded(file["clip"])[0], file["start_s"][:]


def _coded(texts: h5py.Dataset) -> tuple[npt.NDArray[np.intp], list[str]]:
    seen: dict[str, int] = {}
    codes = np.empty(len(texts), np.intp)
    for start in range(0, len(texts), CODED_ROWS):
        rows = texts.asstr()[start : start + CODED_ROWS]
        codes[start : start + len(rows)] = [seen.setdefault(text, len(seen)) for text in rows]
    names = sorted(seen)
    place = np.empty(len(names), np.intp)
    place[[seen[name] for name in names]] = np.arange(len(names))
    return place[codes], names
