"""Choosing without labels: which measure of a run would have picked the arm that the labels pick?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lambdascape.config.settings import Statistics
from lambdascape.core.tsv import read_table, write_table
from lambdascape.statistics.bootstrap import Floats, PairedScores, difference, drawn_means, seed_weights
from lambdascape.study.choices import not_across
from lambdascape.study.run_table import read_spaces
from lambdascape.tables.comparisons import MEASURE, UNIT, Counts, Paths, paired_scores, read_counts

COLUMNS = [
    "criterion",
    "better",
    "correlation",
    "low",
    "high",
    "picks",
    "labels_pick",
    "agrees",
    "difference",
    "difference_low",
    "difference_high",
    "seeds",
    "sessions",
]


@dataclass(frozen=True)
class Criterion:
    """A measure that needs no label.

    Attributes:
        name: its name in words.
        measure: its name in training.tsv (after the last epoch, held-out triplets) or geometry.tsv (held-out tiles).
        better: lower or higher.
    """

    name: str
    measure: str
    better: str


CRITERIA = (
    Criterion("held-out loss", "loss_all", "lower"),
    Criterion("share of active triplets", "active_fraction", "lower"),
    Criterion("effective rank", "effective_rank", "higher"),
    Criterion("uniformity", "uniformity", "lower"),
)

NAMES = {criterion.measure: criterion.name for criterion in CRITERIA}


def rank_criteria(
    runs_path: str | Path,
    spaces: Sequence[str],
    training_path: str | Path,
    geometry_path: str | Path,
    confusions: Paths,
    choice_path: str | Path,
    settings: Statistics,
    seed: int,
    output: str | Path,
    plugins: Sequence[str] = (),
) -> None:
    """Say how each criterion ranks the arms beside the probe's score, and which arm it would pick.

    The correlation is Spearman's, across the arms, of their means over seeds: the criterion, turned so that more is
    better, against macro-F1 per clip on the test sessions. At 1 it ranks the arms as the labels do. Its interval is the
    middle of the correlations in resamples of sessions (which move the score) and of seeds (which move both).

    Args:
        runs_path: runs.tsv.
        spaces: names of the trained runs.
        training_path: training.tsv.
        geometry_path: geometry.tsv.
        confusions: for each of them its converged_confusion.tsv.
        choice_path: choice.tsv of `comparisons.choose_arm`.
        settings: of resamples and intervals.
        seed: seed of the resamples.
        output: table criterion (loss_all | active_fraction | effective_rank | uniformity), better (lower |
            higher), correlation, low, high, picks (the arm it picks), labels_pick (the arm that the labels pick on
            validation sessions), agrees (0 | 1), difference (test macro-F1 of its pick less that of the labels'),
            difference_low, difference_high (these runs on new sessions), seeds, sessions. What a criterion does not
            give for every run, cannot compare between runs, or finds equal in all arms, is missing. Header only with
            one arm or without labels.
        plugins: files of the user, which may declare losses.

    Raises:
        InputError: see `run_table.read_spaces`.
    """
    trained = read_spaces(runs_path, spaces)
    counts = read_counts(trained, confusions, "test", UNIT)
    rows = []
    if counts and len(counts.arms) > 1:
        choice = read_table(choice_path, text=("arm",))
        chosen = counts.arms.index(choice["arm"][choice["chosen"] == 1].item())
        scores = paired_scores(counts, MEASURE, settings, seed)
        measured = held_out_measures(training_path, geometry_path)
        for criterion in CRITERIA:
            values = _values(criterion, measured, counts, trained, plugins)
            rows.append(_row(criterion, values, scores, counts, chosen, settings, seed))
    write_table(pd.DataFrame(rows, columns=COLUMNS), output)


def held_out_measures(training_path: str | Path, geometry_path: str | Path) -> "pd.Series[float]":
    """Values by run and measure, on held-out triplets after the last epoch and on held-out tiles."""
    training = read_table(training_path, text=("run", "split", "measure"))
    held_out = training[training["split"] == "test"].sort_values("epoch").groupby(["run", "measure"])["value"].last()
    geometry = read_table(geometry_path, text=("run", "split", "measure"))
    spaces = geometry[geometry["split"] == "test"].groupby(["run", "measure"])["value"].last()
    return pd.concat([held_out, spaces])


def _values(
    criterion: Criterion,
    measured: "pd.Series[float]",
    counts: Counts,
    trained: pd.DataFrame,
    plugins: Sequence[str],
) -> Floats:
    """Shape (arm, seed), more is better; NaN where there is no value, or none that can be compared."""
    values = np.full((len(counts.arms), len(counts.seeds)), np.nan)
    unit = not_across(criterion.measure, plugins)
    if any(trained[name].nunique(dropna=False) > 1 for name in unit if name in trained):
        return values
    sign = 1.0 if criterion.better == "higher" else -1.0
    for run, arm, seed in trained[["run", "arm", "seed"]].itertuples(index=False):
        place = counts.arms.index(arm), counts.seeds.index(seed)
        values[place] = sign * measured.get((run, criterion.measure), np.nan)
    return values


def _row(
    criterion: Criterion,
    values: Floats,
    scores: PairedScores,
    counts: Counts,
    chosen: int,
    settings: Statistics,
    seed: int,
) -> tuple[Any, ...]:
    about = (len(counts.seeds), scores.sessions)
    labels_pick = counts.arms[chosen]
    if np.isnan(values).any() or np.ptp(values.mean(axis=1)) == 0:
        return (criterion.measure, criterion.better, *[np.nan] * 3, "", labels_pick, *[np.nan] * 4, *about)
    found = rank_correlations(values.mean(axis=1)[None], scores.value.mean(axis=1)[None])[0]
    drawn = values @ seed_weights(len(counts.seeds), settings.resamples, seed).T  # (arm, resample)
    low, high = _middle(rank_correlations(drawn.T, drawn_means(scores, seed)), settings.confidence)
    pick = int(values.mean(axis=1).argmax())
    gap = difference(scores, pick, chosen, settings.confidence)
    agrees = int(pick == chosen)
    return (
        *(criterion.measure, criterion.better, found, low, high, counts.arms[pick], labels_pick, agrees),
        *(gap.value, gap.low, gap.high, *about),
    )


def _middle(values: Floats, confidence: float) -> tuple[float, float]:
    """The ends of the middle part of the values; NaN where none is defined."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def rank_correlations(first: Floats, second: Floats) -> Floats:
    """Spearman's rank correlation of each row of one table with that of another.

    Args:
        first: shape (row, arm).
        second: shape (row, arm).

    Returns:
        Shape (row,), -1 to 1; NaN where a side is constant or has a missing value.
    """
    ranks = [rankdata(side, axis=1, nan_policy="propagate") for side in (first, second)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.full(len(scale), np.nan), where=scale > 0)
