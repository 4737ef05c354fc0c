"""What moves a space, in a sentence and a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lambdascape.core.declarations import declared
from lambdascape.report.formatting import Table, number
from lambdascape.similarity.seed_test import varies_alone
from lambdascape.study.run_table import Sweep

MAIN = "procrustes"  # the measure that the sentence speaks of, fixed beforehand; the table has all
SIGNIFICANT = 0.05
NOTE = (
    "Procrustes: 0 for equal spaces, about 1 for unrelated ones; all others the other way round. Excess: how much "
    "farther what varies moves the space, changed alone, than the seed does, changed alone, in these runs; below 0 "
    "less far. Its p asks whether it differs from what it would be if neither mattered, not which of the two matters "
    "more. "
    "Gap: how much less alike pairs are when both differ than when the seed alone does; above 0 the setting leaves a "
    "trace that seeds do not wipe out. The sentences speak of the Procrustes distance; the p of the others are not "
    "corrected for their number. Null: the CKA of two spaces that share their classes and nothing else, found by "
    "exchanging sessions of one class, means over pairs of trained spaces. CKA compares tiles of different sessions "
    "only; unrelated spaces have 0 on average, and single values below 0 are not cut."
)


def moved(sweep: Sweep, moves: pd.DataFrame) -> list[str]:
    """Say how far what varies and how far the seed moves the space, and what the tests of it say.

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
    """What varies: the axis, or where it never varies alone, all that does."""
    return (
        sweep.symbol
        if not sweep.others or varies_alone(sweep)
        else f"{sweep.symbol} together with {sweep.others_in_words}"
    )


def _finding(row: "pd.Series[float]", what: str, seeds: int) -> list[str]:
    """How far what varies and the seed move the space as observed, what the excess is tested for, whether any trace."""
    if row["missing"] and row[["seed", "axis", "both"]].isna().all():
        return [f"How far the spaces of two runs lie apart cannot be said: {row['note']}."]
    if np.isnan(row["p"]) or np.isnan(row["p_excess"]):
        if seeds < 2:
            return [f"With one seed there is no noise floor: whether {what} moves the space farther cannot be said."]
        return ["Nothing varies between runs of one seed, so nothing but the seed can move the space."]
    sizes = f"{number(row['axis'])} against {number(row['seed'])}"
    side = "farther" if row["excess"] > 0 else "less far"
    observed = f"In these runs {what} moves the space {side} than the seed does, on average: {sizes}, without a test."
    test = _test(row["p_excess"], row["smallest_p_excess"])
    differs = "differs" if row["p_excess"] <= SIGNIFICANT else "is not seen to differ"
    tested = f"The difference {differs} from what it would be if neither {what} nor the seed mattered ({test})"
    first = [observed, f"{tested}; which of the two matters more is not tested."]
    test = _test(row["p"], row["smallest_p"])
    if row["p"] <= SIGNIFICANT:
        return [
            *first,
            f"That {what} leaves a trace that seeds do not wipe out is beyond chance, be it small ({test}).",
        ]
    if row["smallest_p"] > SIGNIFICANT:
        return [*first, f"Whether {what} leaves a trace that seeds do not wipe out takes more runs to tell ({test})."]
    return [*first, f"No trace of {what} that seeds do not wipe out is seen ({test})."]


def _test(p: float, least: float) -> str:
    return f"permutation test over runs, p = {number(p)}, least possible {number(least)}"


def _numbers(row: "pd.Series[float]", what: str) -> list[str]:
    """The distances behind the finding; half a squared distance, 0 for equal spaces and 1 for unrelated ones."""
    parts = [f"the seed alone {number(row['seed'])}"] if not np.isnan(row["seed"]) else []
    parts += [f"{what} alone {number(row['axis'])}"] if not np.isnan(row["axis"]) else []
    parts += [f"both {number(row['both'])}"] if not np.isnan(row["both"]) else []
    null = [
        f"{number(row[kind])} from the {words}"
        for kind, words in (("untrained", "untrained networks"), ("mean_logmel", "mean log-mel"))
        if not np.isnan(row[kind])
    ]
    sentences = [f"Mean Procrustes distance (0 equal, 1 unrelated): {', '.join(parts)}."] if parts else []
    sentences += [f"The trained spaces lie {' and '.join(null)}."] if null else []
    if row["missing"]:
        return [*sentences, f"{row['missing']:g} pairs of spaces cannot be compared: {row['note']}."]
    if row["note"]:
        cause = "Part of it comes from scoring the rotation on classes on which it was not fitted"
        sentences += [f"{cause}: {row['note']}."]
    return sentences


def _null(row: "pd.Series[float]") -> list[str]:
    """What the CKA of spaces would be that share their classes alone, or why that is not known."""
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
        "How much alike spaces are, by what differs between them, means over pairs",
        [
            "Measure",
            "Seed alone (noise floor)",
            f"{_capital(what)} alone",
            "Both",
            "Against untrained",
            "Against mean log-mel",
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
