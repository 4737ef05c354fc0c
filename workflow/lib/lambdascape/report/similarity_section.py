"""What changes a space, the swept value or the seed: sentences and a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lambdascape.core.declarations import declared
from lambdascape.report.formatting import Table, number
from lambdascape.similarity.seed_test import varies_alone
from lambdascape.study.run_table import Sweep

MAIN = "procrustes"  # the measure of the sentences, fixed beforehand; the table has all
SIGNIFICANT = 0.05
NOTE = (
    "Procrustes: 0 for equal spaces, about 1 for unrelated ones; for all other measures 1 is equal. Excess: how much "
    "more the space changes if only what varies differs than if only the seed differs, in these runs; below 0, less. "
    "Its p tests whether it differs from its value if neither mattered, not which of the two matters more. "
    "Gap: how much less similar pairs are if both differ than if only the seed does; above 0 the setting has an "
    "effect beyond that of the seeds. The sentences are about the Procrustes distance; the p of the others are not "
    "corrected for their number. Null: the CKA of two spaces that share their classes and nothing else, estimated by "
    "exchanging sessions of one class, means over pairs of trained spaces. CKA compares tiles of different sessions "
    "only; unrelated spaces have 0 on average, and values below 0 are kept."
)


def moved(sweep: Sweep, moves: pd.DataFrame) -> list[str]:
    """Say how much what varies and how much the seed changes the space, and the results of the tests.

    Args:
        sweep: the study's axis and runs.
        moves: moves.tsv of `similarity.seed_test.judge_moves`.

    Returns:
        The finding in one sentence, then what it rests on.
    """
    rows = moves.set_index("measure")
    if MAIN not in rows.index:
        return ["There are no two spaces to compare."]
    row: pd.Series[float] = rows.loc[MAIN]  # type: ignore[assignment]
    what = _what(sweep)
    nulls = [sentence for _, row in moves[moves["measure"] == "cka"].iterrows() for sentence in _null(row)]
    return [*_finding(row, what, sweep.seeds()), *_numbers(row, what), *nulls]


def _what(sweep: Sweep) -> str:
    """What varies: the axis, or everything that varies if the axis never varies alone."""
    return (
        sweep.symbol
        if not sweep.others or varies_alone(sweep)
        else f"{sweep.symbol} together with {sweep.others_in_words}"
    )


def _finding(row: "pd.Series[float]", what: str, seeds: int) -> list[str]:
    """The observed effects of what varies and of the seed, the test of the excess, and the test of any effect."""
    if row["missing"] and row[["seed", "axis", "both"]].isna().all():
        return [f"The distance of the spaces of two runs is unknown: {row['note']}."]
    if np.isnan(row["p"]) or np.isnan(row["p_excess"]):
        if seeds < 2:
            return [f"With one seed there is no noise floor: whether {what} changes the space more is unknown."]
        return ["Nothing varies between runs of one seed, so only the seed can change the space."]
    sizes = f"{number(row['axis'])} compared with {number(row['seed'])}"
    side = "more" if row["excess"] > 0 else "less"
    observed = f"In these runs {what} changes the space {side} than the seed does, on average: {sizes} (not a test)."
    test = _test(row["p_excess"], row["smallest_p_excess"])
    differs = "is" if row["p_excess"] <= SIGNIFICANT else "is not"
    tested = (
        f"This {differs} significantly different from what it would be if neither {what} nor the seed mattered ({test})"
    )
    first = [observed, f"{tested}; which of the two matters more is not tested."]
    test = _test(row["p"], row["smallest_p"])
    if row["p"] <= SIGNIFICANT:
        seen = f"{_capital(what)} has a statistically significant effect beyond that of the seeds"
        return [*first, f"{seen}, though it may be small ({test})."]
    if row["smallest_p"] > SIGNIFICANT:
        return [*first, f"More runs are needed to test whether {what} has an effect beyond that of the seeds ({test})."]
    return [*first, f"No significant effect of {what} beyond that of the seeds is found ({test})."]


def _test(p: float, least: float) -> str:
    return f"permutation test over runs, p = {number(p)}, least possible {number(least)}"


def _numbers(row: "pd.Series[float]", what: str) -> list[str]:
    """The distances behind the result; half a squared distance, 0 for equal spaces and 1 for unrelated ones."""
    parts = [f"{number(row['seed'])} if only the seed differs"] if not np.isnan(row["seed"]) else []
    parts += [f"{number(row['axis'])} if only {what} differs"] if not np.isnan(row["axis"]) else []
    parts += [f"{number(row['both'])} if both differ"] if not np.isnan(row["both"]) else []
    null = [
        f"{number(row[kind])} from the {words}"
        for kind, words in (("untrained", "untrained networks"), ("mean_logmel", "mean log-mel"))
        if not np.isnan(row[kind])
    ]
    sentences = [f"Mean Procrustes distance (0 equal, 1 unrelated): {', '.join(parts)}."] if parts else []
    sentences += [f"Distance of the trained spaces: {' and '.join(null)}."] if null else []
    if row["missing"]:
        return [*sentences, f"{row['missing']:g} pairs of spaces cannot be compared: {row['note']}."]
    if row["note"]:
        cause = "Part of it comes from scoring the rotation on classes on which it was not fitted"
        sentences += [f"{cause}: {row['note']}."]
    return sentences


def _null(row: "pd.Series[float]") -> list[str]:
    """The CKA of spaces that share only their classes, or why it is unknown."""
    if np.isnan(row["null_mean"]):
        return [f"CKA: {row['note']}."] if row["note"] else []
    size = f"{number(row['null_mean'])} on average, below {number(row['null_95'])} in 95 of 100 cases"
    return [f"The CKA of spaces that share their classes and nothing else would be {size}."]


def moves_summary(sweep: Sweep, moves: pd.DataFrame, plugins: Sequence[str] = ()) -> Table:
    """All measures: the noise floor, the pairs that differ in what varies, the null, and the test."""
    known = declared("similarity_measure", plugins)
    what = _what(sweep)
    rows = [
        [
            str(known[row["measure"]].options["label"] if row["measure"] in known else row["measure"]),
            *(number(row[column]) for column in ("seed", "axis", "both", "untrained", "mean_logmel")),
            *(number(row[column]) for column in ("null_mean", "null_95", "excess", "p_excess", "gap", "p")),
        ]
        for _, row in moves.iterrows()
    ]
    return Table(
        "Similarity of spaces, by what differs between them, means over pairs",
        [
            "Measure",
            "Only the seed (noise floor)",
            f"Only {what}",
            "Both",
            "With untrained",
            "With mean log-mel",
            "Null: mean",
            "Null: 95th percentile",
            "Excess",
            "p if neither matters",
            "Gap",
            "p of the gap",
        ],
        rows,
        note=NOTE,
    )


def _capital(words: str) -> str:
    return words if words.startswith("λ") else words[:1].upper() + words[1:]
