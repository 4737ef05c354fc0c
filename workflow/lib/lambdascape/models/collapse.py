"""What can be wrong with a space after an epoch of training."""

from collections.abc import Iterable, Mapping
from typing import Any

# Columns of the history, 1 where it is so; and in words.
FLAGS = {
    "collapsed": "the space has collapsed: all tiles lie in one place",
    "at_rest": "no triplet is active",
    "stale_statistics": "the statistics of batch normalisation do not fit the weights",
}
# Mean squared distance of anchors and distant tiles, at most 4: below it all tiles lie in one place.
COLLAPSED_BELOW = 1e-4
# Variance in use over that of the weights at hand, or its inverse, in a group of layers.
STALE_ABOVE = 1.2


def flags_of(row: Mapping[str, Any], variance_ratios: Iterable[float] = ()) -> dict[str, int]:
    """What is wrong with a space after an epoch: 0 or 1 for each of `FLAGS`.

    Args:
        row: of the history.
        variance_ratios: of each group of layers, see `batch_statistics.variance_ratios`; NaN where it is not known.
    """
    return {
        "collapsed": int(row["d_distant"] < COLLAPSED_BELOW),
        "at_rest": int(row.get("active_fraction") == 0),  # not every loss has it
        "stale_statistics": int(any(ratio > STALE_ABOVE or ratio < 1 / STALE_ABOVE for ratio in variance_ratios)),
    }
