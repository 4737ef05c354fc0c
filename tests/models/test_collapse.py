"""What is wrong with a space after an epoch."""

import math

import pytest

from lambdascape.models.collapse import flags_of

WELL = {"d_distant": 1.0, "active_fraction": 0.5}


@pytest.mark.finding("A1")
@pytest.mark.parametrize(
    ("ratios", "stale"),
    [([], 0), ([1.0, 1.19, 0.84], 0), ([1.0, 1.21], 1), ([0.83], 1), ([math.nan, 1.0], 0), ([0.0], 1), ([math.inf], 1)],
)
def test_statistics_off_by_more_than_a_fifth_either_way_are_stale(ratios: list[float], stale: int) -> None:
    assert flags_of(WELL, ratios) == {"collapsed": 0, "at_rest": 0, "stale_statistics": stale}


def test_a_space_in_one_place_and_a_loss_without_triplets_are_flagged() -> None:
    assert flags_of({"d_distant": 0.0, "active_fraction": 0.0}) == {"collapsed": 1, "at_rest": 1, "stale_statistics": 0}
