import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdascape.verdicts import compare

seeds = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("first", "second", "sign"),
    [
        ([3.0, 3.2], [1.0, 1.1], 1),
        ([1.0, 1.1], [3.0, 3.2], -1),
        ([3.0], [1.0], 0),  # one seed: the noise is unknown
        ([3.0, 3.2], [2.9, 3.1], 0),  # greater for each seed, but by less than the spread
        ([3.0, 1.0, 3.0], [1.0, 1.1, 1.0], 0),  # not for each seed
        ([2.0, 2.0], [2.0, 2.0], 0),
        ([np.nan, 3.0], [1.0, 1.0], 0),
    ],
)
def test_one_arm_is_greater_only_for_every_seed_and_beyond_the_spread(first, second, sign):
    assert compare(np.array(first), np.array(second)) == sign


@given(seeds)
def test_comparisons_are_antisymmetric_and_know_no_offset(pairs):
    first, second = np.array(pairs).T
    assert compare(first, second) == -compare(second, first)
