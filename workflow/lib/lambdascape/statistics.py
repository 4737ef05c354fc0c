"""Intervals that know that clips of one session are not independent."""

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def session_bootstrap(
    sums: npt.NDArray,
    statistic: Callable[[npt.NDArray], Floats],
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[Floats, Floats]:
    """Percentile interval of a score under resampling of whole sessions with replacement.

    A resample draws as many sessions as there are; its confusion matrix, say, is the sum of theirs. This is the
    cluster bootstrap (Davison & Hinkley 1997, section 3.8): drawing tiles instead would take a session's many
    clips for as many independent facts and give intervals far too short.

    Args:
        sums: shape (session, …), such as confusion matrices, (session, class, class).
        statistic: maps sums of shape (resample, …) to values of shape (resample,) or (resample, class), such as
            `scores.macro_f1`; NaN where a resample does not define it, which is left out.
        resamples: number of resamples, at least 1.
        confidence: share of the resamples inside the interval, above 0 and below 1.
        seed: seed of the resamples; equal numbers of sessions give equal resamples, so that runs are compared
            on the same.

    Returns:
        Low and high end, each of shape () or (class,); NaN with fewer than two sessions, or where no resample
        is defined.
    """
    n_sessions, shape = len(sums), sums.shape[1:]
    if n_sessions < 2:
        missing = np.full(np.shape(statistic(np.zeros((1, *shape))))[1:], np.nan)
        return missing, missing.copy()
    times = np.random.default_rng([seed]).multinomial(n_sessions, np.full(n_sessions, 1 / n_sessions), size=resamples)
    pooled = times.astype(np.float64) @ sums.reshape(n_sessions, -1)
    values = statistic(pooled.reshape(resamples, *shape))
    outside = (1 - confidence) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(values, [outside, 1 - outside], axis=0)
    return low, high
