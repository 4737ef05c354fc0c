"""Intervals and comparisons that know that clips of one session are not independent, and that seeds differ.

Sessions are drawn again and never tiles: the tiles of a session are no independent facts. The same draws serve every
arm and seed, so that arms are compared on the same sessions.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.stats import t

Floats = npt.NDArray[np.float64]
Statistic = Callable[[npt.NDArray], Floats]

MEANS_STREAM, DEVIATIONS = 1982, 200_000  # seed and number of the draws for `largest_deviation`
SEEDS_STREAM = 1  # of the draws of seeds; those of sessions have the key (seed,)


def session_times(sessions: int, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """Say how often each resample holds each session, when it draws as many sessions as there are.

    Args:
        sessions: number of sessions, at least 1.
        resamples: number of resamples, at least 1.
        seed: equal seeds and equal numbers of sessions give equal resamples.

    Returns:
        Counts of shape (resample, session); each row sums to `sessions`.
    """
    return np.random.default_rng([seed]).multinomial(sessions, np.full(sessions, 1 / sessions), size=resamples)


def session_bootstrap(
    sums: npt.NDArray,
    statistic: Statistic,
    resamples: int,
    confidence: float,
    seed: int,
    highest: float = 1.0,
) -> tuple[Floats, Floats]:
    """Interval of a score of at least 0 under resampling of whole sessions with replacement.

    A resample draws as many sessions as there are; its confusion matrix, say, is the sum of theirs: the cluster
    bootstrap (Davison & Hinkley 1997, section 3.8). The interval is the score ± t · its standard error, cut at 0 and at
    `highest`: see `half_width`. Percentiles of the resamples are not taken, because the macro-F1 of a resample, which
    lacks some sessions and so may lack a class, is biased: where 95 % are wanted they covered 84 to 94 % in simulated
    studies, this 92 to 96 % (`benchmarks/README.md`).

    Args:
        sums: what adds up over sessions, shape (session, ...), such as confusion matrices, (session, class, class).
        statistic: maps sums of shape (resample, ...) to values of shape (resample,) or (resample, class), such as
            `metrics.macro_f1`; NaN where a resample does not define it, which is left out.
        resamples: number of resamples, at least 2.
        confidence: how often such intervals hold the truth, above 0 and below 1.
        seed: seed of the resamples; equal numbers of sessions give equal resamples, so that runs are compared
            on the same.
        highest: the highest value that the score can have; infinity where there is none.

    Returns:
        Low and high end, each of shape () or (class,); NaN with fewer than two sessions, or where fewer than two
        resamples are defined.
    """
    sessions, *shape = sums.shape
    value = np.asarray(statistic(sums.sum(axis=0, keepdims=True)))[0]
    if sessions < 2:
        return np.full(np.shape(value), np.nan), np.full(np.shape(value), np.nan)
    times = session_times(sessions, resamples, seed).astype(np.float64)
    pooled = (times @ sums.reshape(sessions, -1)).reshape(resamples, *shape)
    width = half_width(statistic(pooled), sessions, confidence)
    return np.maximum(value - width, 0), np.minimum(value + width, highest)


def half_width(resampled: Floats, sessions: int, confidence: float) -> Floats:
    """Half the width of an interval: t · standard error, both for the number of sessions.

    The standard deviation of the resamples is too small by √((n - 1) / n) for n sessions, and the normal quantile
    treats it as exact; both are corrected here (Hesterberg 2015, arXiv 1411.5279: narrowness bias).

    Args:
        resampled: values of shape (resample, ...); NaN where one is not defined.
        sessions: number of sessions n, at least 2.
        confidence: above 0 and below 1.

    Returns:
        Shape (...), at least 0; NaN where fewer than two resamples are defined.
    """
    return np.asarray(t.ppf((1 + confidence) / 2, sessions - 1) * np.sqrt(variance(resampled, sessions)))


def variance(resampled: Floats, sessions: int) -> Floats:
    """Variance over the resamples that are defined, times n / (n - 1) for n sessions: (resample, ...) to (...)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Degrees of freedom", RuntimeWarning)  # NaN then, as wanted
        return np.asarray(np.nanvar(resampled, axis=0, ddof=1) * sessions / (sessions - 1))


@dataclass(frozen=True)
class PairedScores:
    """Scores of all arms and seeds on the sessions at hand, and on the same resamples of them.

    Attributes:
        value: shape (arm, seed), on all sessions.
        resampled: shape (resample, arm, seed); NaN where a resample does not define the score.
        sessions: number of sessions.
    """

    value: Floats
    resampled: Floats
    sessions: int


def paired_session_bootstrap(counts: npt.NDArray, statistic: Statistic, resamples: int, seed: int) -> PairedScores:
    """Score every arm and seed on the same resamples of sessions.

    Args:
        counts: what adds up over sessions, shape (arm, seed, session, ...), such as confusion matrices. A session on
            which a seed was not scored counts 0 throughout.
        statistic: maps sums of shape (any, ...) to values of shape (any,), such as `metrics.macro_f1`; NaN where it is
            not defined.
        resamples: number of resamples, at least 2.
        seed: see `session_times`.

    Returns:
        The scores; with fewer than two sessions no resample is defined.
    """
    arms, seeds, sessions, *shape = counts.shape
    value = statistic(counts.sum(axis=2).reshape(arms * seeds, *shape)).reshape(arms, seeds)
    resampled = np.full((resamples, arms, seeds), np.nan)
    if sessions > 1:
        times = session_times(sessions, resamples, seed).astype(np.float64)
        for arm, place in np.ndindex(arms, seeds):
            pooled = times @ counts[arm, place].reshape(sessions, -1)
            resampled[:, arm, place] = statistic(pooled.reshape(resamples, *shape))
    return PairedScores(value, resampled, sessions)


@dataclass(frozen=True)
class Difference:
    """Difference of the means of two arms over their seeds; any number is NaN where the data do not give it.

    Attributes:
        value: first arm less second.
        low: low end of the interval for these runs on new sessions.
        high: its high end.
        seed_sd: standard deviation of the difference from seed to seed, on these sessions.
        wide_low: low end of the interval for new runs on new sessions.
        wide_high: its high end.
        p: two-sided p-value for new runs on new sessions; NaN with one seed.
        error: standard error for new runs on new sessions.
        freedom: its degrees of freedom.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    seed_sd: float = float("nan")
    wide_low: float = float("nan")
    wide_high: float = float("nan")
    p: float = float("nan")
    error: float = float("nan")
    freedom: float = float("nan")


def difference(scores: PairedScores, first: int, second: int, confidence: float) -> Difference:
    """Compare two arms, paired by session and by seed.

    Two questions have two answers. Would these very runs differ on other sessions? The interval low to high: the
    difference ± t · its standard error over resampled sessions, the seeds averaged. Seeds are not resampled, since a
    bootstrap of two to five of them is far too narrow.

    Would other runs differ on other sessions, which is what a claim about λ says? Sessions and seeds are then both a
    sample, crossed: each seed's runs meet all sessions, like readers who judge the same cases. The variance of the mean
    difference is S² / r + max(c, 0): S² is the variance of the difference over the r seeds, c the covariance of two
    seeds' differences that the shared sessions give them (Obuchowski & Rockette 1995, Hillis 2007, with readers for
    seeds and cases for sessions). It is taken as no smaller than that of the first question. The degrees of freedom are
    Satterthwaite's, with r - 1 and n - 1 for the two terms.

    Args:
        scores: see `paired_session_bootstrap`.
        first: number of the first arm.
        second: number of the second arm.
        confidence: of both intervals, above 0 and below 1.
    """
    by_seed = scores.value[first] - scores.value[second]  # (seed,)
    resampled = scores.resampled[:, first] - scores.resampled[:, second]  # (resample, seed)
    value, seeds, sessions = float(by_seed.mean()), len(by_seed), scores.sessions
    seed_sd = float(by_seed.std(ddof=1)) if seeds > 1 else float("nan")
    if sessions < 2:
        return Difference(value, seed_sd=seed_sd)
    over_sessions = float(variance(mean_over_seeds(resampled), sessions))
    width = float(t.ppf((1 + confidence) / 2, sessions - 1)) * over_sessions**0.5
    narrow = Difference(value, value - width, value + width, seed_sd)
    if seeds < 2 or np.isnan(width):
        return narrow
    alone = float(variance(resampled, sessions).mean())  # of one seed's difference
    shared = max((seeds * over_sessions - alone) / (seeds - 1), 0.0)
    own = seed_sd**2 / seeds
    squares = own**2 / (seeds - 1) + shared**2 / (sessions - 1)
    freedom = (own + shared) ** 2 / squares if squares > 0 else seeds - 1.0
    error = max(own + shared, over_sessions) ** 0.5
    wide = float(t.ppf((1 + confidence) / 2, freedom)) * error
    far = abs(value) / max(error, np.finfo(float).tiny)  # 0 where nothing differs at all
    p = 2 * float(t.sf(far, freedom))
    return replace(narrow, wide_low=value - wide, wide_high=value + wide, p=p, error=error, freedom=freedom)


def mean_over_seeds(scores: Floats) -> Floats:
    """Mean over the last axis of the seeds whose score is defined: shape (..., seed) to shape (...)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(scores, axis=-1))


def arm_interval(scores: PairedScores, arm: int, confidence: float) -> tuple[float, float]:
    """Interval of an arm's mean over its seeds, for these runs on new sessions, cut at 0 and 1; NaN as there."""
    if scores.sessions < 2:
        return float("nan"), float("nan")
    value = float(scores.value[arm].mean())
    width = float(half_width(mean_over_seeds(scores.resampled[:, arm]), scores.sessions, confidence))
    return float(np.maximum(value - width, 0)), float(np.minimum(value + width, 1))


def seed_weights(seeds: int, resamples: int, seed: int) -> Floats:
    """Weights of the seeds in each resample of them, the same for every arm.

    As the mean of r drawn seeds varies too little by (r - 1) / r, its distance from the mean of all is stretched by
    √(r / (r - 1)) (Rao & Wu 1988). One seed has the weight 1: what is said then is said of these runs only.

    Args:
        seeds: number of seeds r, at least 1.
        resamples: number of resamples.
        seed: seed of the draws.

    Returns:
        Shape (resample, seed); each row sums to 1, and a weight may be below 0.
    """
    if seeds == 1:
        return np.ones((resamples, 1))
    times = np.random.default_rng([seed, SEEDS_STREAM]).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return np.asarray(1 / seeds + (times - 1) / seeds * np.sqrt(seeds / (seeds - 1)))


def drawn_means(scores: PairedScores, seed: int) -> Floats:
    """Mean of each arm over its seeds when sessions and seeds are drawn again, shape (resample, arm).

    Args:
        scores: see `paired_session_bootstrap`.
        seed: seed of the draws of seeds, see `seed_weights`.
    """
    resamples, _, seeds = scores.resampled.shape
    means = mean_over_seeds(scores.resampled)
    # A seed without a score in a resample takes the mean of the others.
    apart = np.nan_to_num(scores.resampled - means[..., None])
    return np.asarray(means + (apart * seed_weights(seeds, resamples, seed)[:, None]).sum(axis=2))


def probability_best(scores: PairedScores, seed: int) -> Floats:
    """Share of the resamples of sessions and seeds in which each arm has the highest mean; ties are split.

    Args:
        scores: see `paired_session_bootstrap`.
        seed: seed of the draws of seeds, see `seed_weights`.

    Returns:
        Shape (arm,), summing to 1; NaN when no resample is defined for all arms.
    """
    means = drawn_means(scores, seed)
    means = means[~np.isnan(means).any(axis=1)]
    if not len(means):
        return np.full(scores.value.shape[0], np.nan)
    best = means == means.max(axis=1, keepdims=True)
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))


@cache
def largest_deviation(means: int, freedom: int, confidence: float) -> float:
    """Critical value of the largest deviation of several means from their common mean, in its standard errors.

    Where k means are alike, all |mean - common mean| / (s √((k - 1) / (k r))) stay below it with this probability: h of
    the analysis of means (Nelson 1982, Journal of Quality Technology 14, 47-53). From random numbers, the same at every
    call, within 1 % for 4 degrees of freedom and more.

    Args:
        means: their number k, at least 2.
        freedom: degrees of freedom of s, at least 1.
        confidence: above 0 and below 1.
    """
    rng = np.random.default_rng([MEANS_STREAM])
    scores = rng.normal(size=(DEVIATIONS, means))
    largest = np.abs(scores - scores.mean(axis=1, keepdims=True)).max(axis=1) / np.sqrt(1 - 1 / means)
    spread = np.sqrt(rng.chisquare(freedom, DEVIATIONS) / freedom)
    return float(np.quantile(largest / spread, confidence))


def holm(p: Floats) -> Floats:
    """Adjust p-values for being several, so that the chance of any false finding stays below the level (Holm 1979).

    Args:
        p: shape (test,), 0 to 1; NaN where there was no test, which is left out.

    Returns:
        Shape (test,): of the tests in order of p, the largest so far of p times the number of tests not yet passed,
        at most 1.
    """
    adjusted = np.full(len(p), np.nan)
    order = [index for index in np.argsort(p, kind="stable") if not np.isnan(p[index])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return adjusted
