"""Rules that turn numbers of several runs into a verdict; none knows what the numbers mean."""

from itertools import permutations
from math import factorial
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, t

Floats = npt.NDArray[np.float64]
Verdict = Literal["holds", "does not hold", "undecided"]
State = Literal["falling", "rising", "converged", "unclear"]

ROUNDING = 1e-9  # share of a value that is no change
LITTLE = 0.05  # share of a whole below which a difference or a fall counts as little
CONFIDENCE = 0.95  # of the slope of a curve's end
SHORTEST_END = 4  # fewest epochs through which the end of a curve is judged
SHORTEST_CURVE = 2 * SHORTEST_END
FEWEST_PAIRS = 5  # with four, no order of ranks is rarer than 5 %
SIGNIFICANCE = 0.05
EXACT_UP_TO = 8  # pairs whose permutations are all tried
RESAMPLES = 20_000  # permutations tried of more pairs
RANDOM_STREAM = 1953  # seed of those permutations


def compare(first: Floats, second: Floats) -> int:
    """Say which of two arms is greater beyond noise.

    Args:
        first: shape (seed,), values of one arm.
        second: shape (seed,), values of the other for the same seeds.

    Returns:
        1 when `first` is greater for every seed and the gap between the means exceeds the spread, which is
        the largest difference between two seeds of one arm; -1 when `second` is, in the same sense; 0
        otherwise, and with one seed.
    """
    if len(first) < 2:
        return 0
    gap = first - second
    if abs(gap.mean()) > max(np.ptp(first), np.ptp(second)):
        return int((gap > 0).all()) - int((gap < 0).all())
    return 0


def all_or_opposite(signs: list[int]) -> Verdict:
    """Join comparisons: the claim holds when all are 1, does not hold when one is -1."""
    if all(sign == 1 for sign in signs):
        return "holds"
    return "does not hold" if -1 in signs else "undecided"


def nearly_equal(first: Floats, second: Floats) -> int:
    """Say whether two arms differ very little: by at most a twentieth of the mean of both.

    Args:
        first: shape (seed,).
        second: shape (seed,), same seeds.

    Returns:
        1 when they differ by at most that for every seed; -1 when they differ by more for every seed and
        `compare` finds one of them greater; 0 otherwise, and with one seed.
    """
    if len(first) < 2:
        return 0
    gap = np.abs(first - second)
    little = LITTLE * abs(np.concatenate([first, second]).mean())
    if (gap <= little).all():
        return 1
    return -1 if (gap > little).all() and compare(first, second) != 0 else 0


def end_length(epochs: int) -> int:
    """Epochs at the end of a curve through which a line is fitted: a quarter of them, at least four."""
    return max(SHORTEST_END, -(-epochs // 4))


def end_of_curve(values: Floats) -> State:
    """Say whether a curve is still falling at its end.

    A straight line is fitted through the last quarter of the epochs, at least four. The 95 % confidence
    interval of its fall is compared with a twentieth of the whole fall, from the first to the lowest value.

    Args:
        values: shape (epoch,).

    Returns:
        `falling` when the whole interval is above that, `rising` when it is below the same rise, `converged` when
        it lies between them or the curve is flat, `unclear` when it is on both sides, a value is missing, or there
        are fewer than eight epochs.
    """
    if len(values) < SHORTEST_CURVE or not np.isfinite(values).all():
        return "unclear"
    end = values[-end_length(len(values)) :]
    time = np.arange(len(end)) - (len(end) - 1) / 2
    slope = (time * end).sum() / (time**2).sum()
    rest = end - end.mean() - slope * time
    error = np.sqrt((rest**2).sum() / (len(end) - 2) / (time**2).sum())
    error *= t.ppf((1 + CONFIDENCE) / 2, len(end) - 2)
    low, high = (-slope - error) * (len(end) - 1), (-slope + error) * (len(end) - 1)
    little = max(LITTLE * (values[0] - values.min()), ROUNDING * np.abs(values).max())
    if low > little:
        return "falling"
    if high < -little:
        return "rising"
    return "converged" if -little <= low and high <= little else "unclear"


def convergence_epoch(values: Floats) -> float:
    """Epoch from which on a curve stays within a twentieth of its whole fall of its final level.

    The final level is the mean over the last quarter of the epochs, at least four.

    Args:
        values: shape (epoch,).

    Returns:
        1 to the number of epochs; one more than that for a curve that is still falling; NaN when
        `end_of_curve` is rising or unclear.
    """
    state = end_of_curve(values)
    if state != "converged":
        return float(len(values) + 1) if state == "falling" else float("nan")
    level = values[-end_length(len(values)) :].mean()
    above = np.flatnonzero(values - level > LITTLE * (values[0] - values.min()))
    return float(above[-1] + 2 if len(above) else 1)


def rank_correlation(first: Floats, second: Floats) -> tuple[float, float]:
    """Spearman's rank correlation and the two-sided p-value of its permutation test.

    Args:
        first: shape (pair,).
        second: shape (pair,).

    Returns:
        The correlation, -1 to 1, and the share of the permutations of one side whose correlation is at least
        as far from 0: of all of them up to eight pairs, otherwise of 20,000 drawn ones and the order found.
        NaN and 1 when one side is constant.
    """
    n = len(first)
    a, b = rankdata(first), rankdata(second)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    if scale == 0:
        return float("nan"), 1.0
    found = float((a * b).sum() / scale)
    if factorial(n) <= factorial(EXACT_UP_TO):
        orders = np.array(list(permutations(range(n))))
        known = 0
    else:
        orders = np.random.default_rng([RANDOM_STREAM]).permuted(np.tile(np.arange(n), (RESAMPLES, 1)), axis=1)
        known = 1
    as_far = np.abs(a[orders] @ b / scale) >= abs(found) - 1e-12
    return found, float((as_far.sum() + known) / (len(orders) + known))
