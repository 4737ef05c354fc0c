"""What moves a space, in a sentence and a table."""

import numpy as np
import pandas as pd

from lambdascape.figures.sweep import Sweep
from lambdascape.report.tables import Table, number
from lambdascape.similarity.moves import varies_alone

MAIN = "procrustes"  # the measure that the sentence speaks of, fixed beforehand; the table has all
SIGNIFICANT = 0.05
MEASURES = {
    "procrustes": "Procrustes distance",
    "cka": "Debiased linear CKA",
    "jaccard_10": "Jaccard index of 10 neighbours",
    "jaccard_100": "Jaccard index of 100 neighbours",
    "rsa": "RSA of class × session means",
}
NOTE = (
    "Procrustes: 0 for equal spaces, about 1 for unrelated ones; all others the other way round. Excess: how much "
    "farther what varies moves the space, changed alone, than the seed does, changed alone; below 0 it moves it less. "
    "Gap: how much less alike pairs are when both differ than when the seed alone does; above 0 the setting leaves a "
    "trace that seeds do not wipe out. The sentences speak of the Procrustes distance; the p of the others are not "
    "corrected for their number."
)


def moved(sweep: Sweep, moves: pd.DataFrame) -> list[str]:
    """Say whether what varies moves the space more than the seed does, with the numbers.

    Args:
        sweep: the study's axis and runs.
        moves: moves.tsv of `similarity.moves.judge_moves`.

    Returns:
        The finding in one sentence, then what it rests on.
    """
    rows = moves.set_index("measure")
    if MAIN not in rows.index:
        return ["There are no two spaces to compare."]
    row: pd.Series[float] = rows.loc[MAIN]  # type: ignore[assignment]
    what = _what(sweep)
    return [*_finding(row, what, sweep.seeds()), *_numbers(row, what)]


def _what(sweep: Sweep) -> str:
    """What varies: the axis, or where it never varies alone, all that does."""
    return (
        sweep.symbol
        if not sweep.others or varies_alone(sweep)
        else f"{sweep.symbol} together with {sweep.others_in_words}"
    )


def _finding(row: "pd.Series[float]", what: str, seeds: int) -> list[str]:
    """Whether what varies moves the space more than the seed does, then whether at all."""
    if np.isnan(row["p"]) or np.isnan(row["p_excess"]):
        if seeds < 2:
            return [f"With one seed there is no noise floor: whether {what} moves the space more cannot be said."]
        return ["Nothing varies between runs of one seed, so nothing but the seed can move the space."]
    sizes = f"{number(row['axis'])} against {number(row['seed'])}"
    test = _test(row["p_excess"], row["smallest_p_excess"])
    if row["p_excess"] <= SIGNIFICANT:
        side = "more" if row["excess"] > 0 else "less"
        first = f"{_capital(what)} moves the space {side} than the seed does: {sizes} ({test})."
    else:
        first = f"Whether {what} or the seed moves the space more, these runs do not settle: {sizes} ({test})."
    test = _test(row["p"], row["smallest_p"])
    if row["p"] <= SIGNIFICANT:
        return [first, f"That {what} leaves a trace that seeds do not wipe out is beyond chance, be it small ({test})."]
    if row["smallest_p"] > SIGNIFICANT:
        return [first, f"Whether {what} leaves a trace that seeds do not wipe out takes more runs to tell ({test})."]
    return [first, f"No trace of {what} that seeds do not wipe out is seen ({test})."]


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
    reason = "because a space is one point, or has other tiles"
    return sentences + ([f"{row['missing']:g} pairs of spaces cannot be compared, {reason}."] if row["missing"] else [])


def moves_summary(sweep: Sweep, moves: pd.DataFrame) -> Table:
    """All measures: the noise floor, the pairs that differ in what varies, the null, and the test."""
    what = _what(sweep)
    rows = [
        [
            MEASURES.get(str(row["measure"]), str(row["measure"])),
            *(number(row[column]) for column in ("seed", "axis", "both", "untrained", "mean_logmel")),
            *(number(row[column]) for column in ("excess", "p_excess", "gap", "p")),
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
            "Excess",
            "p of the excess",
            "Gap",
            "p of the gap",
        ],
        rows,
        note=NOTE,
    )


def _capital(words: str) -> str:
    return words if words.startswith("λ") else words[:1].upper() + words[1:]
