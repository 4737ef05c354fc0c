"""The arms against each other, in the words and tables of the report."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lambdascape.report.formatting import NOTHING, Table, number, span
from lambdascape.study.run_table import Sweep
from lambdascape.tables.comparisons import ARMS, MEASURE, REFERENCES, UNIT
from lambdascape.tables.label_free import NAMES

MOST_NAMED = 5  # pairs in a sentence


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, each as column to value."""
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]


def chosen_arm(choice: pd.DataFrame) -> str:
    """The arm that validation chooses; empty without labels."""
    return str(choice["arm"][choice["chosen"] == 1].iloc[0]) if len(choice) else ""


def main_pairs(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The pairs of trained arms, by the measure that was fixed before any score was seen."""
    return _main(comparisons, ARMS)


def reference_pairs(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The trained arms (`first`) against the spaces that no training of the study made (`second`), by that measure."""
    return _main(comparisons, REFERENCES)


def _main(comparisons: pd.DataFrame, family: str) -> pd.DataFrame:
    keep = {"unit": UNIT, "measure": MEASURE, "family": family}
    return comparisons[(comparisons[list(keep)] == pd.Series(keep)).all(axis=1)]


def in_words(pair: dict[str, Any], sign: int = 1) -> str:
    """A difference with its interval and p, such as `-0.050 (-0.150 to 0.050 for new runs on new sessions; p 0.300 …)`.

    Args:
        pair: a row of comparisons.tsv.
        sign: -1 to turn it round.
    """
    words = number(sign * pair["difference"])
    if pd.isna(pair["low"]):
        return f"{words}, without an interval, which needs two held-out sessions"
    if pd.isna(pair["p"]):
        return f"{words} ({_turned(pair, sign, 'low', 'high')} for these runs on new sessions; no p with one seed)"
    p = f"p {p_value(pair['p'])}, after Holm {p_value(pair['p_holm'])}"
    return f"{words} ({_turned(pair, sign, 'wide_low', 'wide_high')} for new runs on new sessions; {p})"


def _turned(pair: dict[str, Any], sign: int, low: str, high: str) -> str:
    """An interval of a pair, turned with the sign of its difference."""
    return span(*sorted((sign * pair[low], sign * pair[high])))


def p_value(p: float) -> str:
    """A p-value as in a table."""
    if pd.isna(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


HEADER = ["Pair", "Difference", "These runs", "Spread of seeds", "New runs", "p", "p, Holm"]
PAIRED = (
    "Paired by session and by seed. These runs: interval over resampled sessions, the runs as they are. Spread of "
    "seeds: standard deviation of the difference from seed to seed. New runs: interval for other seeds on other "
    "sessions, to which p belongs (Obuchowski and Rockette 1995); it needs two seeds."
)


def comparison_table(sweep: Sweep, comparisons: pd.DataFrame, level: float) -> Table | None:
    """Every pair of arms, those that differ set strong; None with one arm or without labels."""
    pairs, labels = main_pairs(comparisons), sweep.arms
    if pairs.empty:
        return None
    return Table(
        f"Every pair of {sweep.symbol}: macro-F1 per clip on {pairs['sessions'].iloc[0]} held-out sessions",
        HEADER,
        [_cells(pair, labels) for pair in records(pairs)],
        strong=[place for place, p in enumerate(pairs["p_holm"]) if p < level],
        note=f"{PAIRED} Holm: p adjusted for all pairs of this table; bold where it is significant.",
    )


def reference_table(sweep: Sweep, comparisons: pd.DataFrame, level: float) -> Table | None:
    """Every arm compared with every baseline; None without labels."""
    pairs, labels = reference_pairs(comparisons), sweep.arms | sweep.kinds
    if pairs.empty:
        return None
    return Table(
        f"Trained networks compared with baselines: macro-F1 per clip on {pairs['sessions'].iloc[0]} held-out sessions",
        HEADER,
        [_cells(pair, labels) for pair in records(pairs)],
        strong=[place for place, p in enumerate(pairs["p_holm"]) if p < level],
        note=f"{PAIRED} A space without a seed is the same for all of them, except for the validation sessions of its "
        "probe. Holm: p adjusted for the comparisons with the same space; bold where it is significant.",
    )


def _cells(pair: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """A comparison as a row of a table."""
    return [
        f"{labels[pair['first']]} less {labels[pair['second']]}",
        number(pair["difference"]),
        span(pair["low"], pair["high"]),
        number(pair["seed_sd"]),
        span(pair["wide_low"], pair["wide_high"]),
        p_value(pair["p"]),
        p_value(pair["p_holm"]),
    ]


def comparison_sentence(sweep: Sweep, comparisons: pd.DataFrame, level: float) -> str:
    """What the pairs say together; empty with one arm or without labels."""
    pairs, labels = main_pairs(comparisons), sweep.arms
    if pairs.empty:
        return ""
    if pairs["p_holm"].isna().all():
        return "Whether two of them differ is unknown: that takes two seeds and two held-out sessions."
    count = f"{len(pairs)} comparisons" if len(pairs) > 1 else "one comparison"
    found = pairs[pairs["p_holm"] < level].sort_values("p_holm", kind="stable")
    if found.empty:
        return (
            f"No pair of {sweep.symbol} differs after Holm’s correction for {count} "
            f"(smallest p {p_value(pairs['p_holm'].min())})."
        )
    named = [_pair_in_words(pair, labels) for pair in records(found.head(MOST_NAMED))]
    rest = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    verb = "pair differs" if len(found) == 1 else "pairs differ"
    return f"After Holm’s correction for {count}, {len(found)} {verb}: {'; '.join(named)}{rest}."


def _pair_in_words(pair: dict[str, Any], labels: dict[str, str]) -> str:
    higher, lower = ("first", "second") if pair["difference"] > 0 else ("second", "first")
    p = p_value(pair["p_holm"])
    return (
        f"{labels[pair[higher]]} scores {number(abs(pair['difference']))} above {labels[pair[lower]]} "
        f"(p {p if p.startswith('<') else f'= {p}'})"
    )


def choice_table(sweep: Sweep, choice: pd.DataFrame) -> Table | None:
    """What validation says of each arm, and what the held-out sessions then say; None without labels."""
    if choice.empty:
        return None
    labels = sweep.arms
    rows = [
        [
            labels[row["arm"]],
            *_scores(row, "validation"),
            number(row["probability_best"], 2),
            *_scores(row, "test"),
        ]
        for row in records(choice)
    ]
    return Table(
        "Macro-F1 per clip, means over seeds, on validation sessions, which choose, and on held-out sessions, which "
        "judge",
        [
            sweep.axis if sweep.key else "Runs",
            "Validation",
            "Interval",
            "Spread of seeds",
            "Probability of being best",
            "Held out",
            "Interval",
            "Spread of seeds",
        ],
        rows,
        strong=[place for place, chosen in enumerate(choice["chosen"]) if chosen],
        note="Bold: chosen. Intervals resample sessions, the runs as they are; the spread is the standard deviation "
        "over the seeds. The probability is the share of resamples of validation sessions and of seeds in which the "
        "mean is the highest.",
    )


def _scores(row: dict[str, Any], split: str) -> list[str]:
    ends = span(row[f"{split}_low"], row[f"{split}_high"])
    return [number(row[f"{split}_mean"]), ends, number(row[f"{split}_seed_sd"])]


def selection_table(sweep: Sweep, selection: pd.DataFrame) -> Table | None:
    """What each criterion would have picked without labels; None with one arm or without labels."""
    if selection.empty:
        return None
    labels = sweep.arms | {"": NOTHING}
    rows = [
        [
            NAMES[row["criterion"]],
            row["better"],
            labels[row["picks"]],
            number(row["correlation"], 2),
            span(row["low"], row["high"]),
            number(row["difference"]),
            span(row["difference_low"], row["difference_high"]),
        ]
        for row in records(selection)
    ]
    return Table(
        f"Choices without labels; the labels choose {labels[selection['labels_pick'].iloc[0]]}",
        [
            "Measure",
            "Better",
            "Picks",
            "Rank correlation",
            "Interval",
            "Score of the pick less that of the labels’ pick",
            "Interval",
        ],
        rows,
        words=3,
        strong=[place for place, agrees in enumerate(selection["agrees"]) if agrees == 1],
        note="Measured on held-out triplets after the last epoch and on held-out tiles. Rank correlation: Spearman’s, "
        f"across the {sweep.symbol}, of the measure, signed so that more is better, with macro-F1 per clip; at 1 it "
        "ranks as the labels do. Its interval comes from resampled sessions and seeds; with few values it is coarse. "
        "Scores: held-out macro-F1, with the interval of the difference for these runs. Bold: it picks what the labels "
        "pick.",
    )


def selection_sentence(sweep: Sweep, selection: pd.DataFrame) -> str:
    """Which criteria pick what the labels pick; empty where there is none."""
    known = selection[selection["picks"] != ""]
    if known.empty:
        return ""
    labels = sweep.arms
    chosen = labels[known["labels_pick"].iloc[0]]
    right = [NAMES[name] for name in known["criterion"][known["agrees"] == 1]]
    parts = [
        f"{NAMES[row['criterion']]} picks {labels[row['picks']]} "
        f"({_signed(row['difference'])} held-out macro-F1 compared with the labels’ pick)"
        for row in records(known[known["agrees"] == 0])
    ]
    if not right:
        return f"None of these measures picks {chosen}, as the labels do: {'; '.join(parts)}."
    same = f"Without labels, {listed(right)} would have picked {chosen}, as the labels do"
    return f"{same}; {'; '.join(parts)}." if parts else f"{same}."


def _signed(difference: float) -> str:
    return f"{'+' if difference > 0 else ''}{number(difference)}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
