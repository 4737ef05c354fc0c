"""Intervals of the probes' scores, from their counts by session."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.config.settings import Statistics
from lambdascape.statistics.bootstrap import session_bootstrap
from lambdascape.statistics.metrics import BINS, accuracy, expected_calibration_error, f1_per_class, macro_f1

Floats = npt.NDArray[np.float64]
KEYS = ["probe", "split", "unit", "measure", "class"]


def score_intervals(counts: pd.DataFrame, settings: Statistics, seed: int) -> pd.DataFrame:
    """Intervals of every score that has counts by session, see `bootstrap.session_bootstrap`.

    Where a score is the mean over several draws, of training sessions, of validation sessions or of folds, so is the
    score of each resample: draws that share held-out sessions are no more data. Intervals are missing with fewer than
    two sessions, and for the f1 of a class that fewer than two hold; without a loss there is no cross_entropy.

    Args:
        counts: table `probes.scoring.COUNT_COLUMNS`.
        settings: of resamples and intervals.
        seed: seed of the resamples.

    Returns:
        Table probe, split, unit, measure, class, low, high.
    """
    rows = [
        (*group, *row)
        for group, part in counts.groupby(KEYS[:3])
        for row in _of_one_table(part, partial(session_bootstrap, **settings.plain(), seed=seed))
    ]
    return pd.DataFrame(rows, columns=[*KEYS, "low", "high"])


def _of_one_table(part: pd.DataFrame, bootstrap: Callable[..., Any]) -> Iterator[tuple[str, str, float, float]]:
    """Measure, class, low and high of the scores of one probe, split and unit."""
    classes = sorted(set(part["label"]) | set(part["predicted"]))
    confusions = confusions_by_session(part, classes)
    measures: list[tuple[str, npt.NDArray[Any], Callable[[Floats], Floats], float]] = [
        ("macro_f1", confusions, macro_f1, 1.0),
        ("accuracy", confusions, accuracy, 1.0),
        ("ece", _calibration_by_session(part), expected_calibration_error, 1.0),
    ]
    if part["loss"].notna().all():
        measures.append(("cross_entropy", _losses_by_session(part), _mean_loss, np.inf))
    for measure, sums, statistic, highest in measures:
        low, high = bootstrap(sums, partial(_mean_over_draws, statistic), highest=highest)
        yield measure, "", float(low), float(high)
    holding = (confusions.sum(axis=(1, 3)) > 0).sum(axis=0)  # (class,) sessions that hold it
    lows, highs = bootstrap(confusions, partial(_mean_over_draws, f1_per_class))
    for name, held, low, high in zip(classes, holding, lows, highs, strict=True):
        if held > 1:
            yield "f1", name, float(low), float(high)


def _mean_over_draws(statistic: Callable[[Floats], Floats], sums: Floats) -> Floats:
    """Mean over axis 1, the draws, of a statistic; draws that do not define it are left out."""
    values = statistic(sums)
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _mean_loss(sums: Floats) -> Floats:
    """Loss over count, of sums of shape (..., 2)."""
    return np.divide(sums[..., 1], sums[..., 0], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 0] > 0)


def confusions_by_session(counts: pd.DataFrame, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Turn a table of counts into one confusion matrix per session and draw.

    Args:
        counts: columns session, draw, label, predicted and count.
        classes: names of the classes in the order of the matrices.

    Returns:
        Counts of shape (session, draw, class, class), sessions in alphabetical order.
    """
    session, draw, shape = _places(counts)
    number = {name: index for index, name in enumerate(classes)}
    confusions = np.zeros((*shape, len(classes), len(classes)), np.int64)
    label, predicted = (counts[column].map(number).to_numpy(int) for column in ("label", "predicted"))
    np.add.at(confusions, (session, draw, label, predicted), counts["count"].to_numpy(int))
    return confusions


def _calibration_by_session(counts: pd.DataFrame) -> Floats:
    """Shape (session, draw, bin, 3), see `metrics.calibration_table`."""
    session, draw, shape = _places(counts)
    sums = np.zeros((*shape, BINS, 3))
    right = counts["count"] * (counts["label"] == counts["predicted"])
    for place, column in enumerate((counts["count"], right, counts["confidence"])):
        np.add.at(sums[..., place], (session, draw, counts["bin"].to_numpy(int)), column.to_numpy(float))
    return sums


def _losses_by_session(counts: pd.DataFrame) -> Floats:
    """Count and summed loss, shape (session, draw, 2)."""
    session, draw, shape = _places(counts)
    sums = np.zeros((*shape, 2))
    np.add.at(sums, (session, draw), counts[["count", "loss"]].to_numpy(float))
    return sums


def _places(counts: pd.DataFrame) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], tuple[int, int]]:
    """Number of the session and of the draw of each row, and how many there are of both."""
    session, sessions = pd.factorize(counts["session"], sort=True)
    draw, draws = pd.factorize(counts["draw"], sort=True)
    return session, draw, (len(sessions), len(draws))
