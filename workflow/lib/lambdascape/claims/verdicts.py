"""The tests of claims: each takes a measure of the runs and gives an estimate, its interval and a verdict."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from lambdascape.claims.curves import LITTLE, convergence_epoch, end_of_curve, share_still_falling
from lambdascape.claims.evidence import Curves, Floats, UntestableError
from lambdascape.claims.relations import correlates
from lambdascape.claims.results import ODDS, ClaimResult, Question, Told, Verdict, capital
from lambdascape.statistics.contrasts import POWER, Contrast, over_seeds
from lambdascape.study.setting_names import setting

PLACE_ONLY = "Only the place of the best is tested, not why it is the best."


def highest(question: Question) -> ClaimResult:
    """Whether one value is above every other, or for `lowest` below."""
    arms, evidence = question.evidence.arms(question.measure), question.evidence
    place = evidence.value_at(question.claim.given)
    others = [value for value in evidence.grid if value != place]
    below = question.claim.kind == "lowest"
    contrasts = [arms.contrast(other, place) if below else arms.contrast(place, other) for other in others]
    return _all_above_zero(question, contrasts, _means(question))


def ordered(question: Question) -> ClaimResult:
    """Whether the measure rises, or falls, from each value to the next larger one."""
    arms, grid = question.evidence.arms(question.measure), question.evidence.grid
    steps = [(larger, smaller) for smaller, larger in pairwise(grid)]
    steps = steps if question.claim.given == "rising" else [(smaller, larger) for larger, smaller in steps]
    return _all_above_zero(question, [arms.contrast(*step) for step in steps], _means(question))


def level(question: Question) -> ClaimResult:
    """Whether one value is above a level, or for `at_most` below."""
    arms, bound = question.evidence.arms(question.measure), float(question.claim.given["value"])
    alone = arms.alone(question.evidence.value_at(question.claim.given["place"]))
    if question.claim.kind == "at_least":
        beyond = replace(
            alone,
            words=f"{alone.words}, less {bound:g}",
            estimate=alone.estimate - bound,
            least=alone.least - bound,
            most=alone.most - bound,
        )
    else:
        beyond = replace(
            alone,
            words=f"{bound:g} less the value with {alone.words}",
            estimate=bound - alone.estimate,
            least=bound - alone.most,
            most=bound - alone.least,
        )
    return _all_above_zero(question, [beyond], _means(question))


def best_inside(question: Question) -> ClaimResult:
    """Whether a value inside the grid is above both ends, or for `lowest` below.

    Any of the inner values may confirm and either end may refute, so each has to pass at a stricter confidence. An end
    of the grid refutes only if it is an end of the hyperparameter's range, such as 0: otherwise the best may be beyond
    it, and the claim is undecided.
    """
    arms, grid = question.evidence.arms(question.measure), question.evidence.grid
    if len(grid) < 3:
        raise UntestableError(f"a grid needs at least 3 values to have an inside; this study has {len(grid)}.")
    ends, inner = (grid[0], grid[-1]), grid[1:-1]
    sign = 1 if question.claim.given == "highest" else -1

    def better(one: Any, other: Any) -> Contrast:
        return arms.contrast(one, other) if sign == 1 else arms.contrast(other, one)

    pairs = {one: [better(one, end) for end in ends] for one in inner}
    best = max(inner, key=lambda one: min(found.estimate for found in pairs[one]))
    told = _means(question)
    told = Told(f"{told.brief} {PLACE_ONLY}", f"{told.full} {PLACE_ONLY}")
    verdict: Verdict = "undecided"
    if any(_all_pass(found, question.stricter(len(inner))) for found in pairs.values()):
        verdict = "confirmed"
    as_claimed = all(found.estimate > 0 for found in pairs[best])
    finding = _finding(question, verdict, _most_open(pairs[best], question.confidence), told, as_claimed)
    for end in ends:
        against = [better(end, one) for one in inner]
        if not _all_pass(against, question.stricter(len(ends))):
            continue
        shown = _weakest(against, question.confidence)
        if end in question.evidence.ends:
            return _finding(question, "refuted", shown, told, as_claimed)
        name, side = setting(question.evidence.about, end), "below" if end == grid[0] else "above"
        power = f"The best value is an end of the grid, {name}: extend it, as the best may be {side}."
        return replace(_finding(question, "undecided", shown, told, as_claimed), power=power)
    return finding


def differs_at_most(question: Question) -> ClaimResult:
    """Whether two values differ by less than a margin: an equivalence test by its interval (Schuirmann 1987)."""
    arms, given = question.evidence.arms(question.measure), question.claim.given
    first, second = (question.evidence.value_at(place) for place in given["places"])
    if first == second:
        raise UntestableError(f"the claim compares two values of {question.evidence.symbol}; both are {first}.")
    margin = given["margin"] if "margin" in given else given["share"] * abs(arms.mean(first, second))
    found = arms.contrast(first, second)
    low, high = found.interval(question.confidence)
    strict_low, strict_high = found.interval(question.stricter(1))
    verdict: Verdict = "undecided"
    if -margin < low and high < margin:
        verdict = "confirmed"
    elif strict_low > margin or strict_high < -margin:
        verdict = "refuted"
    finding = _finding(question, verdict, found, _means(question), abs(found.estimate) < margin)
    told = f" A difference of at most {margin:.2g} counts as equal."
    finding = replace(finding, brief=finding.brief + told, evidence=finding.evidence + told)
    # Both ends have to be inside, so each may be missed in half of the remaining cases only.
    least = found.detectable(question.confidence, (1 + POWER) / 2)
    power = f"If there were no difference, a margin of {least:.2g} or more would have been confirmed {ODDS}."
    if not found.possible(least):
        power = f"If there were no difference, no possible margin would have been confirmed {ODDS}."
    return replace(finding, power=power) if found.known else finding


def falling_end(question: Question) -> ClaimResult:
    """Whether the curves of some values still fall at their end, or for `has_converged` no longer change."""
    curves = question.evidence.curves(question.measure)
    values = question.evidence.values_at(question.claim.given)
    shares = [
        over_seeds(
            f"share of the whole fall in the last quarter, {setting(question.evidence.about, value)}",
            np.array([share_still_falling(curve) for curve in curves[value]]),
        )
        for value in values
    ]
    words = _ends(question, curves, values)
    if question.claim.kind == "still_falling":
        beyond = [replace(one, words=f"{one.words}, less {LITTLE:g}", estimate=one.estimate - LITTLE) for one in shares]
        return _all_above_zero(question, beyond, words)
    # Converged: neither falling nor rising by more than little.
    left = [
        replace(one, words=f"{LITTLE:g} less the {one.words}", estimate=LITTLE - abs(one.estimate)) for one in shares
    ]
    return _all_above_zero(question, left, words)


def _ends(question: Question, curves: Curves, values: Sequence[Any]) -> Told:
    """How each curve ends: `λ = 1: converged at epoch 9 (2.1 → 1.57); λ = 0.1: …`."""
    about, brief, full = question.evidence.about, [], []
    for value in values:
        states = [end_of_curve(curve) for curve in curves[value]]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        brief.append(f"{setting(about, value)}: {counts}")
        full.append(f"{setting(about, value)}: {', '.join(map(_end, curves[value]))}")
    name = capital(question.measure.name)
    return Told(f"{'; '.join(brief)}.", f"{name}, seed by seed: {'; '.join(full)}.")


def _end(curve: Floats) -> str:
    words = {
        "falling": f"still falling at epoch {len(curve)}",
        "converged": f"converged at epoch {convergence_epoch(curve):.0f}",
        "rising": f"rising at epoch {len(curve)}",
        "unclear": f"unclear at epoch {len(curve)}",
    }[end_of_curve(curve)]
    return f"{words} ({curve[0]:.4g} → {curve[-1]:.4g})"


def _means(question: Question) -> Told:
    """The evidence for a comparison: the means, or for epochs of convergence how each curve ends."""
    evidence, measure = question.evidence, question.measure
    if measure.at == "convergence":
        return _ends(question, evidence.curves(measure), evidence.grid)
    arms, seeds = evidence.arms(measure), len(evidence.seeds)
    brief = f"{arms.in_brief}; {seeds} seed{'s' if seeds > 1 else ''}."
    return Told(brief, f"{capital(measure.name)}, {evidence.count_in_words}: {arms.in_words}.")


def _all_above_zero(question: Question, contrasts: list[Contrast], told: Told) -> ClaimResult:
    """Confirmed when every contrast is above 0, refuted when one of them is below.

    As all have to pass, none needs a stricter confidence to confirm (Berger 1982); as any may refute, each does.
    """
    strict = question.stricter(len(contrasts))
    missing = any(np.isnan(one.estimate) for one in contrasts)
    as_claimed = None if missing else all(one.estimate > 0 for one in contrasts)
    against = [one for one in contrasts if one.known and one.interval(strict)[1] < 0]
    if against:
        worst = min(against, key=lambda one: one.interval(strict)[1])
        return _finding(question, "refuted", worst, told, as_claimed)
    if _all_pass(contrasts, question.confidence):
        return _finding(question, "confirmed", _weakest(contrasts, question.confidence), told, as_claimed)
    finding = _finding(question, "undecided", _most_open(contrasts, question.confidence), told, as_claimed)
    if finding.high < 0:
        # The interval that is shown is that of one comparison, and by itself would refute.
        count = len(contrasts) * len(question.claim.measured)
        surer = f"One of {count} comparisons refutes only at a higher confidence (Bonferroni)."
        return replace(finding, power=f"{finding.power} {surer}")
    return finding


def _all_pass(contrasts: list[Contrast], confidence: float) -> bool:
    return all(one.known and one.interval(confidence)[0] > 0 for one in contrasts)


def _weakest(contrasts: list[Contrast], confidence: float) -> Contrast:
    """Of contrasts that all pass, the one nearest to failing."""
    return min(contrasts, key=lambda one: one.interval(confidence)[0])


def _most_open(contrasts: list[Contrast], confidence: float) -> Contrast:
    """Why not all are above 0: one without an interval, else of those not above it the lowest estimate."""
    unknown = [one for one in contrasts if not one.known]
    failing = [one for one in contrasts if one.interval(confidence)[0] <= 0]
    return min(unknown or failing or contrasts, key=lambda one: np.inf if np.isnan(one.estimate) else one.estimate)


def _finding(
    question: Question, verdict: Verdict, shown: Contrast, told: Told, as_claimed: bool | None = None
) -> ClaimResult:
    low, high = shown.interval(question.confidence)
    effect = shown.detectable(question.confidence)
    power = f"A difference of {effect:.2g} would have been detected {ODDS}."
    if not shown.known:
        power = _why_unknown(question, shown)
    elif not shown.possible(effect):
        power = f"With so few seeds no possible difference would have been detected {ODDS}."
    return ClaimResult(verdict, shown.words, shown.estimate, low, high, power, *told, as_claimed)


def _why_unknown(question: Question, shown: Contrast) -> str:
    """Why a contrast has no interval."""
    if np.isnan(shown.estimate) and question.measure.at == "convergence":
        return (
            "A curve has an unclear or rising end and so no epoch of convergence; one such curve of one seed leaves "
            "the whole claim undecided."
        )
    if np.isnan(shown.estimate):
        return "A run has no such value, so there is nothing to compare."
    if len(question.evidence.seeds) < 2:
        return "One seed: the spread between seeds is unknown, so no effect of any size could have been detected."
    return "One held-out session: the spread between sessions is unknown, so no effect could have been detected."


JUDGES: dict[str, Callable[[Question], ClaimResult]] = {
    "highest": highest,
    "lowest": highest,
    "ordered": ordered,
    "best_inside": best_inside,
    "differs_at_most": differs_at_most,
    "at_least": level,
    "at_most": level,
    "still_falling": falling_end,
    "has_converged": falling_end,
    "correlates": correlates,
}
