from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from lambdascape.statistics.correlation import detectable_correlation, rank_correlation


def plain(first, second):
    return rank_correlation(first, second, np.zeros(len(first)), 0.95)


@pytest.mark.parametrize("n", [5, 6])
def test_rank_correlation_agrees_with_a_loop_over_all_orders(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.integers(0, 3, n).astype(float)
    one = plain(a, b)
    found = spearmanr(a, b).statistic
    orders = [spearmanr(a[list(order)], b).statistic for order in permutations(range(n))]
    assert one.rho == pytest.approx(found)
    assert one.p == pytest.approx(np.mean([abs(other) >= abs(found) - 1e-9 for other in orders]))


def test_rank_correlation_of_many_pairs_is_near_the_known_p():
    rng = np.random.default_rng(3)
    a = rng.normal(size=40)
    b = 0.35 * a + rng.normal(size=40)
    one, known = plain(a, b), spearmanr(a, b)
    assert one.rho == pytest.approx(known.statistic)
    # 20,000 permutations: standard error 0.0016 at p = 0.05; the t approximation of scipy adds a little.
    assert one.p == pytest.approx(known.pvalue, abs=0.01)
    assert plain(a, b) == one
    assert plain(a, a).p == pytest.approx(1 / 20_001)


def test_ranks_within_strata_agree_with_a_loop_and_ignore_what_parts_the_strata():
    rng = np.random.default_rng(5)
    strata = np.array([0, 0, 0, 1, 1, 1])
    a, b = rng.normal(size=6), rng.normal(size=6)
    one = rank_correlation(a, b, strata, 0.95)
    ranks = [np.argsort(np.argsort(side[strata == s])) - 1.0 for side in (a, b) for s in (0, 1)]
    orders = [
        sum(x @ y[list(order)] for x, y, order in zip(ranks[:2], ranks[2:], both, strict=True)) / 4
        for both in [(p, q) for p in permutations(range(3)) for q in permutations(range(3))]
    ]
    found = sum(x @ y for x, y in zip(ranks[:2], ranks[2:], strict=True)) / 4
    assert one.rho == pytest.approx(found)
    assert one.p == pytest.approx(np.mean([abs(other) >= abs(found) - 1e-9 for other in orders]))
    assert one.rarest == pytest.approx(2 / 36)
    assert rank_correlation(a + 100 * strata, b - 100 * strata, strata, 0.95) == one


def test_an_interval_of_two_in_three_strata_needs_more_pairs():
    one = rank_correlation(np.arange(4.0), np.arange(4.0), np.array([0, 0, 1, 1]), 0.95)
    assert one.pairs == 3
    assert np.isnan(one.low)


@pytest.mark.slow
def test_intervals_cover_the_correlation_as_often_as_promised():
    rng = np.random.default_rng(11)
    true = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a normal pair with Pearson's 0.6
    held = 0
    for _ in range(300):
        a = rng.normal(size=12)
        b = 0.6 * a + 0.8 * rng.normal(size=12)
        one = plain(a, b)
        held += one.low <= true <= one.high
    assert held / 300 == pytest.approx(0.95, abs=0.04)


def test_a_perfect_order_of_few_is_no_certainty():
    one = plain(np.arange(4.0), np.arange(4.0))
    assert one.rho == 1
    assert one.low < 0 < one.high < 1


def test_more_pairs_see_smaller_correlations():
    least = [detectable_correlation(n, 0.95, 0.8) for n in (4, 10, 30)]
    assert least == sorted(least, reverse=True)
    assert least[2] == pytest.approx(0.492, abs=0.01)  # of the usual tables for n = 30
    assert np.isnan(detectable_correlation(3, 0.95, 0.8))


def test_a_constant_side_has_no_correlation():
    one = plain(np.ones(6), np.arange(6.0))
    assert np.isnan(one.rho)
    assert one.p == 1
