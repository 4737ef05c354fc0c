"""Measures of how much alike two embedding spaces of the same tiles are; the spaces may differ in dimension.

None of them sees a rotation, a reflection, a shift or a common scale. Each is made of parts that are computed once per
space, so that many pairs cost little more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from lambdascape.core.vectors import is_one_point

Floats = npt.NDArray[np.float64]
Lists = npt.NDArray[np.integer]
NAN = float("nan")
ROUNDING = 1e-12  # share of what HSIC is the difference of
CELLS = 1 << 24  # products of two tiles held at once


@dataclass(frozen=True)
class ComparedSpace:
    """One space, ready to be compared. Its centre is the mean of the sessions' means.

    Attributes:
        halves: rows of the first and of the second half, each of shape (tile, dim), less the centre.
        sessions: number of the session of each row of the halves, from 0 without gaps: shapes (tile,).
        session_means: mean of each session less the centre, shape (session, dim).
        flat: whether the tiles do not differ by more than rounding.
    """

    halves: tuple[Floats, Floats]
    sessions: tuple[Lists, Lists]
    session_means: Floats
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
    def weights(self) -> tuple[Floats, Floats]:
        """One over the number of tiles of its session, for each row of the halves: shapes (tile,)."""
        first, second = self.sessions
        count = np.bincount(np.concatenate(self.sessions), minlength=len(self.session_means))
        return 1 / count[first], 1 / count[second]

    @cached_property
    def squares(self) -> Floats:
        """Squared length of each session's mean, shape (session,)."""
        return (self.session_means**2).sum(axis=1)

    @cached_property
    def pulls(self) -> Floats:
        """Product of each row with the mean of its session, over the root of the session's size: shape (tile,)."""
        return np.concatenate([
            (half * self.session_means[session]).sum(axis=1) * np.sqrt(weight)
            for half, session, weight in zip(self.halves, self.sessions, self.weights, strict=True)
        ])  # fmt: skip


@dataclass(frozen=True)
class Cross:
    """What two spaces X and Y of the same tiles share.

    Attributes:
        halves: products Xᵀ Y of both halves, each of shape (dim of X, dim of Y).
        sessions: Σₛ Aₛ, the sum over sessions of Aₛ = XₛᵀYₛ / (tiles of the session), of the same shape.
        within: Σₛ ‖Aₛ‖², see `session_overlaps`.
    """

    halves: tuple[Floats, Floats]
    sessions: Floats
    within: float


def prepare(embedding: npt.NDArray[np.floating], first_half: npt.NDArray[np.bool_], session: Lists) -> ComparedSpace:
    """Make a space ready to be compared.

    Args:
        embedding: shape (tile, dim).
        first_half: shape (tile,), see `space_summary.halves`; the same for every space.
        session: number of the session of each tile, from 0 without gaps, shape (tile,); the same for every space.
    """
    x = embedding.astype(np.float64)
    means = session_means(x, session)
    centre = means.mean(axis=0)
    x, flat = x - centre, is_one_point(x)
    halves = (x[first_half], x[~first_half])
    return ComparedSpace(halves, (session[first_half], session[~first_half]), means - centre, flat)


def session_means(embedding: Floats, session: Lists) -> Floats:
    """Mean of the tiles, shape (tile, dim), of each session: shape (session, dim)."""
    order = np.argsort(session, kind="stable")
    count = np.bincount(session)
    return np.add.reduceat(embedding[order], np.cumsum(count) - count) / count[:, None]


def crosses(first: ComparedSpace, second: ComparedSpace) -> Cross:
    """What two spaces of the same tiles share; `space_group` finds the same for many pairs at once."""
    x, y = first.halves, second.halves
    session, rows = np.concatenate(first.sessions), [np.concatenate(x), np.concatenate(y)]
    weighted = [(half * weight[:, None]).T for half, weight in zip(x, first.weights, strict=True)]
    within = float(session_overlaps(rows, session)[0, 1])
    return Cross((x[0].T @ y[0], x[1].T @ y[1]), weighted[0] @ y[0] + weighted[1] @ y[1], within)


def session_overlaps(embeddings: Sequence[npt.NDArray[np.floating]], session: Lists) -> Floats:
    """Σₛ ‖Aₛ‖² for each pair of spaces, with Aₛ = XₛᵀYₛ / c the mean product of the c tiles of session s.

    Found as Σₛ ⟨XₛXₛᵀ, YₛYₛᵀ⟩ / c²: the products of the tiles of a session are made once per space, and a pair costs
    one scalar product of them. Sessions of one size are taken together, large ones in parts: memory stays bounded.

    Args:
        embeddings: of each space, shape (tile, dim).
        session: number of the session of each tile, from 0 without gaps, shape (tile,).

    Returns:
        Shape (space, space); each space is centred by the mean of its sessions' means.
    """
    spaces, total = len(embeddings), np.zeros((len(embeddings),) * 2)
    centres = [session_means(x.astype(np.float64), session).mean(axis=0) for x in embeddings]
    order, count = np.argsort(session, kind="stable"), np.bincount(session)
    starts = np.cumsum(count) - count
    for size in np.unique(count):
        rows = order[starts[count == size][:, None] + np.arange(size)]  # (session, tile)
        for some in np.array_split(rows, min(len(rows), -(-spaces * rows.size * size // CELLS))):
            for part in np.array_split(some, min(size, -(-spaces * some.size * size // CELLS)), axis=1):
                products = [
                    ((x[part].astype(np.float64) - centre) @ (x[some].astype(np.float64) - centre).transpose(0, 2, 1))
                    for x, centre in zip(embeddings, centres, strict=True)
                ]
                flat = np.stack([product.ravel() for product in products]) / size
                total += flat @ flat.T
    return total


def hsic(first: ComparedSpace, second: ComparedSpace, cross: Cross) -> float:
    """Hilbert-Schmidt independence criterion with linear kernels, estimated from tiles of different sessions only.

    The unbiased estimate of Song et al. 2012 (JMLR 13, eq. 5) is the mean of K(i,j) [L(i,j) + L(q,r) - 2 L(i,q)] over
    all four different rows i, j, q, r, with K = XXᵀ and L = YYᵀ. It assumes independent rows, and tiles of one session
    are not: every pair of them is alike in both spaces, whatever these share. Here i, j, q, r are one tile of each of
    four different sessions, all sessions counting alike and all tiles of a session alike. So the estimate is 0 on
    average where the sessions are independent and the two spaces unrelated, however tiles are nested inside sessions.
    With one tile a session it is Song's. Classes are not taken out: spaces that both keep them apart are related.

    In closed form, with S sessions, session means x̄ₛ and ȳₛ that sum to 0, Aₛ = XₛᵀYₛ / cₛ, M = ΣAₛ, C = Σx̄ₛȳₛᵀ,
    aₛ = ‖x̄ₛ‖² and bₛ = ‖ȳₛ‖²::

        P₁ = ‖M‖² - Σ‖Aₛ‖²                       (pairs of sessions)
        P₂ = Σa Σb - 6 Σab + 2 ‖C‖²              (quadruples)
        P₃ = 2 Σ x̄ₛᵀAₛȳₛ - ⟨M, C⟩                 (triples)
        HSIC = P₁ / S(S-1) + P₂ / S(S-1)(S-2)(S-3) - 2 P₃ / S(S-1)(S-2)

    A shift of a space changes nothing: K(i,j) then changes by u(i) + u(j), and the means of u(i) times the bracket
    cancel, since every session counts alike in all three sums. So centring brings no bias, with few sessions neither.

    Args:
        first: the space X.
        second: the space Y of the same tiles.
        cross: of `crosses`.

    Returns:
        The estimate, at least 0 for a space with itself, and exactly 0 where it is rounding; NaN with fewer than four
        sessions, or where a space is one point.
    """
    s = len(first.session_means)
    if s < 4 or first.flat or second.flat:
        return NAN
    product = first.session_means.T @ second.session_means
    squares = float(first.squares @ second.squares)
    pairs = (cross.sessions**2).sum() - cross.within
    quadruples = first.squares.sum() * second.squares.sum() - 6 * squares + 2 * (product**2).sum()
    triples = 2 * float(first.pulls @ second.pulls) - (cross.sessions * product).sum()
    found = pairs + quadruples / ((s - 2) * (s - 3)) - 2 * triples / (s - 2)
    rounding = ROUNDING * np.linalg.norm(first.squares) * np.linalg.norm(second.squares)
    return float(found / (s * (s - 1))) if abs(found) > rounding else 0.0


def cka(hsics: Floats) -> Floats:
    """Debiased linear centred kernel alignment HSIC(X, Y) / √(HSIC(X, X) HSIC(Y, Y)) of each pair of spaces.

    With the estimate `hsic` in all three places (Nguyen et al. 2010.15327, eq. 3, with sessions in place of rows).
    Values lie between -1 and 1: for one tile of each session, `hsic` is the scalar product of two U-centred kernels
    (Székely & Rizzo 2014, Annals of Statistics 42, eq. 3.3), and it is the mean over all choices of these tiles. They
    are not cut at 0: unrelated spaces lie on both sides of it.

    Args:
        hsics: `hsic` of all pairs, shape (space, space), each space with itself on the diagonal.

    Returns:
        Shape (space, space): 1 for equal spaces, about 0 on average for unrelated ones; NaN where the estimate of a
        space with itself is missing or 0, as where all sessions but one lie in the same place.
    """
    own = np.diagonal(hsics)
    root = np.sqrt(np.where(own > 0, own, NAN))
    return hsics / np.outer(root, root)


def procrustes(first: ComparedSpace, second: ComparedSpace, cross: Cross) -> float:
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
        for product, half, m, k in zip(cross.halves, first.halves, first.means, second.means, strict=True)
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
