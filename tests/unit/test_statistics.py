import numpy as np
import pytest
from scipy.stats import binom

from lambdascape.scores import accuracy, f1_per_class, macro_f1
from lambdascape.statistics import session_bootstrap


def some_sessions(n=12, seed=0):
    return np.random.default_rng(seed).integers(0, 6, (n, 3, 3))


def test_interval_agrees_with_a_plain_loop_over_resamples():
    confusions = some_sessions()
    low, high = session_bootstrap(confusions, macro_f1, 200, 0.9, 5)
    times = np.random.default_rng([5]).multinomial(12, [1 / 12] * 12, size=200)
    values = [macro_f1(sum(n * matrix for n, matrix in zip(row, confusions, strict=True))) for row in times]
    assert (low, high) == pytest.approx((np.quantile(values, 0.05), np.quantile(values, 0.95)))


def test_interval_holds_the_score_and_widens_with_confidence():
    confusions = some_sessions()
    inner, outer = (session_bootstrap(confusions, accuracy, 2000, level, 1) for level in (0.5, 0.95))
    assert outer[0] < inner[0] < accuracy(confusions.sum(axis=0)) < inner[1] < outer[1]


def test_equal_sessions_leave_no_doubt():
    low, high = session_bootstrap(np.repeat(some_sessions(1), 9, axis=0), macro_f1, 50, 0.95, 1)
    assert low == pytest.approx(high)


def test_a_statistic_per_class_gives_an_interval_per_class():
    confusions = some_sessions()
    low, high = session_bootstrap(confusions, f1_per_class, 300, 0.9, 2)
    for k in range(3):
        alone = session_bootstrap(confusions, lambda batch, k=k: f1_per_class(batch)[:, k], 300, 0.9, 2)
        assert (low[k], high[k]) == pytest.approx(alone)


@pytest.mark.parametrize(("statistic", "shape"), [(macro_f1, ()), (f1_per_class, (3,))])
def test_one_session_has_no_interval(statistic, shape):
    low, high = session_bootstrap(some_sessions(1), statistic, 100, 0.95, 1)
    assert low.shape == high.shape == shape
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_resamples_without_a_class_are_left_out_of_its_interval():
    confusions = np.zeros((3, 2, 2), int)
    confusions[:, 0, 0] = 5
    low, high = session_bootstrap(confusions, f1_per_class, 100, 0.95, 1)
    assert (low[0], high[0]) == (1, 1)
    assert np.isnan([low[1], high[1]]).all()


def test_resampling_sessions_covers_the_truth_where_resampling_tiles_does_not():
    # Two classes, 60 sessions of one class each, 40 tiles a session. Of a session's tiles a share of its own,
    # drawn from Beta(2, 1), is recognised. The truth is the macro-F1 of the expected matrix: recalls of 2/3.
    sessions, tiles, studies, resamples, confidence = 60, 40, 400, 300, 0.95
    truth = macro_f1(np.array([[2, 1], [1, 2]]) / 3)
    rng = np.random.default_rng(20)
    by_session = by_tile = 0
    for study in range(studies):
        hits = rng.binomial(tiles, rng.beta(2, 1, sessions))
        confusions = np.zeros((sessions, 2, 2), int)
        for k in (0, 1):
            own = np.arange(sessions) % 2 == k
            confusions[own, k, k], confusions[own, k, 1 - k] = hits[own], tiles - hits[own]
        low, high = session_bootstrap(confusions, macro_f1, resamples, confidence, study)
        by_session += low <= truth <= high
        pooled = confusions.sum(axis=0).ravel()
        drawn = rng.multinomial(pooled.sum(), pooled / pooled.sum(), size=resamples).reshape(-1, 2, 2)
        low, high = np.quantile(macro_f1(drawn), [0.025, 0.975])
        by_tile += low <= truth <= high
    # Allowed: what 400 studies show, with probability 99.9 %, when the coverage lies between 93 % and 97 %.
    assert binom.ppf(0.0005, studies, 0.93) <= by_session <= binom.ppf(0.9995, studies, 0.97)
    # Refused with the same certainty: a coverage of 60 % or more.
    assert by_tile < binom.ppf(0.0005, studies, 0.60)
