"""How a curve over epochs ends: still falling, converged, and since when."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import t

Floats = npt.NDArray[np.float64]
State = Literal["falling", "rising", "converged", "unclear"]

ROUNDING = 1e-9  # share of a value that is no change
LITTLE = 0.05  # share of the whole fall below which a fall counts as little
CONFIDENCE = 0.95  # of the slope of a curve's end
SHORTEST_END = 4  # fewest epochs through which the end of a curve is judged
SHORTEST_CURVE = 2 * SHORTEST_END


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
    slope, error, length = _line(values)
    error *= t.ppf((1 + CONFIDENCE) / 2, length - 2)
    low, high = (-slope - error) * (length - 1), (-slope + error) * (length - 1)
    little = max(LITTLE * (values[0] - values.min()), ROUNDING * np.abs(values).max())
    if low > little:
        return "falling"
    if high < -little:
        return "rising"
    return "converged" if -little <= low and high <= little else "unclear"


def _line(values: Floats) -> tuple[float, float, int]:
    """Slope of the line through the end of a curve, its standard error, and the number of epochs."""
    end = values[-end_length(len(values)) :]
    time = np.arange(len(end)) - (len(end) - 1) / 2
    slope = (time * end).sum() / (time**2).sum()
    rest = end - end.mean() - slope * time
    return float(slope), float(np.sqrt((rest**2).sum() / (len(end) - 2) / (time**2).sum())), len(end)


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


def share_still_falling(values: Floats) -> float:
    """How much of its whole fall a curve falls along its end, by the line through the last quarter of the epochs.

    Args:
        values: shape (epoch,), at least `SHORTEST_CURVE`.

    Returns:
        At most 1 for a curve that is not rough, below 0 for one that rises at its end, 0 for a flat one; NaN where a
        value is missing.
    """
    if not np.isfinite(values).all():
        return float("nan")
    whole = values[0] - values.min()
    slope, _, length = _line(values)
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return 0.0
    return float(-slope * (length - 1) / max(whole, LITTLE * np.ptp(values)))
