"""Every space against every other."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.hdf5 import open_checked
from lambdascape.core.tsv import write_table
from lambdascape.core.vectors import is_one_point
from lambdascape.similarity.measures import (
    ComparedSpace,
    Cross,
    Floats,
    Lists,
    cka,
    hsic,
    jaccard_sums,
    prepare,
    procrustes,
    session_overlaps,
    standard_ranks,
)
from lambdascape.similarity.null_distribution import null_of_cka, why_none
from lambdascape.similarity.space_summary import SCHEMA, Summary, read_summary

KS = (10, 100)
MEASURES = ("procrustes", "cka", "jaccard_10", "jaccard_100", "rsa")
NULLS = ("null_mean", "null_95")  # of CKA
COLUMNS = 1024  # dimensions of the spaces held side by side
CELLS = 1 << 22  # neighbours read at once
SHARED = 2  # classes that both halves must hold, where there are so many
Matrices = dict[str, Floats]


def compare_spaces(names: Sequence[str], summaries: Sequence[str | Path], output: str | Path) -> None:
    """Compare every pair of spaces.

    Spaces are compared on the same tiles; between spaces of different tiles, as when the length of a tile is swept,
    every measure is missing.

    Args:
        names: of the spaces.
        summaries: for each its file of `space_summary.summarise_space`.
        output: table first, second, measure (procrustes | cka | jaccard_10 | jaccard_100 | rsa), value, null_mean and
            null_95 (of CKA only: mean and 95th percentile of `null_distribution.null_of_cka`), note (why the value or
            the null is missing, or what the value rests on; empty where there is nothing to say). Each pair once, in
            the order of `names`.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_checked(path, SCHEMA)) for path in summaries]
        read = [read_summary(file) for file in files]
        found = {name: np.full((len(names), len(names)), np.nan) for name in (*MEASURES, *NULLS)}
        for group in _same_tiles(read):
            for name, values in compare([read[i] for i in group]).items():
                found[name][np.ix_(group, group)] = values
        flat = [is_one_point(space.embedding.astype(np.float64)) for space in read]
        rows = [
            [
                *(names[i], names[j], measure, found[measure][i, j]),
                *(found[name][i, j] if measure == "cka" else np.nan for name in NULLS),
                note((read[i], read[j]), measure, found[measure][i, j], flat[i] or flat[j]),
            ]
            for i, j in combinations(range(len(names)), 2)
            for measure in MEASURES
        ]
    write_table(pd.DataFrame(rows, columns=["first", "second", "measure", "value", *NULLS, "note"]), output)


def note(pair: tuple[Summary, Summary], measure: str, value: float, flat: bool) -> str:
    """Why the value of a measure, or its null, is missing, or what the value rests on; empty for nothing to say.

    Args:
        pair: the two spaces.
        measure: one of `MEASURES`.
        value: of the measure.
        flat: whether one of the spaces is one point.
    """
    first, second = pair
    missing = bool(np.isnan(value))
    if missing and first.tiles != second.tiles:
        return "the spaces have other tiles"
    if missing and flat:
        return "a space is one point"
    if measure == "cka" and missing:
        few = first.session.max() < 3
        return "fewer than four sessions" if few else "the sessions of a space do not differ enough: its own HSIC is 0"
    if measure == "cka":
        return why_none(first.session, first.label)
    if measure == "procrustes":
        shared, classes = shared_classes(first.first_half, first.label)
        some = f"{shared} of {classes} classes have sessions in both halves"
        if missing and shared >= min(SHARED, classes):
            return "a half is empty or one point"
        return some if shared < classes else ""
    if missing:
        return "too few groups" if measure == "rsa" else "tiles have fewer neighbours of other moments"
    return ""


def shared_classes(first_half: npt.NDArray[np.bool_], label: Lists) -> tuple[int, int]:
    """How many classes have tiles in both halves, and how many there are.

    Args:
        first_half: shape (tile,).
        label: number of the label of each tile, shape (tile,).
    """
    both = np.intersect1d(label[first_half], label[~first_half])
    return len(both), len(np.unique(label))


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
    """CKA, its null and Procrustes, a block of spaces against another at a time, so that memory stays bounded.

    The rotation of Procrustes is fitted on one half of the sessions and scored on the other. Where the halves hold
    different classes it is scored on directions on which it was not fitted, and spaces seem less alike than they are;
    with fewer than `SHARED` classes in both halves the distance is missing.
    """
    session, moment, label, half = (getattr(spaces[0], name) for name in ("session", "moment", "label", "first_half"))
    shared, classes = shared_classes(half, label)
    found = {name: np.full((len(spaces), len(spaces)), np.nan) for name in ("hsic", "procrustes")}
    within = session_overlaps([space.embedding for space in spaces], session)
    blocks = list(_blocks([space.embedding.shape[1] for space in spaces]))
    for number, rows in enumerate(blocks):
        left = {i: prepare(spaces[i].embedding, half, session) for i in rows}
        for columns in blocks[number:]:
            right = {j: left[j] if j in left else prepare(spaces[j].embedding, half, session) for j in columns}
            for (i, j), cross in _block_crosses(left, right, within):
                found["hsic"][i, j] = hsic(left[i], right[j], cross)
                if i < j and shared >= min(SHARED, classes):
                    found["procrustes"][i, j] = procrustes(left[i], right[j], cross)
    hsics = found.pop("hsic")
    nulls = null_of_cka([space.embedding for space in spaces], np.diagonal(hsics), session, moment, label)
    return found | {"cka": cka(hsics)} | dict(zip(NULLS, nulls, strict=True))


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
    left: dict[int, ComparedSpace], right: dict[int, ComparedSpace], within: Floats
) -> Iterator[tuple[tuple[int, int], Cross]]:
    """What `measures.crosses` gives for each pair of the blocks, a space with itself too, by a few large products."""
    weights = next(iter(left.values())).weights
    sides = [[np.hstack([space.halves[half] for space in side.values()]) for side in (left, right)] for half in (0, 1)]
    products = [rows.T @ columns for rows, columns in sides]
    weighted = [(rows * weight[:, None]).T @ columns for (rows, columns), weight in zip(sides, weights, strict=True)]
    sessions = weighted[0] + weighted[1]
    for i, rows in _places(left):
        for j, columns in _places(right):
            if i <= j:
                halves = (products[0][rows, columns], products[1][rows, columns])
                yield (i, j), Cross(halves, sessions[rows, columns], float(within[i, j]))


def _places(block: dict[int, ComparedSpace]) -> Iterator[tuple[int, slice]]:
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
