"""A rule that tells two arms apart by their seeds alone; it knows nothing of what the numbers mean."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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
