"""Nearest neighbours of every tile among those of other groups, exact, in bounded memory."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lambdascape.core.errors import InputError

Codes = npt.NDArray[np.intp]

CELLS = 1 << 23  # entries of the matrix tile × tile held at once: 32 MB of float32
BLOCK = 16  # columns of which the largest is looked at first


def row_chunks(tiles: int) -> Iterator[slice]:
    """Slices that cut the rows of a matrix tile × tile into parts of at most `CELLS` entries."""
    rows = max(1, CELLS // max(tiles, 1))
    return (slice(start, min(start + rows, tiles)) for start in range(0, tiles, rows))


def most_neighbours(group: Codes) -> int:
    """How many neighbours every tile has outside its own group, shape (tile,); 0 without tiles."""
    return len(group) - int(np.bincount(group).max()) if len(group) else 0


def nearest(points: npt.NDArray[np.float64], count: int, group: Codes) -> npt.NDArray[np.int32]:
    """Find the nearest tiles outside each tile's own group, by Euclidean distance.

    On points of length 1 that is the order of their cosines. Distances are compared in float32, after the mean has
    been taken off.

    Args:
        points: shape (tile, dim).
        count: neighbours of each tile, from 1 to `most_neighbours(group)`.
        group: shape (tile,), from 0; tiles of one group are not each other's neighbours.

    Returns:
        Row numbers of shape (tile, count), the nearest first.

    Raises:
        InputError: a tile has fewer neighbours than that.
    """
    if not 1 <= count <= most_neighbours(group):
        raise InputError(f"neighbours to find must be 1 to {most_neighbours(group)}; got {count}")
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group))
    x = (points - points.mean(axis=0))[order].astype(np.float32)
    half_squares = np.square(x).sum(axis=1) / 2
    found = np.empty((len(x), count), np.int32)
    for rows in row_chunks(len(x)):
        closeness = x[rows] @ x.T  # (row, tile)
        closeness -= half_squares  # falls as |x - y|² grows
        for own in range(group[order[rows.start]], group[order[rows.stop - 1]] + 1):
            start = ends[own - 1] if own else 0
            closeness[max(start - rows.start, 0) : max(ends[own] - rows.start, 0), start : ends[own]] = -np.inf
        found[rows] = _largest(closeness, count)
    result = np.empty_like(found)
    result[order] = order[found]
    return result


def _largest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Columns of the largest values of each row, largest first.

    At least `count` values of a row reach the `count`-th largest of the maxima of its blocks, and hardly more do:
    only those need sorting.
    """
    rows, columns = values.shape
    whole = columns - columns % BLOCK
    maxima = values[:, :whole].reshape(rows, -1, BLOCK).max(axis=2)
    if maxima.shape[1] < count:
        return np.argsort(-values, axis=1, kind="stable")[:, :count]
    bar = np.partition(maxima, -count, axis=1)[:, -count]
    row, column = np.divmod(np.flatnonzero(values >= bar[:, None]), columns)
    sizes = np.bincount(row, minlength=rows)
    place = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    candidates = np.full((rows, sizes.max()), -np.inf, np.float32)
    candidates[row, place] = values[row, column]
    where = np.zeros(candidates.shape, np.intp)
    where[row, place] = column
    best = np.argsort(-candidates, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(where, best, axis=1)
