import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from lambdascape.statistics.bootstrap import (
    arm_interval,
    difference,
    holm,
    largest_deviation,
    paired_session_bootstrap,
    probability_best,
    session_bootstrap,
)
from lambdascape.statistics.metrics import accuracy, f1_per_class, macro_f1


def some_sessions(n=12, seed=0):
    return np.random.default_rng(seed).integers(0, 6, (n, 3, 3))


def test_interval_agrees_with_a_plain_loop_over_resamples():
    confusions = some_sessions()
    low, high = session_bootstrap(confusions, macro_f1, 200, 0.9, 5)
    times = np.random.default_rng([5]).multinomial(12, [1 / 12] * 12, size=200)
    values = [macro_f1(sum(n * matrix for n, matrix in zip(row, confusions, strict=True))) for row in times]
    error = np.std(values, ddof=1) * np.sqrt(12 / 11)
    middle, far = macro_f1(confusions.sum(axis=0)), t.ppf(0.95, 11) * error
    assert (low, high) == pytest.approx((middle - far, middle + far))


def test_intervals_end_where_the_score_does():
    confusions = some_sessions(4)
    confusions[0] = 30 * np.eye(3)  # one session that outweighs the others: the score is near 1
    _, high = session_bootstrap(confusions, accuracy, 300, 0.95, 1)
    assert high == 1
    _, open_high = session_bootstrap(confusions, accuracy, 300, 0.95, 1, highest=np.inf)
    assert open_high > 1


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


def simulated_session_counts(rng, share):
    """Two classes in turn; of a session's 40 clips the share `share`, shape (..., session), is recognised."""
    hits = rng.binomial(40, share)
    confusions = np.zeros((*hits.shape, 2, 2), int)
    for k in (0, 1):
        own = np.arange(hits.shape[-1]) % 2 == k
        confusions[..., own, k, k], confusions[..., own, k, 1 - k] = hits[..., own], 40 - hits[..., own]
    return confusions


@pytest.mark.slow
@pytest.mark.parametrize("sessions", [12, 60])
def test_resampling_sessions_covers_the_truth_where_resampling_clips_does_not(sessions):
    # A session's share of its own is drawn from Beta(2, 1). The truth is the macro-F1 of the expected matrix: recalls
    # of 2/3. With 1,500 studies a coverage of 95 % shows as 93.3 to 96.7 % in all but 3 of 1,000 seeds.
    studies, resamples, confidence = 1500, 200, 0.95
    truth = macro_f1(np.array([[2, 1], [1, 2]]) / 3)
    rng = np.random.default_rng(20)
    by_session = by_clip = 0
    for study in range(studies):
        confusions = simulated_session_counts(rng, rng.beta(2, 1, sessions))
        low, high = session_bootstrap(confusions, macro_f1, resamples, confidence, study)
        by_session += low <= truth <= high
        pooled = confusions.sum(axis=0).ravel()
        drawn = rng.multinomial(pooled.sum(), pooled / pooled.sum(), size=resamples).reshape(-1, 2, 2)
        low, high = np.quantile(macro_f1(drawn), [0.025, 0.975])
        by_clip += low <= truth <= high
    assert 0.93 <= by_session / studies <= 0.97
    assert by_clip / studies < 0.60


@pytest.mark.slow
def test_intervals_of_a_difference_cover_for_these_runs_and_for_new_ones():
    # Two equal arms. Sessions differ, and so does every run: a fifth of its clips come out by the run's own share.
    studies, sessions, seeds = 1000, 20, 5
    rng = np.random.default_rng(22)
    these = new = narrow = found = 0
    for study in range(studies):
        own = rng.beta(2, 1, (2, seeds, 1))
        share = 0.8 * rng.beta(2, 1, sessions) + 0.2 * own
        scores = paired_session_bootstrap(simulated_session_counts(rng, share), accuracy, 200, study)
        gap = difference(scores, 0, 1, 0.95)
        these += gap.low <= 0.2 * (own[0] - own[1]).mean() <= gap.high
        new += gap.wide_low <= 0 <= gap.wide_high
        narrow += gap.low <= 0 <= gap.high
        found += gap.p < 0.05
    assert 0.93 <= these / studies <= 0.97
    assert 0.93 <= new / studies <= 0.97
    assert found == studies - new
    assert narrow / studies < 0.60  # why p does not come from the sessions alone


def some_arms(arms=3, seeds=4, sessions=10, seed=1):
    return np.random.default_rng(seed).integers(0, 6, (arms, seeds, sessions, 3, 3))


def test_a_difference_agrees_with_plain_loops():
    counts = some_arms()
    scores = paired_session_bootstrap(counts, macro_f1, 300, 7)
    times = np.random.default_rng([7]).multinomial(10, [1 / 10] * 10, size=300)
    gaps = np.empty((300, 4))
    for resample, row in enumerate(times):
        for seed in range(4):
            first, second = [
                macro_f1(sum(n * matrix for n, matrix in zip(row, counts[arm, seed], strict=True))) for arm in (2, 0)
            ]
            gaps[resample, seed] = first - second
    by_seed = [macro_f1(counts[2, s].sum(axis=0)) - macro_f1(counts[0, s].sum(axis=0)) for s in range(4)]
    found = difference(scores, 2, 0, 0.9)
    assert found.value == pytest.approx(np.mean(by_seed))
    assert found.seed_sd == pytest.approx(np.std(by_seed, ddof=1))
    error = np.std(gaps.mean(axis=1), ddof=1) * np.sqrt(10 / 9)
    assert (found.low, found.high) == pytest.approx(
        tuple(np.mean(by_seed) + sign * t.ppf(0.95, 9) * error for sign in (-1, 1))
    )
    covariances = np.cov(gaps.T) * 10 / 9  # (seed, seed)
    shared = max(covariances[~np.eye(4, dtype=bool)].mean(), 0)
    own = np.var(by_seed, ddof=1) / 4
    freedom = (own + shared) ** 2 / (own**2 / 3 + shared**2 / 9)
    error = np.sqrt(max(own + shared, error**2))
    assert found.wide_high - found.value == pytest.approx(t.ppf(0.95, freedom) * error)
    assert found.p == pytest.approx(2 * t.sf(abs(found.value) / error, freedom))


def test_an_arm_does_not_differ_from_itself():
    scores = paired_session_bootstrap(some_arms(), macro_f1, 200, 1)
    same = difference(scores, 1, 1, 0.95)
    assert (same.value, same.low, same.high, same.seed_sd, same.p) == (0, 0, 0, 0, 1)


def test_one_seed_says_nothing_of_other_runs_and_one_session_nothing_of_other_sessions():
    one_seed = difference(paired_session_bootstrap(some_arms(seeds=1), macro_f1, 100, 1), 0, 1, 0.95)
    assert one_seed.low < one_seed.value < one_seed.high
    assert np.isnan([one_seed.seed_sd, one_seed.wide_low, one_seed.wide_high, one_seed.p]).all()
    scores = paired_session_bootstrap(some_arms(sessions=1), macro_f1, 100, 1)
    one_session = difference(scores, 0, 1, 0.95)
    assert one_session.seed_sd > 0
    assert np.isnan([one_session.low, one_session.high, one_session.wide_low, one_session.p]).all()
    assert np.isnan(arm_interval(scores, 0, 0.95)).all()
    assert np.isnan(probability_best(scores, 1)).all()


def test_what_sessions_share_leaves_the_difference_of_two_arms():
    # Sessions differ much, the arms by one hit in each: paired, the difference is certain; unpaired, nothing would be.
    counts = np.zeros((2, 2, 12, 2, 2), int)
    counts[:, :, :, 0, 0] = np.arange(12) * 5
    counts[..., 0, 1] = 60 - counts[..., 0, 0]
    counts[0, :, :, 0] += [1, -1]
    scores = paired_session_bootstrap(counts, accuracy, 500, 1)
    found = difference(scores, 0, 1, 0.95)
    assert found.value == pytest.approx(1 / 60)
    assert (found.low, found.high) == pytest.approx((1 / 60, 1 / 60))
    assert np.ptp(arm_interval(scores, 0, 0.95)) > 0.3


def test_a_session_that_a_seed_lacks_is_paired_all_the_same():
    counts = some_arms(arms=2, seeds=2)
    counts[:, 0, :5] = counts[:, 1, 5:] = 0  # as validation sessions are drawn anew for each seed
    counts[1] = counts[0]
    assert difference(paired_session_bootstrap(counts, macro_f1, 200, 1), 0, 1, 0.95).p == 1


def test_the_best_arm_is_probably_best_and_equal_arms_share():
    counts = np.zeros((3, 3, 20, 2, 2), int)
    counts[..., 0, 0], counts[..., 0, 1] = [[[5]], [[5]], [[9]]], [[[5]], [[5]], [[1]]]
    counts[..., 1, 1] = 10
    best = probability_best(paired_session_bootstrap(counts, macro_f1, 100, 1), 1)
    assert best == pytest.approx([0, 0, 1])
    best = probability_best(paired_session_bootstrap(counts[:2], macro_f1, 100, 1), 1)
    assert best == pytest.approx([0.5, 0.5])
    best = probability_best(paired_session_bootstrap(some_arms(arms=5), macro_f1, 100, 1), 1)
    assert best.sum() == pytest.approx(1)


def test_the_probability_of_being_best_counts_seeds_that_disagree():
    # The first arm is far better with one seed and a little worse with the other: sessions alone would be sure of it.
    counts = np.zeros((2, 2, 20, 1, 2), int)
    counts[..., 0, 0] = np.array([[90, 40], [50, 50]])[..., None]
    counts[..., 0, 1] = 100 - counts[..., 0, 0]
    scores = paired_session_bootstrap(counts, lambda sums: sums[:, 0, 0] / sums.sum(axis=(1, 2)), 4000, 1)
    assert probability_best(scores, 1)[0] == pytest.approx(0.75, abs=0.03)  # lost where both draws take the other seed


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # Holm (1979): 0.01 · 3; 0.03 · 2; max(0.06, 0.04 · 1)
        ([0.04], [0.04]),
        ([0.6, 0.7], [1, 1]),
        ([0.02, np.nan, 0.01], [0.02, np.nan, 0.02]),
        ([], []),
    ],
)
def test_holm_by_hand(p, adjusted):
    assert holm(np.array(p, float)) == pytest.approx(np.array(adjusted, float), nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_never_lowers_p_and_keeps_its_order_and_rejects_as_the_step_down_test(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    rejected = 0
    for rank, one in enumerate(sorted(p)):  # the step-down test as Holm states it, at the level of 5 %
        if one * (len(p) - rank) > 0.05:
            break
        rejected += 1
    assert (adjusted <= 0.05).sum() == rejected


@pytest.mark.parametrize("freedom", [4, 10, 60])
def test_the_largest_of_several_deviations_has_its_known_quantile(freedom):
    """Of two means both deviate alike, as Student's t; of three the lines are a hexagon around a bivariate t."""
    assert largest_deviation(2, freedom, 0.95) == pytest.approx(t.ppf(0.975, freedom), rel=0.01)
    h = largest_deviation(3, freedom, 0.95)
    angle = (np.arange(1000) + 0.5) / 1000 * np.pi / 6
    beyond = ((1 + (h / np.cos(angle)) ** 2 / freedom) ** (-freedom / 2)).mean()
    assert beyond == pytest.approx(0.05, abs=0.002)
