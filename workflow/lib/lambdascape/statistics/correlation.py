"""Rank correlation of two measures over runs, within strata, with a permutation test and an interval."""

from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

Floats = npt.NDArray[np.float64]

FEWEST_FOR_INTERVAL = 4  # pairs
EXACT_UP_TO = 8  # all permutations are tried where there are no more than those of so many pairs
RESAMPLES = 20_000  # permutations drawn where there are more
RANDOM_STREAM = 1953  # seed of those permutations


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes:
        rho: -1 to 1.
        p: two-sided p-value of the permutation test: the share of the orders that are at least as far from 0.
        low: low end of the interval; NaN with fewer than four pairs.
        high: its high end.
        pairs: pairs that it rests on, less one for each stratum beyond the first.
        rarest: the p-value of a perfect order, below which none can be.
    """

    rho: float
    p: float
    low: float
    high: float
    pairs: int
    rarest: float


def rank_correlation(first: Floats, second: Floats, strata: npt.NDArray, confidence: float) -> Correlation:
    """Spearman's rank correlation, within strata where there are several, and its permutation test.

    Ranks are taken within each stratum and less their mean there, so that what parts the strata plays no part. The
    interval is that of Fisher's z with the variance of Bonett & Wright (2000), where each further stratum costs
    one pair; a perfect order is first moved half a swap of neighbours towards 0, since it tells no more.

    Args:
        first: shape (pair,).
        second: shape (pair,).
        strata: shape (pair,); pairs are exchanged within a stratum only.
        confidence: of the interval, above 0 and below 1.

    Returns:
        The correlation; NaN, with p = 1, when one side is constant in every stratum.
    """
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    a, b = np.empty(len(first)), np.empty(len(first))
    for rows in members:
        a[rows] = rankdata(first[rows]) - (len(rows) + 1) / 2
        b[rows] = rankdata(second[rows]) - (len(rows) + 1) / 2
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    rarest = min(1.0, 2 / prod(factorial(len(rows)) for rows in members))
    pairs = len(first) - len(members) + 1
    if scale == 0:
        return Correlation(float("nan"), 1.0, float("nan"), float("nan"), pairs, rarest)
    found = float((a * b).sum() / scale)
    orders, known = _orders(members)
    as_far = np.abs(a[orders] @ b / scale) >= abs(found) - 1e-12
    p = float((as_far.sum() + known) / (len(orders) + known))
    return Correlation(found, p, *_fisher(found, pairs, confidence), pairs, rarest)


def _orders(members: list[npt.NDArray[np.intp]]) -> tuple[npt.NDArray[np.intp], int]:
    """Orders of the pairs within their strata, shape (order, pair), and how often the one found counts beside them."""
    count = sum(map(len, members))
    if prod(factorial(len(rows)) for rows in members) <= factorial(EXACT_UP_TO):
        chosen = list(product(*(permutations(rows) for rows in members)))
        orders = np.empty((len(chosen), count), np.intp)
        for number, parts in enumerate(chosen):
            for rows, order in zip(members, parts, strict=True):
                orders[number, rows] = order
        return orders, 0
    rng = np.random.default_rng([RANDOM_STREAM])
    orders = np.empty((RESAMPLES, count), np.intp)
    for rows in members:
        orders[:, rows] = rng.permuted(np.tile(rows, (RESAMPLES, 1)), axis=1)
    return orders, 1


def _fisher(found: float, pairs: int, confidence: float) -> tuple[float, float]:
    """The interval of a rank correlation, NaN with fewer than four pairs."""
    if pairs < FEWEST_FOR_INTERVAL:
        return float("nan"), float("nan")
    most = 1 - 6 / (pairs * (pairs**2 - 1))
    held = min(max(found, -most), most)
    width = norm.ppf((1 + confidence) / 2) * np.sqrt((1 + held**2 / 2) / (pairs - 3))
    return float(np.tanh(np.arctanh(held) - width)), float(np.tanh(np.arctanh(held) + width))


def detectable_correlation(pairs: int, confidence: float, power: float) -> float:
    """The smallest rank correlation that would have been seen with probability `power`; NaN with fewer than four pairs.

    By Fisher's z with the variance 1 / (pairs - 3), that of no correlation; `confidence` is that of its interval.
    """
    if pairs < FEWEST_FOR_INTERVAL:
        return float("nan")
    return float(np.tanh((norm.ppf((1 + confidence) / 2) + norm.ppf(power)) / np.sqrt(pairs - 3)))
