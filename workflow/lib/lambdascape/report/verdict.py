"""The answer of a study in a few sentences, each computed from the scores."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.figures.sweep import REFERENCES, Sweep
from lambdascape.report.tables import converged, number
from lambdascape.verdicts import compare

FEW_SEEDS = 5  # with fewer seeds the spread over them is a weak yardstick


@dataclass(frozen=True)
class Answer:
    """What the scores say.

    Attributes:
        headline: the finding in one sentence.
        sentences: the numbers it rests on, and what limits it.
        numbers: the scores in words, which also describe the main figure to who cannot see it.
    """

    headline: str
    sentences: list[str]
    numbers: str = ""


def answer(sweep: Sweep, scores: pd.DataFrame) -> Answer:
    """Say which value scored best, against its neighbours, the references, and the spread of the seeds.

    "By more than seeds differ" is the rule of `verdicts.compare`: greater for every seed, and by more than
    the largest difference between two seeds of one value.

    Args:
        sweep: the study's axis and runs.
        scores: scores.tsv; without rows the data have no labels.

    Returns:
        The answer; without labels it says that nothing was scored.
    """
    rows = converged(scores, sweep.trained["run"], "macro_f1").merge(sweep.trained, on="run")
    if rows.empty:
        return Answer(
            "The data have no labels, so nothing was scored.",
            ["Without labels no probe can be fitted. The training, the maps and the geometry follow."],
        )
    by_seed = rows.pivot_table(index="seed", columns="setting", values="value", aggfunc="mean").dropna()
    by_seed = by_seed if len(by_seed) else rows.pivot_table(columns="setting", values="value", aggfunc="mean")
    means = by_seed.mean().sort_values(ascending=False, kind="stable")
    parts = ", ".join(f"{number(means[one])}{_at(sweep, one)}" for one in sweep.values if one in means)
    seeds = f"mean of {len(by_seed)} seeds" if len(by_seed) > 1 else "one seed"
    numbers = f"Macro-F1 per clip on held-out sessions ({seeds}): {parts}."
    references = _references(sweep, scores, rows[rows["setting"] == means.index[0]])
    sentences = [
        numbers,
        _interval(sweep, rows, list(means.index)),
        *references,
        _selection(sweep, scores, means),
    ]
    sentences += [_others(sweep), _limits(len(by_seed), len(means))]
    return Answer(
        _headline(sweep, by_seed, list(means.index)),
        [one for one in sentences if one],
        " ".join([numbers, *references]),
    )


def _at(sweep: Sweep, value: object) -> str:
    """Where on the axis, as it follows a number; nothing where nothing varies."""
    return f" at {sweep.label(value)}" if sweep.key else ""


def _headline(sweep: Sweep, by_seed: pd.DataFrame, order: list[Any]) -> str:
    """The finding; `order` holds the values from the best mean to the worst."""
    best, others = order[0], order[1:]
    name = sweep.label(best)
    if not others:
        return "The study trains one setting, so it compares none."
    if len(by_seed) < 2:
        return f"{_capital(name)} scored highest, but with one seed that may be chance."
    level = [one for one in others if compare(by_seed[best].to_numpy(), by_seed[one].to_numpy()) != 1]
    if not level:
        return f"{_capital(name)} scored highest, by more than seeds differ."
    if len(level) == len(others):
        return f"No {sweep.symbol} stands out: {name} has the highest mean, but within what seeds differ by."
    rest = " and ".join(sweep.label(one) for one in level)
    return f"{_capital(name)} has the highest mean, but {rest} cannot be told from it by these seeds."


def _interval(sweep: Sweep, rows: pd.DataFrame, order: list[Any]) -> str:
    """The intervals of the best value beside those of the runner-up."""
    ends = rows.groupby("setting").agg(low=("low", "min"), high=("high", "max"))
    best = ends.loc[order[0]]
    if np.isnan(best["low"]):
        return "There are no intervals: they need at least two held-out sessions."
    low, high = number(best["low"]), number(best["high"])
    words = f"Resampling the held-out sessions, the runs{_at(sweep, order[0])} lie between {low} and {high}"
    if len(order) == 1:
        return f"{words}."
    second = ends.loc[order[1]]
    verb = "overlaps" if second["high"] >= best["low"] else "lies below"
    low, high = number(second["low"]), number(second["high"])
    return f"{words}; the range of the runner-up, {sweep.label(order[1])}, {verb} ({low} to {high})."


def _references(sweep: Sweep, scores: pd.DataFrame, best: pd.DataFrame) -> list[str]:
    """The runs of the best value against each reference space that was scored."""
    sentences = []
    for kind, words in REFERENCES.items():
        runs = sweep.references.loc[sweep.references["kind"] == kind, "run"]
        reference = converged(scores, runs, "macro_f1")
        if reference.empty:
            continue
        gap = best["value"].mean() - reference["value"].mean()
        side = "above" if gap > 0 else "below"
        mean = f"The mean{_at(sweep, best['setting'].iloc[0])} is {number(abs(gap))} {side} the {words}"
        apart = best["low"].min() > reference["high"].max() or best["high"].max() < reference["low"].min()
        known = best["low"].notna().all() and reference["low"].notna().all()
        intervals = f"; their intervals {'do not overlap' if apart else 'overlap'}" if known else ""
        sentences.append(f"{mean} ({number(reference['value'].mean())}){intervals}.")
    return sentences


def _selection(sweep: Sweep, scores: pd.DataFrame, means: "pd.Series[float]") -> str:
    """What the validation sessions, which alone may choose, would have chosen."""
    rows = converged(scores, sweep.trained["run"], "macro_f1", split="validation").merge(sweep.trained, on="run")
    if rows.empty or len(means) < 2:
        return ""
    chosen = rows.groupby("setting")["value"].mean().idxmax()
    if chosen == means.index[0]:
        return f"The validation sessions, which alone may choose, choose {sweep.label(chosen)} too."
    return (
        f"The validation sessions, which alone may choose, choose {sweep.label(chosen)} instead, with "
        f"{number(means.get(chosen))} on the held-out ones: the highest held-out score is flattered by "
        "having been picked there."
    )


def _others(sweep: Sweep) -> str:
    """A warning when more than the axis differs between the runs."""
    if not sweep.others:
        return ""
    return (
        f"Not {sweep.symbol} alone differs between the runs, but also {sweep.others_in_words}: the "
        f"numbers above are means over that, and a difference need not come from {sweep.symbol}."
    )


def _limits(seeds: int, values: int) -> str:
    if values < 2 or seeds >= FEW_SEEDS:
        return ""
    count = "one seed" if seeds == 1 else f"{seeds} seeds"
    return f"With {count} luck is not ruled out; that takes at least {FEW_SEEDS}."


def _capital(words: str) -> str:
    return words if words.startswith("λ") else words[:1].upper() + words[1:]
