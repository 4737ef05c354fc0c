"""Every space against every other."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.files import write_table
from lambdascape.similarity.measures import Floats, Space, cka, jaccard_sums, prepare, procrustes, standard_ranks
from lambdascape.similarity.summary import SCHEMA, Summary, read_summary
from lambdascape.store import open_checked

KS = (10, 100)
MEASURES = ("procrustes", "cka", "jaccard_10", "jaccard_100", "rsa")
COLUMNS = 1024  # dimensions of the spaces held side by side
CELLS = 1 << 22  # neighbours read at once
Matrices = dict[str, Floats]


def compare_spaces(names: Sequence[str], summaries: Sequence[str | Path], output: str | Path) -> None:
    """Compare every pair of spaces.

    Spaces are compared on the same tiles; between spaces of different tiles, as when the length of a tile is swept,
    every measure is missing.

    Args:
        names: of the spaces.
        summaries: for each its file of `summary.summarise_space`.
        output: table first, second, measure (procrustes | cka | jaccard_10 | jaccard_100 | rsa), value; each pair once,
            in the order of `names`.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_checked(path, SCHEMA)) for path in summaries]
        read = [read_summary(file) for file in files]
        found = {measure: np.full((len(names), len(names)), np.nan) for measure in MEASURES}
        for group in _same_tiles(read):
            for measure, values in compare([read[i] for i in group]).items():
                found[measure][np.ix_(group, group)] = values
    rows = [
        (names[i], names[j], measure, found[measure][i, j])
        for i, j in combinations(range(len(names)), 2)
        for measure in MEASURES
    ]
    write_table(pd.DataFrame(rows, columns=["first", "second", "measure", "value"]), output)


def _same_tiles(read: Sequence[Summary]) -> list[list[int]]:
    """Numbers of the spaces with the same tiles, group by group."""
    groups: dict[str, list[int]] = {}
    for number, summary in enumerate(read):
        groups.setdefault(summary.tiles, []).append(number)
    return list(groups.values())


def compare(spaces: Sequence[Summary]) -> Matrices:
    """All measures of all pairs of spaces over the same tiles: shape (space, space), the upper triangle filled."""
    ranks = np.array([standard_ranks(space.distances) for space in spaces])
    found = _linear(spaces) | {"rsa": ranks @ ranks.T if ranks.shape[1] > 1 else np.full((len(spaces),) * 2, np.nan)}
    return found | {f"jaccard_{k}": _jaccard(spaces, k) for k in KS}


def _linear(spaces: Sequence[Summary]) -> Matrices:
    """CKA and Procrustes, a block of spaces against another at a time, so that memory stays bounded."""
    found = {measure: np.full((len(spaces), len(spaces)), np.nan) for measure in ("cka", "procrustes")}
    blocks = list(_blocks([space.embedding.shape[1] for space in spaces]))
    for number, rows in enumerate(blocks):
        left = {i: prepare(spaces[i].embedding, spaces[i].first_half) for i in rows}
        for columns in blocks[number:]:
            right = {j: left[j] if j in left else prepare(spaces[j].embedding, spaces[j].first_half) for j in columns}
            for (i, j), cross in _block_crosses(left, right):
                found["cka"][i, j] = cka(left[i], right[j], cross)
                found["procrustes"][i, j] = procrustes(left[i], right[j], cross)
    return found


def _blocks(dims: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of consecutive spaces with at most `COLUMNS` dimensions together, but at least one space."""
    block: list[int] = []
    for number, dim in enumerate(dims):
        if block and sum(dims[i] for i in block) + dim > COLUMNS:
            yield block
            block = []
        block.append(number)
    if block:
        yield block


def _block_crosses(
    left: dict[int, Space], right: dict[int, Space]
) -> Iterator[tuple[tuple[int, int], tuple[Floats, Floats]]]:
    """What `measures.crosses` gives for each pair of the blocks, by one large product for each half."""
    products = [
        np.hstack([space.halves[half] for space in left.values()]).T
        @ np.hstack([space.halves[half] for space in right.values()])
        for half in (0, 1)
    ]
    for i, rows in _places(left):
        for j, columns in _places(right):
            if i < j:
                yield (i, j), (products[0][rows, columns], products[1][rows, columns])


def _places(block: dict[int, Space]) -> Iterator[tuple[int, slice]]:
    """Where the dimensions of each space of a block stand side by side."""
    start = 0
    for number, space in block.items():
        stop = start + len(space.means[0])
        yield number, slice(start, stop)
        start = stop


def _jaccard(spaces: Sequence[Summary], k: int) -> Floats:
    """Mean Jaccard index of the k nearest neighbours; missing for spaces in which a tile has fewer."""
    found = np.full((len(spaces), len(spaces)), np.nan)
    enough = [i for i, space in enumerate(spaces) if space.neighbours.shape[1] >= k]
    tiles = len(spaces[0].embedding)
    total = np.zeros((len(enough), len(enough)))
    rows = max(1, CELLS // (len(spaces) * k))
    for start in range(0, tiles, rows):
        parts = [spaces[i].neighbours[start : start + rows, :k] for i in enough]
        total += jaccard_sums(np.stack(parts), tiles) if parts else 0.0
    found[np.ix_(enough, enough)] = total / tiles
    return found
