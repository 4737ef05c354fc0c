"""Arms of a study against each other: every pair on the same sessions and seeds, and the one that validation chooses.

An arm is a point of the sweep; its runs differ in the seed only.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.files import read_table, write_table
from lambdascape.scores import accuracy, macro_f1
from lambdascape.statistics import (
    PairedScores,
    arm_interval,
    difference,
    holm,
    paired_session_bootstrap,
    probability_best,
)
from lambdascape.sweep import arm_and_seed

Paths = Sequence[str | Path]

TEXT = ("split", "unit", "session", "label", "predicted")  # columns of converged_confusion.tsv
MEASURES = {"macro_f1": macro_f1, "accuracy": accuracy}
# What is compared first, and what chooses: fixed before any score was seen.
UNIT, MEASURE = "clip", "macro_f1"
ENDS = ["low", "high", "seed_sd", "wide_low", "wide_high", "p"]
COMPARISON_COLUMNS = ["unit", "measure", "first", "second", "difference", *ENDS, "p_holm", "seeds", "sessions"]
SCORE_COLUMNS = ["mean", "low", "high", "seed_sd", "sessions"]
CHOICE_COLUMNS = [
    "arm",
    "chosen",
    "probability_best",
    *(f"{split}_{name}" for split in ("validation", "test") for name in SCORE_COLUMNS),
    "seeds",
]


@dataclass(frozen=True)
class Counts:
    """What the converged probe predicted in one split, for all arms, seeds and sessions.

    Attributes:
        arms: names of the arms, in the order of the sweep.
        seeds: the seeds, each of which was run with every arm.
        confusions: counts of shape (arm, seed, session, class, class); 0 for a session that is not in the split with
            that seed: the validation sessions are drawn anew for each seed.
    """

    arms: list[str]
    seeds: list[int]
    confusions: npt.NDArray[np.int64]


def read_counts(runs: Sequence[str], confusions: Paths, split: str, unit: str) -> Counts | None:
    """Gather the confusion matrices of the trained runs.

    Args:
        runs: names of the trained runs, every arm with every seed.
        confusions: for each its converged_confusion.tsv.
        split: validation or test.
        unit: clip or tile.

    Returns:
        The counts; None without labels.
    """
    tables = [read_table(path, text=TEXT).assign(run=run) for run, path in zip(runs, confusions, strict=True)]
    table = pd.concat(tables)
    table = table[(table["split"] == split) & (table["unit"] == unit)]
    if table.empty:
        return None
    arms, seeds = ([*dict.fromkeys(part)] for part in zip(*map(arm_and_seed, runs), strict=True))
    arm, seed = zip(*map(arm_and_seed, table["run"]), strict=True)
    classes, sessions = sorted(set(table["label"]) | set(table["predicted"])), sorted(set(table["session"]))
    sides: list[tuple[list[Any], Any]] = [(arms, arm), (seeds, seed), (sessions, table["session"])]
    sides += [(classes, table["label"]), (classes, table["predicted"])]
    counts = np.zeros([len(names) for names, _ in sides], np.int64)
    np.add.at(counts, tuple(pd.Index(names).get_indexer(list(found)) for names, found in sides), table["count"])
    return Counts(arms, seeds, counts)


def paired_scores(counts: Counts, measure: str, settings: dict[str, Any], seed: int) -> PairedScores:
    """Score all arms and seeds, on all sessions and on resamples of them.

    Args:
        counts: see `read_counts`.
        measure: macro_f1 or accuracy.
        settings: `resamples`.
        seed: seed of the resamples.
    """
    return paired_session_bootstrap(counts.confusions, MEASURES[measure], settings["resamples"], seed)


def compare_arms(
    runs: Sequence[str], confusions: Paths, settings: dict[str, Any], seed: int, output: str | Path
) -> None:
    """Compare every pair of arms on the test sessions, paired by session and seed.

    See `statistics.difference` for the intervals and p, `statistics.holm` for p_holm, which counts all pairs of one
    unit and measure.

    Args:
        runs: names of the trained runs.
        confusions: for each its converged_confusion.tsv.
        settings: `resamples` and `confidence`.
        seed: seed of the resamples.
        output: table unit (clip | tile), measure (macro_f1 | accuracy), first, second (arms), difference (first less
            second), low, high (these runs on new sessions), seed_sd, wide_low, wide_high, p (new runs on new sessions),
            p_holm, seeds, sessions; header only with one arm or without labels.
    """
    tables = [pd.DataFrame(columns=COMPARISON_COLUMNS)]
    for unit in ("clip", "tile"):
        counts = read_counts(runs, confusions, "test", unit)
        if counts and len(counts.arms) > 1:
            tables += [_pairs(counts, unit, measure, settings, seed) for measure in MEASURES]
    write_table(pd.concat(tables[1:] or tables), output)


def _pairs(counts: Counts, unit: str, measure: str, settings: dict[str, Any], seed: int) -> pd.DataFrame:
    scores = paired_scores(counts, measure, settings, seed)
    rows = []
    for first, second in combinations(range(len(counts.arms)), 2):
        found = asdict(difference(scores, first, second, settings["confidence"]))
        names = {"first": counts.arms[first], "second": counts.arms[second], "difference": found.pop("value")}
        rows.append(names | found)
    table = pd.DataFrame(rows).assign(unit=unit, measure=measure, seeds=len(counts.seeds), sessions=scores.sessions)
    table["p_holm"] = holm(table["p"].to_numpy(float))
    return table[COMPARISON_COLUMNS]


def choose_arm(runs: Sequence[str], confusions: Paths, settings: dict[str, Any], seed: int, output: str | Path) -> None:
    """Choose the arm with the highest mean macro-F1 per clip on the validation sessions, the first of equals.

    The choice and the probability that it is right (`statistics.probability_best`) are functions of the validation
    sessions, which lie in the training split. The test scores stand beside them and choose nothing.

    Args:
        runs: names of the trained runs.
        confusions: for each its converged_confusion.tsv.
        settings: `resamples` and `confidence`.
        seed: seed of the resamples.
        output: table arm, chosen (0 | 1), probability_best, then for validation and for test: mean over the seeds, low
            and high (these runs on new sessions), seed_sd (standard deviation over the seeds), sessions; seeds. Header
            only without labels.
    """
    splits = {split: read_counts(runs, confusions, split, UNIT) for split in ("validation", "test")}
    counts = splits["validation"]
    if counts is None:
        write_table(pd.DataFrame(columns=CHOICE_COLUMNS), output)
        return
    validation = paired_scores(counts, MEASURE, settings, seed)
    table = pd.DataFrame({"arm": counts.arms, "chosen": 0, "seeds": len(counts.seeds)})
    table.loc[int(validation.value.mean(axis=1).argmax()), "chosen"] = 1
    table["probability_best"] = probability_best(validation, seed)
    for split, part in splits.items():
        if part is not None:
            table = table.join(_summary(part, settings, seed).add_prefix(f"{split}_"))
    write_table(table.reindex(columns=CHOICE_COLUMNS), output)


def _summary(counts: Counts, settings: dict[str, Any], seed: int) -> pd.DataFrame:
    """Mean over the seeds of each arm, its interval over sessions, and apart from that the spread over the seeds."""
    scores = paired_scores(counts, MEASURE, settings, seed)
    rows = [
        (
            value.mean(),
            *arm_interval(scores, arm, settings["confidence"]),
            value.std(ddof=1) if len(value) > 1 else np.nan,
            scores.sessions,
        )
        for arm, value in enumerate(scores.value)
    ]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)
