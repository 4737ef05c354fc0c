"""Arms of a study against each other: every pair on the same sessions and seeds, and the one that validation chooses.

An arm is a point of the sweep; its runs differ in the seed only. The spaces that no training of the study made are arms
too where they are compared: `untrained`, with a network for each seed, `mean_logmel`, and `own:<name>` for each space
of the user's own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.config.settings import Statistics
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.statistics.bootstrap import (
    PairedScores,
    arm_interval,
    difference,
    holm,
    paired_session_bootstrap,
    probability_best,
)
from lambdascape.statistics.metrics import accuracy, macro_f1
from lambdascape.study.run_table import read_spaces

Paths = Sequence[str | Path]

TEXT = ("split", "unit", "session", "label", "predicted")  # columns of converged_confusion.tsv
MEASURES = {"macro_f1": macro_f1, "accuracy": accuracy}
# What is compared first, and what chooses: fixed before any score was seen.
UNIT, MEASURE = "clip", "macro_f1"
ARMS, REFERENCES = "arms", "references"  # families of comparisons
ENDS = ["low", "high", "seed_sd", "wide_low", "wide_high", "p"]
PAIR = ["unit", "measure", "family", "first", "second"]
COMPARISON_COLUMNS = [*PAIR, "difference", *ENDS, "p_holm", "seeds", "sessions"]
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


def read_counts(spaces: pd.DataFrame, confusions: Paths, split: str, unit: str) -> Counts | None:
    """Gather the confusion matrices of the trained runs, and of baselines where they are among the spaces.

    A space without a seed, such as the mean log-mel, is judged once for each seed of the study, with the validation
    sessions of that seed: the column `draw` of its table is the number of the seed. Its draw k is paired with seed k;
    where there is one draw only, it stands for every seed.

    Args:
        spaces: rows of `run_table.read_spaces`: the trained runs, every arm with every seed, then baselines.
        confusions: for each space its converged_confusion.tsv.
        split: validation or test.
        unit: clip or tile.

    Returns:
        The counts, the arms of the baselines behind the others; None without labels.

    Raises:
        InputError: the draws of a space without a seed are neither one nor one for each seed.
    """
    trained = spaces[spaces["kind"] == "trained"]
    arms, seeds = [*dict.fromkeys(trained["arm"])], [*dict.fromkeys(trained["seed"].astype(int))]
    parts = []
    for arm, seed, path in zip(spaces["arm"], spaces["seed"], confusions, strict=True):
        table = read_table(path, text=TEXT)
        table = table[(table["split"] == split) & (table["unit"] == unit)]
        by_seed = _by_seed(table, seeds, path) if pd.isna(seed) else [table.assign(seed=int(seed))]
        parts += [part.assign(arm=arm) for part in by_seed]
    table = pd.concat(parts)
    if table.empty:
        return None
    arms += [arm for arm in dict.fromkeys(spaces["arm"]) if arm not in arms and (table["arm"] == arm).any()]
    classes, sessions = sorted(set(table["label"]) | set(table["predicted"])), sorted(set(table["session"]))
    sides = {"arm": arms, "seed": seeds, "session": sessions, "label": classes, "predicted": classes}
    counts = np.zeros([len(names) for names in sides.values()], np.int64)
    places = tuple(pd.Index(names).get_indexer(table[column]) for column, names in sides.items())
    np.add.at(counts, places, table["count"])
    return Counts(arms, seeds, counts)


def _by_seed(table: pd.DataFrame, seeds: list[int], path: str | Path) -> Iterator[pd.DataFrame]:
    """The counts of a space without a seed for each seed of the study."""
    draws = sorted(set(table["draw"]))
    if draws not in ([], [0], [*range(len(seeds))]):
        raise InputError(
            f"{path}: must have one draw, or one for each of the {len(seeds)} seeds of the study, numbered from 0; got "
            f"{', '.join(map(str, draws))}"
        )
    for number, seed in enumerate(seeds):
        yield (table if draws == [0] else table[table["draw"] == number]).assign(seed=seed)


def paired_scores(counts: Counts, measure: str, settings: Statistics, seed: int) -> PairedScores:
    """Score all arms and seeds, on all sessions and on resamples of them.

    Args:
        counts: see `read_counts`.
        measure: macro_f1 or accuracy.
        settings: how many resamples.
        seed: seed of the resamples.
    """
    return paired_session_bootstrap(counts.confusions, MEASURES[measure], settings.resamples, seed)


def compare_arms(
    runs_path: str | Path,
    spaces: Sequence[str],
    confusions: Paths,
    settings: Statistics,
    seed: int,
    output: str | Path,
) -> None:
    """Compare the trained arms with each other and with every baseline, paired by test session and by seed.

    See `bootstrap.difference` for the intervals and p. `bootstrap.holm` adjusts p within a family of comparisons, of
    one unit and measure: all pairs of trained arms are one family; the trained arms against one baseline are another,
    for each baseline, so that what is said of one does not depend on which others there are.

    Args:
        runs_path: runs.tsv.
        spaces: names of the trained runs, then of the baselines.
        confusions: for each space its converged_confusion.tsv.
        settings: of resamples and intervals.
        seed: seed of the resamples.
        output: table unit (clip | tile), measure (macro_f1 | accuracy), family (arms | references), first (a trained
            arm), second (a trained arm, or that of a baseline), difference (first less second), low, high (these runs
            on new sessions), seed_sd, wide_low, wide_high, p (new runs on new sessions), p_holm, seeds, sessions;
            header only where there is nothing to compare, as without labels.

    Raises:
        InputError: see `read_counts` and `run_table.read_spaces`.
    """
    tables = [pd.DataFrame(columns=COMPARISON_COLUMNS)]
    rows = read_spaces(runs_path, spaces)
    trained = int(rows.loc[rows["kind"] == "trained", "arm"].nunique())
    for unit in ("clip", "tile"):
        counts = read_counts(rows, confusions, "test", unit)
        if counts and len(counts.arms) > 1:
            tables += [_pairs(counts, trained, unit, measure, settings, seed) for measure in MEASURES]
    write_table(pd.concat(tables[1:] or tables), output)


def _pairs(counts: Counts, trained: int, unit: str, measure: str, settings: Statistics, seed: int) -> pd.DataFrame:
    """All comparisons of one unit and measure; the first `trained` arms are those of the sweep."""
    scores = paired_scores(counts, measure, settings, seed)
    pairs = [(ARMS, first, second) for first, second in combinations(range(trained), 2)]
    pairs += [(REFERENCES, arm, other) for other in range(trained, len(counts.arms)) for arm in range(trained)]
    rows = []
    for family, first, second in pairs:
        found = asdict(difference(scores, first, second, settings.confidence))
        names = {"family": family, "first": counts.arms[first], "second": counts.arms[second]}
        rows.append(names | {"difference": found.pop("value")} | found)
    table = pd.DataFrame(rows).assign(unit=unit, measure=measure, seeds=len(counts.seeds), sessions=scores.sessions)
    families = table["second"].where(table["family"] == REFERENCES, "")  # no arm has the name ''
    table["p_holm"] = table.groupby(families)["p"].transform(lambda p: holm(p.to_numpy(float)))
    return table[COMPARISON_COLUMNS]


def choose_arm(
    runs_path: str | Path,
    spaces: Sequence[str],
    confusions: Paths,
    settings: Statistics,
    seed: int,
    output: str | Path,
) -> None:
    """Choose the arm with the highest mean macro-F1 per clip on the validation sessions, the first of equals.

    The choice and the probability that it is right (`bootstrap.probability_best`) are functions of the validation
    sessions, which lie in the training split. The test scores stand beside them and choose nothing. Baselines are no
    candidates.

    Args:
        runs_path: runs.tsv.
        spaces: names of the trained runs.
        confusions: for each its converged_confusion.tsv.
        settings: of resamples and intervals.
        seed: seed of the resamples.
        output: table arm, chosen (0 | 1), probability_best, then for validation and for test: mean over the seeds, low
            and high (these runs on new sessions), seed_sd (standard deviation over the seeds), sessions; seeds. Header
            only without labels.

    Raises:
        InputError: see `run_table.read_spaces`.
    """
    rows = read_spaces(runs_path, spaces)
    splits = {split: read_counts(rows, confusions, split, UNIT) for split in ("validation", "test")}
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


def _summary(counts: Counts, settings: Statistics, seed: int) -> pd.DataFrame:
    """Mean over the seeds of each arm, its interval over sessions, and apart from that the spread over the seeds."""
    scores = paired_scores(counts, MEASURE, settings, seed)
    rows = [
        (
            value.mean(),
            *arm_interval(scores, arm, settings.confidence),
            value.std(ddof=1) if len(value) > 1 else np.nan,
            scores.sessions,
        )
        for arm, value in enumerate(scores.value)
    ]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)
