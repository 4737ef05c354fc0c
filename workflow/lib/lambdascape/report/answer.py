"""The answer of a study in a few sentences, each computed from the scores."""

from dataclasses import dataclass

import pandas as pd

from lambdascape.report.comparisons_section import (
    chosen_arm,
    in_words,
    listed,
    main_pairs,
    records,
    reference_pairs,
)
from lambdascape.report.formatting import NOTHING, converged, number, span
from lambdascape.study.run_table import Sweep

FEW_SEEDS = 5  # with fewer seeds their spread is not well known


@dataclass(frozen=True)
class Answer:
    """What the scores say.

    Attributes:
        headline: the finding in one sentence.
        sentences: the numbers it rests on, and what limits it.
        numbers: the scores in words, which also describe the main figure for screen readers.
    """

    headline: str
    sentences: list[str]
    numbers: str = ""


def answer(
    sweep: Sweep, scores: pd.DataFrame, choice: pd.DataFrame, comparisons: pd.DataFrame, confidence: float
) -> Answer:
    """Say what validation chooses, how that scores on held-out sessions, and which arms it differs from there.

    Only the validation sessions decide which arm is called the best. It differs from another one if the comparison on
    the held-out sessions is significant after Holm's correction.

    Args:
        sweep: the study's axis and runs.
        scores: scores.tsv; without rows the data have no labels.
        choice: choice.tsv.
        comparisons: comparisons.tsv.
        confidence: of the intervals; 1 less it is the level of the tests.

    Returns:
        The answer; without labels it says that nothing was scored.
    """
    rows = converged(scores, sweep.trained["run"], "macro_f1").merge(sweep.trained, on="run")
    if rows.empty or choice.empty:
        return Answer(
            "The data have no labels, so nothing was scored.",
            ["Without labels no probe can be fitted. The training, the maps and the geometry follow."],
        )
    means = rows.groupby("axis_value")["value"].mean()
    parts = ", ".join(f"{number(means[one])}{_at(sweep, one)}" for one in sweep.values if one in means)
    seeds = int(choice["seeds"].iloc[0])
    count = f"mean of {seeds} seeds" if seeds > 1 else "one seed"
    numbers = f"Macro-F1 per clip on held-out sessions ({count}): {parts}."
    references = _references(sweep, choice, comparisons)
    sentences = [
        numbers,
        _choice(sweep, choice),
        _primary(sweep, choice, comparisons),
        *references,
        _others(sweep),
        _limits(seeds, len(choice)),
    ]
    return Answer(
        _headline(sweep, choice, comparisons, 1 - confidence),
        [one for one in sentences if one],
        " ".join([numbers, *references]),
    )


def _at(sweep: Sweep, value: object) -> str:
    """Where on the axis, as it follows a number; nothing where nothing varies."""
    return f" at {sweep.label(value)}" if sweep.key else ""


def _headline(sweep: Sweep, choice: pd.DataFrame, comparisons: pd.DataFrame, level: float) -> str:
    """The finding in one sentence."""
    labels, chosen = sweep.arms, chosen_arm(choice)
    name = labels[chosen]
    if len(choice) == 1:
        return "The study trains one setting, so it compares none."
    if choice["seeds"].iloc[0] < 2:
        return f"{_capital(name)} is chosen on validation sessions, but with one seed that may be chance."
    below, above, level_with = told_from(labels, comparisons, chosen, level)
    if above:
        rest = listed(above)
        return f"{_capital(name)} is chosen on validation sessions, but scores below {rest} on held-out ones."
    if not below:
        return (
            f"No {sweep.symbol} stands out: {name} is chosen on validation sessions, but does not differ "
            "significantly from "
            "any other on held-out ones."
        )
    words = f"{_capital(name)}, chosen on validation sessions, scores above"
    if not level_with:
        return f"{words} every other {sweep.symbol} on held-out ones."
    return f"{words} {listed(below)} on held-out ones, but does not differ significantly from {listed(level_with)}."


def told_from(
    labels: dict[str, str], comparisons: pd.DataFrame, chosen: str, level: float
) -> tuple[list[str], list[str], list[str]]:
    """Names of the arms that score below the chosen one, above it, and neither, after Holm's correction."""
    groups: tuple[list[str], list[str], list[str]] = ([], [], [])
    for pair in records(main_pairs(comparisons)):
        if chosen not in (pair["first"], pair["second"]):
            continue
        other = pair["second"] if pair["first"] == chosen else pair["first"]
        higher = pair["first"] if pair["difference"] > 0 else pair["second"]
        groups[int(higher != chosen) if pair["p_holm"] < level else 2].append(labels[other])
    return groups


def _choice(sweep: Sweep, choice: pd.DataFrame) -> str:
    """What validation chooses, how sure that is, and its score on held-out sessions."""
    rows, labels = records(choice), sweep.arms
    row = next(one for one in rows if one["chosen"])
    ends = span(row["test_low"], row["test_high"])
    held_out = f"{number(row['test_mean'])} on held-out sessions" + (f" ({ends})" if ends != NOTHING else "")
    if len(choice) == 1:
        return f"It scores {held_out}."
    words = (
        f"The validation sessions, which alone decide, choose {labels[row['arm']]}, with a probability of "
        f"{number(row['probability_best'], 2)} of being the best; it scores {held_out}. Their labels were unseen, but "
        "the networks were trained on their audio."
    )
    highest = max(rows, key=lambda one: float(one["test_mean"]))
    if highest["test_mean"] > row["test_mean"]:
        words += (
            f" {_capital(labels[highest['arm']])} has a higher held-out mean, {number(highest['test_mean'])}, "
            "which is biased upwards, because it was selected there."
        )
    return words


def _primary(sweep: Sweep, choice: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """The comparison fixed beforehand: the chosen arm against the second on validation."""
    if len(choice) < 2:
        return ""
    labels, chosen = sweep.arms, chosen_arm(choice)
    rest = [one for one in records(choice) if one["arm"] != chosen]
    second = max(rest, key=lambda one: float(one["validation_mean"]))["arm"]
    pair = next(one for one in records(main_pairs(comparisons)) if {one["first"], one["second"]} == {chosen, second})
    sign = 1 if pair["first"] == chosen else -1
    first = f"The comparison fixed beforehand, {labels[chosen]} less the second on validation, {labels[second]}"
    return f"{first}: {in_words(pair, sign)}."


def _references(sweep: Sweep, choice: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """The chosen arm less each baseline, paired by session and seed, and what the baseline scores."""
    chosen, mean = chosen_arm(choice), choice.loc[choice["chosen"] == 1, "test_mean"].iloc[0]
    name = _capital(sweep.arms[chosen]) if sweep.key else "The trained network"
    return [
        f"{name} less the {sweep.kinds[pair['second']]} ({number(mean - pair['difference'])}), on the same sessions: "
        f"{in_words(pair)}."
        for pair in records(reference_pairs(comparisons))
        if pair["first"] == chosen
    ]


def _others(sweep: Sweep) -> str:
    """A warning when more than the axis differs between the runs."""
    if not sweep.others:
        return ""
    return (
        f"Not {sweep.symbol} alone differs between the runs, but also {sweep.others_in_words}: the "
        f"numbers above are means over that, and a difference may have another cause than {sweep.symbol}."
    )


def _limits(seeds: int, values: int) -> str:
    if values < 2 or seeds >= FEW_SEEDS:
        return ""
    count = "one seed" if seeds == 1 else f"{seeds} seeds"
    return f"With {count} chance is not excluded; that takes at least {FEW_SEEDS}."


def _capital(words: str) -> str:
    return words if words.startswith("λ") else words[:1].upper() + words[1:]
