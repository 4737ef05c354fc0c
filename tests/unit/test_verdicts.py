import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lambdascape.verdicts import (
    all_or_opposite,
    compare,
    convergence_epoch,
    end_of_curve,
    nearly_equal,
    rank_correlation,
)

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
    assert nearly_equal(first, second) == nearly_equal(second, first)


def test_claims_of_several_comparisons():
    assert all_or_opposite([1, 1]) == "holds"
    assert all_or_opposite([1, 0]) == "undecided"
    assert all_or_opposite([1, -1]) == "does not hold"


@pytest.mark.parametrize(
    ("first", "second", "sign"),
    [
        ([1.00, 1.01], [1.03, 1.02], 1),
        ([1.0, 1.0], [1.3, 1.31], -1),
        ([1.0, 1.3], [1.3, 1.0], 0),  # far apart, but neither is greater
        ([1.0, 1.0], [1.02, 1.3], 0),
        ([1.0], [1.0], 0),
    ],
)
def test_nearly_equal_needs_a_small_difference_for_every_seed(first, second, sign):
    assert nearly_equal(np.array(first), np.array(second)) == sign


def decay(epochs, half_life, noise=0.0, seed=0):
    return 1 + 0.5 ** (np.arange(epochs) / half_life) + noise * np.random.default_rng(seed).normal(size=epochs)


@pytest.mark.parametrize(
    ("curve", "state"),
    [
        (decay(20, 1), "converged"),
        (decay(20, 10), "falling"),
        (np.linspace(2, 1, 8), "falling"),
        (np.linspace(2, 1, 7), "unclear"),  # too short
        (np.linspace(1, 2, 20), "rising"),
        (np.array([2, 1.9, 1.8, 1.9, 2.1, 2.4, 2.8, 3.2, 3.6, 4.0]), "rising"),  # it overfits
        (np.full(20, 0.3), "converged"),
        (np.append(decay(19, 1), np.nan), "unclear"),
        (
            np.concatenate([np.linspace(2, 1.5, 15), [1.0, 1.9, 0.9, 1.8, 1.0]]),
            "unclear",
        ),  # noise hides the slope
    ],
)
def test_end_of_a_curve(curve, state):
    assert end_of_curve(curve) == state


@given(st.floats(0.1, 100), st.floats(-50, 50), st.integers(1, 12))
def test_end_of_a_curve_knows_neither_unit_nor_offset(scale, offset, half_life):
    curve = decay(24, half_life, noise=0.01)
    assert end_of_curve(scale * curve + offset) == end_of_curve(curve)


def test_line_through_the_end_agrees_with_numpy():
    # 20 epochs: the last 5. Its slope decides, so curves just above and below 5 % of the whole fall differ.
    curve = np.concatenate([np.linspace(2, 1.1, 15), np.full(5, 1.0)])
    for fall, state in ((0.049, "converged"), (0.06, "falling")):
        curve[15:] = 1 + fall * np.linspace(1, 0, 5)
        slope = np.polyfit(range(5), curve[15:], 1)[0]
        assert (-4 * slope > 0.05 * (curve[0] - curve.min())) == (state == "falling")
        assert end_of_curve(curve) == state


def test_convergence_epoch_is_the_first_from_which_the_curve_stays_near_its_end():
    curve = np.array([2.0, 1.5, 1.03, 1.2, 1.04, 1, 1, 1, 1, 1, 1, 1])
    assert convergence_epoch(curve) == 5
    assert convergence_epoch(decay(20, 10)) == 21
    assert np.isnan(convergence_epoch(np.linspace(2, 1, 5)))
    assert np.isnan(convergence_epoch(np.linspace(1, 2, 20)))
    assert convergence_epoch(np.full(10, 0.3)) == 1


@pytest.mark.parametrize("n", [5, 6])
def test_rank_correlation_agrees_with_a_loop_over_all_orders(n):
    from itertools import permutations

    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.integers(0, 3, n).astype(float)
    rho, p = rank_correlation(a, b)
    found = spearmanr(a, b).statistic
    orders = [spearmanr(a[list(order)], b).statistic for order in permutations(range(n))]
    assert rho == pytest.approx(found)
    assert p == pytest.approx(np.mean([abs(other) >= abs(found) - 1e-9 for other in orders]))


def test_rank_correlation_of_many_pairs_is_near_the_known_p():
    rng = np.random.default_rng(3)
    a = rng.normal(size=40)
    b = 0.35 * a + rng.normal(size=40)
    rho, p = rank_correlation(a, b)
    known = spearmanr(a, b)
    assert rho == pytest.approx(known.statistic)
    # 20,000 permutations: standard error 0.0016 at p = 0.05; the t approximation of scipy adds a little.
    assert p == pytest.approx(known.pvalue, abs=0.01)
    assert rank_correlation(a, b) == (rho, p)
    assert rank_correlation(a, a)[1] == pytest.approx(1 / 20_001)


def test_a_constant_side_has_no_correlation():
    rho, p = rank_correlation(np.ones(6), np.arange(6.0))
    assert np.isnan(rho)
    assert p == 1
