"""What the report advises follows from its rules: cases with known answers."""

import re
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from lambdascape.config.settings import Config, SweepSettings
from lambdascape.report.next_steps import FLAT, RULES, Advice, next_steps
from lambdascape.statistics.power import MOST_SEEDS, PLANNED, Precision, precision_of
from lambdascape.study.run_table import Sweep
from lambdascape.tables.comparisons import COMPARISON_COLUMNS

TOLD, NOT_TOLD = 0.001, 0.6
CURVE = (1.0, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)  # converged
FALLING = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)


def advised(
    means: dict[Any, float],  # score of each value, on validation and on held-out sessions
    seeds: int = 5,
    alike: tuple[Any, ...] = (),  # values that do not differ
    wide: float = 0.02,  # half the interval of their differences for new runs
    collapsed: tuple[Any, ...] = (),  # values of which every run has collapsed
    untrained: float = 0.1,
    untrained_half: float = 0.05,  # half the interval of a value less the untrained network, for new runs
    curve: tuple[float, ...] = CURVE,  # training loss by epoch
    chosen: Any = None,  # by validation; None for the best
    key: str = "l2",
    others: tuple[str, ...] = (),  # what varies beside it
    config: Config | None = None,
    sessions: int = 40,  # held out
    session_half: float = 0.01,  # half the intervals for these runs on new sessions
    seed_sd: float = 0.01,
    recorded: int | None = None,  # sessions of all the data
    ends: int = 0,  # trained runs whose C is at an end of its grid
) -> Advice:
    runs = [(value, seed, f"{value} with {seed}") for value in means for seed in range(1, seeds + 1)]
    trained = pd.DataFrame(
        [(run, f"{key}~{value}", seed, value, "") for value, seed, run in runs],
        columns=["run", "arm", "seed", "axis_value", "other_settings"],
    ).astype({"axis_value": object})
    references = pd.DataFrame({"run": ["untrained_seed~1"], "arm": ["untrained"], "seed": [1]})
    order = sorted(means, key=lambda value: (isinstance(value, str), value))
    best = chosen if chosen is not None else max(means, key=lambda value: means[value])
    scores = [("untrained_seed~1", "converged", "test", "clip", "macro_f1", "", untrained, 0.0, 1.0)]
    scores += [
        (run, "converged", "validation", "clip", "c_at_end", "", float(place < ends), np.nan, np.nan)
        for place, (*_, run) in enumerate(runs)
    ]
    choice = [
        (f"{key}~{value}", int(value == best), 1.0 if value == best else mean, 30, mean, mean - 0.05, seeds)
        for value, mean in means.items()
    ]

    def pair(family: str, first: str, second: str, gap: float, near: float, far: float, p: float) -> tuple[Any, ...]:
        sd, p = (seed_sd, p) if seeds > 1 else (np.nan, np.nan)
        ends_of = gap - near, gap + near, sd, gap - far, gap + far
        return ("clip", "macro_f1", family, first, second, gap, *ends_of, p, p, seeds, sessions)

    pairs = []
    for first, second in combinations(means, 2):
        gap, same = means[first] - means[second], {first, second} <= set(alike)
        far, p = (wide, NOT_TOLD) if same else (abs(gap) / 2, TOLD)
        pairs.append(pair("arms", f"{key}~{first}", f"{key}~{second}", gap, session_half, far, p))
    pairs += [
        pair("references", f"{key}~{value}", "untrained", mean - untrained, 0.04, untrained_half, TOLD)
        for value, mean in means.items()
    ]
    training = [(run, epoch, "train", "loss_all", loss) for *_, run in runs for epoch, loss in enumerate(curve, 1)]
    training += [(run, len(curve), "test", "collapsed", float(value in collapsed)) for value, _, run in runs]
    measured = ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"]
    of_choice = ["arm", "chosen", "validation_mean", "validation_sessions", "test_mean", "test_low", "seeds"]
    read = {
        "scores": pd.DataFrame(scores, columns=measured),
        "choice": pd.DataFrame(choice, columns=of_choice),
        "comparisons": pd.DataFrame(pairs, columns=COMPARISON_COLUMNS),
        "training": pd.DataFrame(training, columns=["run", "epoch", "split", "measure", "value"]),
        "mechanism": pd.DataFrame({"run": [run for *_, run in runs], "verdict": "regulariser"}),
    }
    return next_steps(Sweep(key, tuple(order), others, trained, references), read, 0.95, config, recorded)


def rules(advice: Advice) -> list[str]:
    return [step.rule for step in advice.steps]


def step(advice: Advice, rule: str) -> str:
    return next(f"{one.what}. {one.why}" for one in advice.steps if one.rule == rule)


PEAK = {0.01: 0.4, 0.1: 0.8, 1.0: 0.5}
PLATEAU = {0.001: 0.4, 0.01: 0.8, 0.1: 0.81, 1.0: 0.5}
UNSURE = {"means": {0.01: 0.4, 0.1: 0.8, 1.0: 0.79}, "alike": (0.1, 1.0), "wide": 0.2}
FALLS = {0.01: 0.8, 0.1: 0.6}
BELOW = [0.0001, 0.001]
# Name: what the study is, the rules that hold with what they say, and the values that are to be run.
CASES: dict[str, tuple[dict[str, Any], dict[str, str], list[float]]] = {
    "best at the lower edge": (
        {"means": {0.01: 0.8, 0.1: 0.6, 1.0: 0.4}}, {"Edge": "run λ = 0.0001 and 0.001"}, BELOW),
    "best at the upper edge, by the last step": ({"means": {0.01: 0.4, 0.1: 0.6, 0.2: 0.8}}, {"Edge": ""}, [0.4, 0.8]),
    "by no more than ten": ({"means": {0.001: 0.4, 1.0: 0.8}}, {"Edge": ""}, [10.0, 100.0]),
    "zero is no edge from which to go down": ({"means": {0.0: 0.8, 0.01: 0.6, 0.1: 0.4}}, {}, []),
    "a peak is refined between its neighbours": ({"means": PEAK}, {"Peak": ""}, [0.032, 0.32]),
    "flat inside": ({"means": PLATEAU, "alike": (0.01, 0.1)}, {"Flat": "flat between λ = 0.01 and 0.1"}, []),
    "flat to its ends": (
        {"means": {0.01: 0.8, 0.1: 0.81}, "alike": (0.01, 0.1)}, {"Flat": "", "Edge": ""}, [*BELOW, 1.0, 10.0]),
    "an interval just narrow enough to be flat": (
        {"means": PLATEAU, "alike": (0.01, 0.1), "wide": FLAT - 0.011, "seed_sd": 0.1, "session_half": 0.0},
        {"Flat": ""}, []),
    "one that is not": (
        {"means": PLATEAU, "alike": (0.01, 0.1), "wide": FLAT + 0.011, "seed_sd": 0.1, "session_half": 0.0},
        {"Power": ""}, []),
    "values beyond a gap do not count as alike": (
        {"means": {0.01: 0.8, 0.1: 0.5, 1.0: 0.79}, "alike": (0.01, 1.0), "chosen": 0.01}, {"Edge": ""}, BELOW),
    "too few seeds": (UNSURE | {"seed_sd": 0.05, "session_half": 0.0}, {"Power": "Run 10 seeds"}, []),
    "seeds alone cannot help": (
        UNSURE | {"session_half": 0.1, "sessions": 10}, {"Power": "which more seeds alone cannot"}, []),
    "collapsed values are left out and the grid does not go there": (
        {"means": {0.01: 0.3, 0.1: 0.5, 1.0: 0.6}, "collapsed": (1.0,)},
        {"Collapse": "^Leave out λ = 1. 5 of 5 runs collapsed"}, []),
    "one seed": ({"means": FALLS, "seeds": 1}, {"Seeds": ""}, []),
    "no better than the untrained network": (
        {"means": FALLS, "untrained": 0.79},
        {"Reference": r"λ = 0.01 less the untrained network, on the same sessions: 0.010 \(-0.040 to 0.060 for new",
            "Edge": ""}, BELOW),
    "held-out sessions contradict the choice": (
        {"means": {0.01: 0.5, 0.1: 0.6, 1.0: 0.8}, "chosen": 0.1},
        {"Peak": "", "Choice": "λ = 1 scores above it on held-out sessions; it was chosen on 30 sessions"},
        [0.032, 0.32]),
    "the loss still falls": (
        {"means": PEAK, "curve": FALLING}, {"Peak": "", "Training": "for more than 8 epochs"}, [0.032, 0.32]),
    "C at an end of its grid in less than half of the runs": ({"means": PEAK, "ends": 7}, {"Peak": ""}, [0.032, 0.32]),
    "in more": (
        {"means": PEAK, "ends": 8},
        {"Peak": "", "Penalty": "c_grid at both ends. Validation chooses the smallest or the largest C of the grid in "
            "8 of 15"}, [0.032, 0.32]),
    "one value": ({"means": {0.1: 0.5}}, {"Edge": ""}, []),
    "words": ({"means": {"a": 0.4, "b": 0.8, "c": 0.5}, "key": "input"}, {}, []),
    "several axes": ({"means": FALLS, "others": ("margin",)}, {}, []),
}  # fmt: skip


@pytest.mark.finding("A2")
@pytest.mark.parametrize("name", CASES)
def test_what_is_advised(name: str) -> None:
    given, expected, values = CASES[name]
    advice = advised(**given)
    assert rules(advice) == list(expected)
    for rule, words in expected.items():
        assert re.search(words, step(advice, rule))
    assert sorted(advice.values) == values


def test_every_rule_that_is_applied_is_printed() -> None:
    assert {rule for _, expected, _ in CASES.values() for rule in expected} == set(RULES)


@pytest.mark.parametrize(
    ("given", "overlay"),
    [
        ({"means": FALLS}, {"axes": {"l2": [0.0001, 0.001, 0.01, 0.1]}, "seeds": [1, 2, 3, 4, 5]}),
        # Small values are numbers there, too.
        ({"means": {1e-5: 0.8, 1e-4: 0.6}}, {"axes": {"l2": [1e-7, 1e-6, 1e-5, 1e-4]}, "seeds": [1, 2, 3, 4, 5]}),
        (UNSURE | {"seed_sd": 0.05, "session_half": 0.0}, {"seeds": [*range(1, 11)]}),
        ({"means": FALLS, "seeds": 1}, {"seeds": [1, 2, 3, 4, 5]}),
        ({"means": PLATEAU, "alike": (0.01, 0.1)}, None),
        ({"means": {"a": 0.4, "b": 0.8, "c": 0.5}, "key": "input"}, None),
        ({"means": FALLS, "config": Config(sweep=SweepSettings(arms=[{}]))}, None),
    ],
)
def test_lines_for_the_config(given: dict[str, Any], overlay: dict[str, Any] | None) -> None:
    assert yaml.safe_load(advised(**given).overlay) == (overlay and {"sweep": overlay})


@pytest.mark.parametrize(("spread", "seeds"), [(0.05, 10), (0.1, 34), (0.025, 5)])
def test_the_seeds_needed_are_those_of_the_paired_t_test(spread: float, seeds: int) -> None:
    """Of an effect of one, half and two standard deviations, from tables of the paired t-test: 10, 34 and 5 pairs."""
    exact = Precision(2, 10, spread, 0.0, 0.95)
    assert exact.detectable(seeds=seeds) <= FLAT < exact.detectable(seeds=seeds - 1)
    assert exact.seeds_for(FLAT) == (seeds if seeds <= MOST_SEEDS else None)


def test_so_many_seeds_are_asked_for() -> None:
    assert advised(**UNSURE, seed_sd=0.05, session_half=0.0).seeds == 10
    assert advised(**UNSURE, session_half=0.1, sessions=10).seeds in PLANNED


def test_no_more_sessions_are_to_be_held_out_than_the_data_have() -> None:
    def power(recorded: int | None) -> Advice:
        return advised(**UNSURE, session_half=0.1, sessions=10, recorded=recorded)

    asked = re.search(r"Hold out (\d+) sessions", step(power(None), "Power"))
    assert asked
    needed = int(asked[1])
    assert step(power(needed + 1), "Power") == step(power(None), "Power")
    few = power(needed)  # nothing would be left to train on
    assert f"about {needed} held out would be needed, the data have {needed}." in step(few, "Power")
    assert step(few, "Power").startswith("Record more sessions. ")
    assert (few.seeds, few.overlay) == (0, "")


def test_precision_comes_from_the_interval_over_sessions_and_the_spread_over_seeds() -> None:
    row = {"low": -0.1, "high": 0.1, "seed_sd": 0.02, "seeds": 3, "sessions": 11}
    found = precision_of(row, 0.95)
    assert found.session_variance == pytest.approx((0.1 / 2.2281388519649385) ** 2)  # t of 10 degrees of freedom
    assert precision_of(row | {"seed_sd": np.nan}, 0.95) is None
    assert Precision(2, 2, 0.0, 0.0, 0.95).detectable() == 0.0
    assert found.detectable(sessions=44) < found.detectable() > found.detectable(seeds=6)


@pytest.mark.finding("B4")
def test_training_pays_where_the_paired_difference_says_so_whatever_the_interval_of_the_mean_is() -> None:
    # The interval of the mean begins at 0.75, below the untrained network; on the same sessions all of it lies above.
    assert rules(advised({0.01: 0.8, 0.1: 0.6}, untrained=0.77, untrained_half=0.02)) == ["Edge"]
    # With one seed the interval for these runs on new sessions decides.
    assert rules(advised({0.01: 0.8, 0.1: 0.6}, seeds=1, untrained=0.75)) == ["Seeds"]
    one = advised({0.01: 0.8, 0.1: 0.6}, seeds=1, untrained=0.77)
    assert rules(one) == ["Reference", "Seeds"]
    assert "0.030 (-0.010 to 0.070 for these runs on new sessions; no p with one seed)" in step(one, "Reference")


def test_without_labels_they_are_asked_for() -> None:
    names = ["run", "epoch", "split", "measure", "value", "arm", "chosen", "verdict", "seed"]
    nothing = pd.DataFrame(columns=names)
    trained = pd.DataFrame({"run": ["a"], "arm": ["l2~1"], "seed": [1], "axis_value": [1.0], "other_settings": [""]})
    read = dict.fromkeys(("scores", "choice", "comparisons", "training", "mechanism"), nothing)
    assert rules(next_steps(Sweep("l2", (1.0,), (), trained, nothing), read, 0.95)) == ["Labels"]
