"""Two studies of one question beside each other: how each ranks the values that both have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.study.run_table import Sweep, read_sweep

COLUMNS = ["measure", "key", "setting", "study", "seeds", "mean", "low", "high", "rank"]
TEXT = ("measure", "key", "study")


@dataclass(frozen=True)
class RankedMeasure:
    """What values are ranked by.

    Attributes:
        name: in the table.
        table: of the study: training (of which the last epoch counts) or scores.
        rows: the values of its columns that choose the rows, one for each run.
        lower: whether a lower value is the better one.
        words: as figures and report write it.
    """

    name: str
    table: str
    rows: dict[str, str]
    lower: bool
    words: str


MEASURES = (
    RankedMeasure(
        "loss_all",
        "training",
        {"split": "train", "measure": "loss_all"},
        True,
        "loss over all triplets, last epoch",
    ),
    RankedMeasure(
        "by_epoch_tile",
        "scores",
        {"probe": "by_epoch", "split": "test", "unit": "tile", "measure": "macro_f1"},
        False,
        "macro-F1 per tile, published probe",
    ),
    RankedMeasure(
        "converged_clip",
        "scores",
        {"probe": "converged", "split": "test", "unit": "clip", "measure": "macro_f1"},
        False,
        "macro-F1 per clip, converged probe",
    ),
)


def compare_protocols(
    names: Sequence[str],
    first: Mapping[str, str | Path],
    second: Mapping[str, str | Path],
    confidence: float,
    output: str | Path,
) -> None:
    """Rank the values that two studies share, in each of them.

    A study's value for a setting is the mean over its seeds (over whatever else varies first); its interval is
    Student's over the seeds: what other seeds might give on the same sessions. With one seed it is missing.

    Args:
        names: of the two studies.
        first: paths of runs, training and scores of the first study; more may be.
        second: the same of the second.
        confidence: of the intervals.
        output: table measure, key (what varies), setting, study, seeds, mean, low, high, rank (1 is the best of the
            shared settings); a measure that a study lacks, as without labels, is left out.

    Raises:
        InputError: no first study is named, the studies vary different things, or they share fewer than two values,
            or no measure of them.
    """
    if not first:
        raise InputError("compare_with: must name the study to compare with; got null")
    sweeps = [read_sweep(tables["runs"]) for tables in (first, second)]
    shared = _shared(names, sweeps)
    rows: list[tuple[Any, ...]] = []
    for measure in MEASURES:
        sides = [
            _settings(sweep, tables, measure, shared) for sweep, tables in zip(sweeps, (first, second), strict=True)
        ]
        if all(len(side) == len(shared) for side in sides):
            for name, side in zip(names, sides, strict=True):
                rows += _ranked(measure, sweeps[0].key, name, side, confidence)
    if not rows:
        raise InputError(f"compare_with: {names[0]} and {names[1]} must share a measure; they share none")
    write_table(pd.DataFrame(rows, columns=COLUMNS), output)


def swaps(table: pd.DataFrame, measure: str) -> tuple[int, int]:
    """How many pairs of settings stand in opposite orders in the two studies of `compare_protocols`, of how many."""
    rows = table[table["measure"] == measure]
    first, second = (rows[rows["study"] == name].set_index("setting")["mean"] for name in rows["study"].unique())
    pairs = list(combinations(first.index, 2))
    return sum(bool((first[a] - first[b]) * (second[a] - second[b]) < 0) for a, b in pairs), len(pairs)


def _shared(names: Sequence[str], sweeps: Sequence[Sweep]) -> list[Any]:
    """The settings that both studies have."""
    keys = [sweep.key for sweep in sweeps]
    if keys[0] != keys[1] or not keys[0]:
        found = ", ".join(f"{name} varies {key or 'nothing'}" for name, key in zip(names, keys, strict=True))
        raise InputError(f"compare_with: both studies must vary the same hyperparameter; {found}")
    shared = [value for value in sweeps[0].values if value in sweeps[1].values]
    if len(shared) < 2:
        raise InputError(
            f"compare_with: {names[0]} and {names[1]} must share at least two values of {keys[0]}; they share "
            f"{len(shared)}"
        )
    return shared


def _settings(
    sweep: Sweep, tables: Mapping[str, str | Path], measure: RankedMeasure, shared: list[Any]
) -> dict[Any, "pd.Series[float]"]:
    """For each shared setting that was measured the values of its seeds."""
    table = read_table(tables[measure.table], text=("run", *measure.rows))
    rows = table[(table[list(measure.rows)] == pd.Series(measure.rows)).all(axis=1)].dropna(subset=["value"])
    if measure.table == "training":
        rows = rows.sort_values("epoch").groupby("run").tail(1)
    found = rows.merge(sweep.trained, on="run")
    values = {one: found[found["axis_value"] == one].groupby("seed")["value"].mean() for one in shared}
    return {one: seeds for one, seeds in values.items() if len(seeds)}


def _ranked(
    measure: RankedMeasure, key: str, study: str, side: dict[Any, "pd.Series[float]"], confidence: float
) -> list[tuple[Any, ...]]:
    means = pd.Series({one: float(seeds.mean()) for one, seeds in side.items()})
    ranks = means.rank(ascending=measure.lower, method="min")
    rows = []
    for one, seeds in side.items():
        n = len(seeds)
        half = t.ppf((1 + confidence) / 2, n - 1) * seeds.std(ddof=1) / n**0.5 if n > 1 else np.nan
        ends = (means[one] - half, means[one] + half)
        rows.append((measure.name, key, one, study, n, means[one], *ends, int(ranks[one])))
    return rows
