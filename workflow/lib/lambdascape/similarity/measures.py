"""Measures of how much alike two embedding spaces of the same tiles are; the spaces may differ in dimension.

None of them sees a rotation, a reflection, a shift or a common scale. Each is made of parts that are computed once per
space, so that many pairs cost little more than one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from lambdascape.measured import is_one_point

Floats = npt.NDArray[np.float64]
Lists = npt.NDArray[np.integer]
NAN = float("nan")


@dataclass(frozen=True)
class Space:
    """One space, ready to be compared.

    Attributes:
        halves: rows of the first and of the second half, each of shape (tile, dim), less the mean of all tiles.
        flat: whether the tiles do not differ by more than rounding.
    """

    halves: tuple[Floats, Floats]
    flat: bool

    @cached_property
    def means(self) -> tuple[Floats, Floats]:
        """Mean of each half, shape (dim,); missing where a half is empty."""
        first, second = (half.sum(axis=0) / max(len(half), 1) for half in self.halves)
        return first, second

    @cached_property
    def sizes(self) -> tuple[float, float]:
        """Frobenius norm of each half around its own mean; 0 where that is rounding."""
        first, second = (
            float(np.linalg.norm(half - mean)) * (len(half) > 0 and not is_one_point(half))
            for half, mean in zip(self.halves, self.means, strict=True)
        )
        return first, second

    @cached_property
    def squares(self) -> Floats:
        """Squared length of each row, first half first: shape (tile,)."""
        return np.concatenate([(half**2).sum(axis=1) for half in self.halves])

    @cached_property
    def hsic(self) -> float:
        """The estimate of `debiased_hsic` of the space with itself."""
        first, second = self.halves
        return debiased_hsic(first.T @ first + second.T @ second, self.squares, self.squares)


def prepare(embedding: npt.NDArray[np.floating], first_half: npt.NDArray[np.bool_]) -> Space:
    """Make a space ready to be compared.

    Args:
        embedding: shape (tile, dim).
        first_half: shape (tile,), see `summary.halves`; the same for every space.
    """
    x = embedding.astype(np.float64)
    flat = is_one_point(x)
    x = x - x.mean(axis=0)
    return Space((x[first_half], x[~first_half]), flat)


def crosses(first: Space, second: Space) -> tuple[Floats, Floats]:
    """Products Xᵀ Y of both halves, each of shape (dim of the first, dim of the second)."""
    x, y = first.halves, second.halves
    return x[0].T @ y[0], x[1].T @ y[1]


def debiased_hsic(cross: Floats, first_squares: Floats, second_squares: Floats) -> float:
    """Unbiased estimate of the Hilbert-Schmidt independence criterion with linear kernels.

    Song et al. 2012 (JMLR 13, eq. 5): [tr KL + 1ᵀK1 1ᵀL1 / ((n-1)(n-2)) - 2/(n-2) 1ᵀKL1] / (n(n-3)), where K is XXᵀ and
    L is YYᵀ, with diagonals of zeros. The estimate knows no shift, so X and Y may be centred; then K1 = -s with s the
    squared lengths of the rows of X, L1 = -t alike, tr KL = ‖XᵀY‖² - Σst, and no matrix tile × tile is needed.

    Args:
        cross: XᵀY of the centred spaces, shape (dim, dim).
        first_squares: squared lengths of the rows of X, shape (tile,).
        second_squares: those of Y.

    Returns:
        The estimate; NaN with fewer than four tiles.
    """
    n = len(first_squares)
    if n < 4:
        return NAN
    st = float(first_squares @ second_squares)
    sums = float(first_squares.sum() * second_squares.sum())
    return ((cross**2).sum() - st + sums / ((n - 1) * (n - 2)) - 2 * st / (n - 2)) / (n * (n - 3))


def cka(first: Space, second: Space, cross: tuple[Floats, Floats]) -> float:
    """Debiased linear centred kernel alignment.

    HSIC(X, Y) / √(HSIC(X, X) HSIC(Y, Y)) with the estimate of `debiased_hsic` (Nguyen et al. 2010.15327, eq. 3). Unlike
    the biased form, independent spaces have 0 on average, however many dimensions they have.

    Args:
        first: a space.
        second: another one of the same tiles.
        cross: of `crosses`.

    Returns:
        1 for equal spaces, about 0 for independent ones (a little below 0 is possible); NaN where a space is one
        point or too noisy for its own estimate to be above 0.
    """
    own = first.hsic * second.hsic
    if first.flat or second.flat or not (first.hsic > 0 and second.hsic > 0):
        return NAN
    return float(debiased_hsic(cross[0] + cross[1], first.squares, second.squares) / np.sqrt(own))


def procrustes(first: Space, second: Space, cross: tuple[Floats, Floats]) -> float:
    """Procrustes distance, the rotation fitted on one half of the tiles and scored on the other.

    With both halves centred by themselves, Q = UVᵀ from the singular vectors of X₁ᵀY₁ turns X₁ onto Y₁ (Schönemann
    1966), and 1 - tr(Qᵀ X₂ᵀY₂) / (‖X₂‖ ‖Y₂‖) is half the squared distance of X₂Q and Y₂, each scaled to Frobenius norm
    1. The mean over both ways round. Where dimensions differ, the smaller space gets dimensions of zeros. Scored on the
    tiles of the fit, many dimensions would make any two spaces look alike.

    Args:
        first: a space.
        second: another one of the same tiles.
        cross: of `crosses`.

    Returns:
        0 (equal but for rotation, shift and scale), about 1 for unrelated spaces, at most 2; NaN where a half is
        empty or a space, or its half, is one point.
    """
    if first.flat or second.flat or not all(first.sizes) or not all(second.sizes):
        return NAN
    centred = [
        product - len(half) * np.outer(m, k)
        for product, half, m, k in zip(cross, first.halves, first.means, second.means, strict=True)
    ]
    distances = []
    for fitted, scored in ((0, 1), (1, 0)):
        u, _, vt = np.linalg.svd(centred[fitted], full_matrices=False)
        overlap = float(((u @ vt) * centred[scored]).sum())
        distances.append(1 - overlap / (first.sizes[scored] * second.sizes[scored]))
    return float(np.mean(distances))


def jaccard_sums(lists: Lists, tiles: int) -> Floats:
    """Jaccard index |A ∩ B| / |A ∪ B| of the neighbours of each tile in each pair of spaces, summed over tiles.

    For one tile, the neighbours in all spaces form a matrix (space, tile) of zeros and ones, and its product with
    itself holds the sizes of all intersections.

    Args:
        lists: row numbers of the k neighbours, shape (space, some of the tiles, k).
        tiles: number of all tiles.

    Returns:
        Shape (space, space).
    """
    spaces, rows, k = lists.shape
    total = np.zeros((spaces, spaces))
    column_of = np.zeros(tiles, np.intp)
    for row in range(rows):
        here = lists[:, row]
        columns = np.flatnonzero(np.bincount(here.ravel(), minlength=tiles))
        column_of[columns] = np.arange(len(columns))
        member = np.zeros((spaces, len(columns)), np.float32)
        member[np.arange(spaces)[:, None], column_of[here]] = 1
        shared = member @ member.T
        total += shared / (2 * k - shared)
    return total


def standard_ranks(values: Floats) -> Floats:
    """Ranks of mean 0 and length 1, so that a product of two is Spearman's correlation; NaN where all are equal."""
    ranks = rankdata(values) - (len(values) + 1) / 2
    length = np.linalg.norm(ranks)
    return ranks / length if length > 0 else np.full(len(ranks), NAN)


def rsa(first: Floats, second: Floats) -> float:
    """Representational similarity: Spearman's correlation of two sets of distances (Kriegeskorte et al. 2008).

    Args:
        first: distances between the means of all pairs of groups in one space, shape (pair,).
        second: the same pairs in the other space.

    Returns:
        -1 to 1; NaN with fewer than two pairs, or where all distances of a space are equal.
    """
    return float(standard_ranks(first) @ standard_ranks(second)) if len(first) > 1 else NAN
