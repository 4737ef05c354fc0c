"""What moves a space, in a sentence and a table."""

import numpy as np
import pandas as pd

from lambdascape.figures.sweep import Sweep
from lambdascape.report.tables import NOTHING, Table, number
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
    "Procrustes: 0 for equal spaces, about 1 for unrelated ones; all others the other way round. Gap: how much less "
    "alike pairs are when both differ than when the seed alone does. p: share of the ways to swap the values within "
    "each seed whose gap is at least as large. The sentence speaks of the Procrustes distance; the p of the others "
    "are not corrected for their number."
)


def moved(sweep: Sweep, moves: pd.DataFrame) -> list[str]:
    """Say whether what varies moves the space beyond what the seed does, with the numbers.

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
    return [_finding(row, what, sweep.seeds()), *_numbers(row, what), *_lone(row, what)]


def _what(sweep: Sweep) -> str:
    """What varies: the axis, or where it never varies alone, all that does."""
    return (
        sweep.symbol
        if not sweep.others or varies_alone(sweep)
        else f"{sweep.symbol} together with {sweep.others_in_words}"
    )


def _finding(row: "pd.Series[float]", what: str, seeds: int) -> str:
    if np.isnan(row["p"]):
        if seeds < 2:
            return f"With one seed there is no noise floor: whether {what} moves the space beyond it cannot be said."
        return "Nothing varies between runs of one seed, so nothing but the seed can move the space."
    p, least = number(row["p"]), number(row["smallest_p"])
    if row["p"] <= SIGNIFICANT:
        return f"{_capital(what)} moves the space beyond what the seed does (permutation test over runs, p = {p})."
    if row["smallest_p"] > SIGNIFICANT:
        return (
            f"Whether {what} moves the space beyond what the seed does cannot be settled with {seeds} seeds: p = {p}, "
            f"and with so few runs the test cannot give less than {least}."
        )
    return (
        f"{_capital(what)} is not seen to move the space beyond what the seed does (p = {p}, least possible {least})."
    )


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


def _lone(row: "pd.Series[float]", what: str) -> list[str]:
    """Which of the two moves the space farther when it alone changes."""
    if np.isnan(row["seed"]) or np.isnan(row["axis"]):
        return []
    side = "farther" if row["axis"] > row["seed"] else "less far"
    together = "runs that share a seed share the initial weights and the triplets, which keeps them together"
    return [f"Changed alone, {what} moves the space {side} than the seed does; {together}."]


def moves_summary(sweep: Sweep, moves: pd.DataFrame) -> Table:
    """All measures: the noise floor, the pairs that differ in what varies, the null, and the test."""
    what = _what(sweep)
    rows = [
        [
            MEASURES.get(str(row["measure"]), str(row["measure"])),
            *(number(row[column]) for column in ("seed", "axis", "both", "untrained", "mean_logmel", "gap", "p")),
            number(row["smallest_p"]),
            f"{row['arrangements']:,}" if row["arrangements"] else NOTHING,
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
            "Gap",
            "p",
            "Least possible p",
            "Arrangements tried",
        ],
        rows,
        note=NOTE,
    )


def _capital(words: str) -> str:
    return words if words.startswith("λ") else words[:1].upper() + words[1:]
