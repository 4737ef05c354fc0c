"""The spaces over the same tiles, which measures compare two by two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lambdascape.similarity.measures import (
    ComparedSpace,
    Cross,
    Floats,
    Lists,
    cka,
    hsic,
    prepare,
    procrustes,
    session_overlaps,
)
from lambdascape.similarity.null_distribution import null_of_cka
from lambdascape.similarity.space_summary import Summary

NULLS = ("null_mean", "null_95")  # of CKA
COLUMNS = 1024  # dimensions of the spaces held side by side
SHARED = 2  # classes that both halves must hold, where there are so many
Matrices = dict[str, Floats]


@dataclass(frozen=True)
class SpaceGroup:
    """Spaces over the same tiles.

    Attributes:
        spaces: their summaries; `session`, `moment`, `label` and `first_half` are the same in all of them.
    """

    spaces: Sequence[Summary]

    def empty(self) -> Floats:
        """A matrix of missing values, shape (space, space)."""
        return np.full((len(self.spaces), len(self.spaces)), np.nan)

    @cached_property
    def linear(self) -> Matrices:
        """Matrices of what products of two spaces give: `cka`, `procrustes` and the null of CKA, `NULLS`."""
        return _linear(self.spaces)


def shared_classes(first_half: npt.NDArray[np.bool_], label: Lists) -> tuple[int, int]:
    """How many classes have tiles in both halves, and how many there are.

    Args:
        first_half: shape (tile,).
        label: number of the label of each tile, shape (tile,).
    """
    both = np.intersect1d(label[first_half], label[~first_half])
    return len(both), len(np.unique(label))


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
