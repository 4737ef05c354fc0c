"""The spaces that are looked at side by side, and the tiles that all of them hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.embeddings.space_file import read_embeddings
from lambdascape.study.run_table import mapped_runs, read_sweep

MICROSECONDS = 1_000_000  # starts are compared as whole numbers of them


@dataclass(frozen=True)
class ShownSpace:
    """One space that is shown.

    Attributes:
        run: its name.
        words: how the report calls it: one seed stands for each value.
        path: its file of embeddings.
    """

    run: str
    words: str
    path: Path

    def read(self) -> tuple[npt.NDArray[np.float32], pd.DataFrame]:
        """Embedding of shape (tile, dim), and one row per tile: `space_file.TILE_COLUMNS` and `start_s`."""
        embedding, tiles, _ = read_embeddings(self.path)
        return embedding, tiles


def shown_spaces(runs: str | Path, embeddings: Sequence[str | Path], names: Sequence[str]) -> list[ShownSpace]:
    """The first run of each value of the axis, then the first of each baseline, in the order of the figures.

    Args:
        runs: runs.tsv.
        embeddings: HDF5 files of spaces.
        names: the space of each file, in the same order.
    """
    where = dict(zip(names, embeddings, strict=True))
    mapped = mapped_runs(read_sweep(runs))
    return [ShownSpace(run, words.replace("\n", ", "), Path(where[run])) for run, words in mapped if run in where]


def place_of(tiles: pd.DataFrame) -> pd.MultiIndex:
    """What names a tile in every space: its clip and its start, in microseconds."""
    return pd.MultiIndex.from_arrays(
        [tiles["clip"].to_numpy(object), np.round(tiles["start_s"].to_numpy(float) * MICROSECONDS).astype(np.int64)]
    )


def common_tiles(spaces: Sequence[ShownSpace]) -> pd.DataFrame:
    """The tiles that every space holds, as the first space lists them: spaces of other tile lengths share few.

    Raises:
        InputError: there is none.
    """
    tables = (space.read()[1] for space in spaces)
    first = next(tables)
    places: Iterator[pd.MultiIndex] = map(place_of, tables)
    shared = reduce(lambda known, other: known[known.isin(other)], places, place_of(first))
    if not len(shared):
        raise InputError("the spaces must share tiles to be shown side by side; they share none")
    return first[place_of(first).isin(shared)].reset_index(drop=True)


def rows_of(points: pd.DataFrame, tiles: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Row of each point in a space's table of tiles, shape (point,).

    Raises:
        InputError: the space lacks a point.
    """
    rows = place_of(tiles).get_indexer(place_of(points))
    if (rows < 0).any():
        lost = points.iloc[int(np.argmax(rows < 0))]
        raise InputError(f"a space must hold every point; it lacks clip {lost['clip']!r} at {lost['start_s']:g} s")
    return rows
