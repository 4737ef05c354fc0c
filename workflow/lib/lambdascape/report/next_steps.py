"""What to do next, by rules that the report prints beside what they found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.claims.curves import LITTLE, SHORTEST_CURVE, share_still_falling
from lambdascape.config.settings import Config
from lambdascape.mechanism.rules import COLLAPSE
from lambdascape.report.answer import FEW_SEEDS, told_from
from lambdascape.report.comparisons_section import chosen_arm, in_words, listed, main_pairs, records, reference_pairs
from lambdascape.report.formatting import ends_of_grid, number
from lambdascape.statistics.power import Precision, precision_of
from lambdascape.study.run_table import Sweep, text
from lambdascape.tables.flagged import flagged

FLAT = 0.05  # of macro-F1: differences below it are called flat, and studies are planned to detect it
LOSS = "loss_all"  # over all triplets: which are active changes while the network learns
WIDEST_STEP = 10.0  # factor from the end of a grid to the next value
RULES = {
    "Collapse": "Half of a value’s runs or more have collapsed, by their flags or the mechanism: leave it out.",
    "Reference": "The interval of the chosen value less the untrained network, on the same sessions, is not "
    "above 0: training must help before its settings can matter.",
    "Seeds": f"Fewer than two seeds: run {FEW_SEEDS}. The next four rules need them.",
    "Flat": "Neighbouring values that do not differ significantly from the chosen one: if every interval of their "
    f"differences, for new runs, is within ±{FLAT:g}, the response is flat between them.",
    "Power": "Otherwise more seeds are needed, or more sessions: as many as would detect a difference of "
    f"{FLAT:g} between the chosen value and the second on validation with 80 % probability.",
    "Edge": "The chosen value ends the grid, or the response is flat up to an end: run two more beyond that end, by "
    f"the factor of the last step, at most {WIDEST_STEP:g}; not where that end has collapsed.",
    "Peak": "The chosen value differs significantly from both its neighbours: run the geometric means between them.",
    "Choice": "On held-out sessions another value scores higher than the chosen one: more validation sessions are "
    "needed.",
    "Penalty": "C of the converged probe is at an end of its grid in half of the spaces or more: extend the grid. "
    "If a larger C changes no score, the classes separate and the probe needs no penalty.",
    "Training": f"The training loss of the chosen value’s runs still falls by more than {LITTLE * 100:g} % of its "
    "whole fall over the last quarter of the epochs: train longer.",
}


@dataclass(frozen=True)
class NextStep:
    """One piece of advice: the rule it follows from, what to do, and the numbers that say so."""

    rule: str
    what: str
    why: str


@dataclass(frozen=True)
class Advice:
    """What to do next.

    Attributes:
        steps: the advice, what must come first before the rest.
        values: values of the axis to run next beside those at hand; empty where none is missing.
        seeds: how many seeds to run; 0 where those at hand do.
        overlay: the lines of a config that run them; empty where there is nothing to run.
    """

    steps: list[NextStep]
    values: list[Any]
    seeds: int
    overlay: str


@dataclass(frozen=True)
class Findings:
    """The tables that the rules use; see `next_steps`."""

    sweep: Sweep
    scores: pd.DataFrame
    choice: pd.DataFrame
    comparisons: pd.DataFrame
    training: pd.DataFrame
    mechanism: pd.DataFrame
    confidence: float
    sessions: int | None

    @property
    def chosen(self) -> Any:
        """Value of the axis that validation chooses."""
        return self.value_of(chosen_arm(self.choice))

    def value_of(self, arm: str) -> Any:
        """Value of the axis of an arm."""
        return self.sweep.trained.loc[self.sweep.trained["arm"] == arm, "axis_value"].iloc[0]

    def alike(self) -> list[Any]:
        """The neighbouring values that do not differ significantly from the chosen one, which is among them."""
        place = {value: i for i, value in enumerate(self.sweep.values)}
        names = {row["arm"]: row["arm"] for row in records(self.choice)}
        *_, level = told_from(names, self.comparisons, chosen_arm(self.choice), 1 - self.confidence)
        same = {place[self.value_of(arm)] for arm in level} | {place[self.chosen]}
        first = last = place[self.chosen]
        while first - 1 in same:
            first -= 1
        while last + 1 in same:
            last += 1
        return list(self.sweep.values[first : last + 1])

    def collapsed(self) -> dict[Any, tuple[int, int]]:
        """Values of which half of the runs or more have collapsed, with how many of how many."""
        ill = set(flagged(self.training).get("collapsed", []))
        ill |= set(self.mechanism["run"][self.mechanism["verdict"] == COLLAPSE])
        trained = self.sweep.trained.assign(ill=self.sweep.trained["run"].isin(ill))
        counted = {value: trained.loc[trained["axis_value"] == value, "ill"] for value in self.sweep.values}
        return {value: (int(runs.sum()), len(runs)) for value, runs in counted.items() if 2 * runs.sum() >= len(runs)}


def next_steps(
    sweep: Sweep,
    read: Mapping[str, pd.DataFrame],
    confidence: float,
    config: Config | None = None,
    sessions: int | None = None,
) -> Advice:
    """Say what to run next.

    Args:
        sweep: the study's axis and runs.
        read: the tables scores, choice, comparisons, training and mechanism.
        confidence: of the intervals; 1 less it is the level of the tests.
        config: the whole config, for the seeds that were run and whether arms are listed; None for neither.
        sessions: in all of the data; more cannot be held out. None if unknown.

    Returns:
        Steps by the rules `RULES`, in their order.
    """
    found = Findings(
        sweep,
        read["scores"],
        read["choice"],
        read["comparisons"],
        read["training"],
        read["mechanism"],
        confidence,
        sessions,
    )
    steps = list(_collapsed(found))
    if found.choice.empty:
        what = "Label the clips of a few sessions of each class"
        steps.append(NextStep("Labels", what, "Without labels nothing is scored, and no value can be called better."))
        return Advice(steps, [], 0, "")
    steps += _reference(found)
    values: list[Any] = []
    seeds = 0
    if int(found.choice["seeds"].iloc[0]) < 2:
        seeds = FEW_SEEDS
        why = "With one seed a difference between two values may be chance."
        steps.append(NextStep("Seeds", f"Run every {sweep.symbol} with {FEW_SEEDS} seeds", why))
    elif not sweep.others and len(sweep.values) > 1:
        more, values, seeds = _response(found)
        steps += more
    if sweep.key and len(sweep.values) == 1:
        what = f"Run more than one {sweep.symbol}"
        steps.append(NextStep("Edge", what, "One value has nothing to be compared with."))
    steps += _choice(found)
    steps += _penalty(found)
    steps += _training(found)
    return Advice(steps, values, seeds, _overlay(sweep, values, seeds, config))


def _collapsed(found: Findings) -> Iterator[NextStep]:
    """Values of which half of the runs or more have collapsed."""
    gone = found.collapsed()
    if gone:
        names = listed([found.sweep.label(value) if found.sweep.key else "this setting" for value in gone])
        counts = listed([f"{some} of {of} {'run' if of == 1 else 'runs'}" for some, of in gone.values()])
        yield NextStep("Collapse", f"Leave out {names}", f"{counts} collapsed: their scores show that, not the sounds.")


def _reference(found: Findings) -> Iterator[NextStep]:
    """Whether the chosen value scores above the untrained networks, on the same sessions."""
    pairs = reference_pairs(found.comparisons)
    pairs = pairs[(pairs["first"] == chosen_arm(found.choice)) & (pairs["second"] == "untrained")]
    for pair in records(pairs):
        low = pair["low"] if np.isnan(pair["p"]) else pair["wide_low"]
        if np.isnan(low) or low > 0:
            continue
        name = found.sweep.label(found.chosen) if found.sweep.key else "The trained network"
        why = f"{name} less the untrained network, on the same sessions: {in_words(pair)}."
        yield NextStep("Reference", "First make training help: more epochs, more audio or more held-out sessions", why)


def _response(found: Findings) -> tuple[list[NextStep], list[Any], int]:
    """Whether the response is flat, peaks inside the grid or leaves it; the values and number of seeds to run."""
    sweep, alike = found.sweep, found.alike()
    steps, seeds, reached = [], 0, [found.chosen]
    if len(alike) > 1:
        between = f"between {sweep.label(alike[0])} and {text(alike[-1])}"
        if _is_flat(found, alike):
            reached = alike
            why = f"No two of these values differ by {FLAT:g} macro-F1 or more, at {found.confidence * 100:g} %."
            steps.append(NextStep("Flat", f"The response is flat {between}: choose by other criteria", why))
        else:
            what, why, seeds = _power(found, between)
            steps.append(NextStep("Power", what, why))
    values = _beyond(sweep, [value for value in reached if value not in found.collapsed()])
    if values:
        ends = [sweep.label(end) for end in dict.fromkeys((sweep.values[0], sweep.values[-1])) if end in reached]
        reason = "the response is flat up to there" if len(reached) > 1 else "validation chooses it"
        why = f"{listed(ends)} {'ends' if len(ends) == 1 else 'end'} the grid, and {reason}: the best may be beyond it."
        steps.append(NextStep("Edge", f"Extend the grid: run {_named(sweep, values)}", why))
    elif alike == [found.chosen] and (values := _between(sweep, found.chosen)):
        why = f"{sweep.label(found.chosen)} scores above both its neighbours: the peak is between them."
        steps.append(NextStep("Peak", f"Refine the grid: run {_named(sweep, values)}", why))
    return steps, values, seeds


def _is_flat(found: Findings, alike: list[Any]) -> bool:
    """Whether the intervals of all pairs of these values are within ± `FLAT`."""
    pairs = [
        pair
        for pair in records(main_pairs(found.comparisons))
        if found.value_of(pair["first"]) in alike and found.value_of(pair["second"]) in alike
    ]
    return all(pair["wide_low"] > -FLAT and pair["wide_high"] < FLAT for pair in pairs)


def _power(found: Findings, between: str) -> tuple[str, str, int]:
    """What is needed to separate the chosen value from the second; what to do, why, and the number of seeds."""
    precision = _precision(found)
    if precision is None:
        return f"Hold out more sessions to compare values {between}", "Two held-out sessions are needed.", 0
    least = precision.detectable()
    seen = "no possible difference" if least >= 1 else f"a difference of {number(least, 2)} macro-F1"
    now = (
        f"Scores {between} do not differ significantly: {precision.seeds} seeds on {precision.sessions} held-out "
        f"sessions would detect {seen} with 80 % probability"
    )
    if least <= FLAT:
        return f"Treat the scores {between} as nearly equal", f"{now}; smaller ones hardly matter.", 0
    if seeds := precision.seeds_for(FLAT):
        return f"Run {seeds} seeds", f"{now}; {seeds} seeds would detect {FLAT:g}.", seeds
    if needed := precision.seeds_and_sessions_for(FLAT):
        seeds, sessions = needed
        if found.sessions is not None and sessions >= found.sessions:
            lack = f"about {sessions} held out would be needed, the data have {found.sessions}"
            return "Record more sessions", f"{now}; to detect {FLAT:g} with {seeds} seeds, {lack}.", 0
        what = f"Hold out {sessions} sessions, and run {seeds} seeds"
        return what, f"{now}; these would detect {FLAT:g}, which more seeds alone cannot.", seeds
    return "Hold out many more sessions", f"{now}, and no number of seeds would detect {FLAT:g}.", 0


def _precision(found: Findings) -> Precision | None:
    """Of the comparison fixed beforehand: the chosen arm and the second on validation."""
    chosen = chosen_arm(found.choice)
    rest = found.choice[found.choice["arm"] != chosen]
    second = str(rest.sort_values("validation_mean", ascending=False, kind="stable")["arm"].iloc[0])
    pair = next(
        one for one in records(main_pairs(found.comparisons)) if {one["first"], one["second"]} == {chosen, second}
    )
    return precision_of(pair, found.confidence)


def _beyond(sweep: Sweep, reached: list[Any]) -> list[float]:
    """Two values beyond each end of a grid of positive numbers that is among `reached`, the nearer one first."""
    if not _is_scale(sweep.values):
        return []
    positive = [value for value in sweep.values if value > 0]
    low, high = positive[0], positive[-1]
    found = []
    if sweep.values[0] > 0 and low in reached:
        step = min(positive[1] / low, WIDEST_STEP)
        found += [_rounded(low / step), _rounded(low / step**2)]
    if high in reached:
        step = min(high / positive[-2], WIDEST_STEP)
        found += [_rounded(high * step), _rounded(high * step**2)]
    return found


def _between(sweep: Sweep, chosen: Any) -> list[float]:
    """The geometric means of a value inside the grid and its neighbours."""
    if not _is_scale(sweep.values) or chosen in (sweep.values[0], sweep.values[-1]):
        return []
    pairs = [pair for pair in pairwise(sweep.values) if chosen in pair and pair[0] > 0]
    return [_rounded(float(np.sqrt(low * high))) for low, high in pairs]


def _is_scale(values: tuple[Any, ...]) -> bool:
    """Whether the values are numbers of at least 0, two of them above it, as on a logarithmic axis."""
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return are_numbers and min(values) >= 0 and sum(value > 0 for value in values) > 1


def _rounded(value: float) -> float:
    """Two digits are enough for a grid."""
    return float(f"{value:.2g}")


def _named(sweep: Sweep, values: list[Any]) -> str:
    first, *rest = sorted(values)
    return listed([sweep.label(first), *map(text, rest)])


def _choice(found: Findings) -> Iterator[NextStep]:
    """Whether held-out sessions contradict the choice."""
    arms = {row["arm"]: found.sweep.label(found.value_of(row["arm"])) for row in records(found.choice)}
    _, above, _ = told_from(arms, found.comparisons, chosen_arm(found.choice), 1 - found.confidence)
    if above:
        sessions = int(found.choice["validation_sessions"].iloc[0])
        why = f"{listed(above)} scores above it on held-out sessions; it was chosen on {sessions} sessions."
        yield NextStep("Choice", "Give the choice more sessions", why)


def _penalty(found: Findings) -> Iterator[NextStep]:
    """Whether the grid of the probe's C ends where validation chooses."""
    ends, of = ends_of_grid(found.scores)
    if ends and 2 * ends >= of:
        why = f"Validation chooses the smallest or the largest C of the grid in {ends} of {of} spaces."
        yield NextStep("Penalty", "Extend probes.converged.c_grid at both ends", why)


def _training(found: Findings) -> Iterator[NextStep]:
    """Whether the training loss of the chosen value still falls at the end."""
    runs = found.sweep.trained.loc[found.sweep.trained["axis_value"] == found.chosen, "run"]
    rows = found.training[found.training["run"].isin(list(runs)) & (found.training["measure"] == LOSS)]
    curve = rows[rows["split"] == "train"].groupby("epoch")["value"].mean().to_numpy(float)
    if len(curve) < SHORTEST_CURVE:
        return
    share = share_still_falling(curve)
    if share > LITTLE:
        why = f"The last quarter of its epochs still brings {100 * share:.0f} % of the whole fall of the training loss."
        yield NextStep("Training", f"Train {found.sweep.label(found.chosen)} for more than {len(curve)} epochs", why)


def _overlay(sweep: Sweep, values: list[Any], seeds: int, config: Config | None) -> str:
    """The lines of a config that run the values and seeds that are missing beside those at hand."""
    if not (values or seeds) or not sweep.key or (config and config.sweep.arms):
        return ""
    grid = sorted([*values, *sweep.values], key=lambda value: (isinstance(value, str), value))
    known = [int(seed) for seed in dict.fromkeys(sweep.trained["seed"])]
    fresh = (seed for seed in range(1, 10_000) if seed not in known)
    all_seeds = known + [next(fresh) for _ in range(seeds - len(known))]
    lines = [f"  axes: {{{sweep.key}: [{', '.join(map(_yaml, grid))}]}}"] if values else []
    return "\n".join(["sweep:", *lines, f"  seeds: [{', '.join(map(str, all_seeds))}]"])


def _yaml(value: Any) -> str:
    """A value as YAML reads it back: 1.0e-05 and not 1e-05, which would be text."""
    words = text(value)
    return words.replace("e", ".0e") if "e" in words and "." not in words and not isinstance(value, str) else words
