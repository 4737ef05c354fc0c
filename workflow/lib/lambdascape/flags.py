"""What can be wrong with a space after an epoch of training."""

from collections.abc import Mapping
from typing import Any

# Columns of the history, 1 where it is so; and in words.
FLAGS = {"collapsed": "the space has collapsed: all tiles lie in one place", "at_rest": "no triplet is active"}
# Mean squared distance of anchors and distant tiles, at most 4: below it all tiles lie in one place.
COLLAPSED_BELOW = 1e-4


def flags_of(row: Mapping[str, Any]) -> dict[str, int]:
    """What is wrong with a space after an epoch, from a row of the history: 0 or 1 for each of `FLAGS`."""
    return {"collapsed": int(row["d_distant"] < COLLAPSED_BELOW), "at_rest": int(row["active_fraction"] == 0)}
