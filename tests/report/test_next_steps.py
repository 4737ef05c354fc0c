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
    means: dict[Any, float],
    seeds: int = 5,
    alike: tuple[Any, ...] = (),
    wide: float = 0.02,
    collapsed: tuple[Any, ...] = (),
    untrained: float = 0.1,
    untrained_half: float = 0.05,
    curve: tuple[float, ...] = CURVE,
    chosen: Any = None,
    key: str = "l2",
    others: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    sessions: int = 40,
    session_half: float = 0.01,
    seed_sd: float = 0.01,
    recorded: int | None = None,
    ends: int = 0,
) -> Advice:
    """Advice on a made-up study.

    Args:
        means: score of each value, on validation and on held-out sessions.
        seeds: of each value.
        alike: values that cannot be told from each other.
        wide: half the interval of their differences for new runs.
        collapsed: values of which every run has collapsed.
        untrained: score of the untrained network.
        untrained_half: half the interval of a value less the untrained network, for new runs.
        curve: training loss by epoch.
        chosen: the value that validation chooses; None for the best.
        key: what varies.
        others: what varies beside it.
        config: see `next_steps`.
        sessions: held out.
        session_half: half the intervals for these runs on new sessions.
        seed_sd: spread of differences over seeds.
        recorded: sessions of all the data.
        ends: trained runs whose C is at an end of its grid.
    """
    runs = [(value, seed, f"{value} with {seed}") for value in means for seed in range(1, seeds + 1)]
    trained = pd.DataFrame(
        [
            {"run": run, "arm": f"{key}~{value}", "seed": seed, "axis_value": value, "other_settings": ""}
            for value, seed, run in runs
        ]
    ).astype({"axis_value": object})
    references = pd.DataFrame({"run": ["untrained_seed~1"], "arm": ["untrained"], "seed": [1]})
    order = sorted(means, key=lambda value: (isinstance(value, str), value))
    sweep = Sweep(key, tuple(order), others, trained, references)
    best = chosen if chosen is not None else max(means, key=lambda value: means[value])
    columns = ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"]
    scores = pd.DataFrame(
        [("untrained_seed~1", "converged", "test", "clip", "macro_f1", "", untrained, 0.0, 1.0)], columns=columns
    )
    at_end = [
        (run, "converged", "validation", "clip", "c_at_end", "", float(place < ends), np.nan, np.nan)
        for place, (*_, run) in enumerate(runs)
    ]
    scores = pd.concat([scores, pd.DataFrame(at_end, columns=columns)])
    choice = pd.DataFrame(
        [
            {
                "arm": f"{key}~{value}",
                "chosen": int(value == best),
                "validation_mean": 1.0 if value == best else mean,
                "validation_sessions": 30,
                "test_mean": mean,
                "test_low": mean - 0.05,
                "seeds": seeds,
            }
            for value, mean in means.items()
        ]
    )
    pairs = []
    for first, second in combinations(means, 2):
        same = first in alike and second in alike
        gap, p = means[first] - means[second], np.nan if seeds < 2 else NOT_TOLD if same else TOLD
        half = wide if same else abs(gap) / 2
        pairs.append(
            ("clip", "macro_f1", "arms", f"{key}~{first}", f"{key}~{second}", gap, gap - session_half,
                gap + session_half, seed_sd if seeds > 1 else np.nan, gap - half, gap + half, p, p, seeds, sessions)
        )  # fmt: skip
    for value, mean in means.items():
        gap, p = mean - untrained, np.nan if seeds < 2 else TOLD
        pairs.append(
            ("clip", "macro_f1", "references", f"{key}~{value}", "untrained", gap, gap - 0.04, gap + 0.04,
                seed_sd if seeds > 1 else np.nan, gap - untrained_half, gap + untrained_half, p, p, seeds, sessions)
        )  # fmt: skip
    comparisons = pd.DataFrame(pairs, columns=COMPARISON_COLUMNS)
    training = pd.DataFrame(
        [(run, epoch, "train", "loss_all", loss) for *_, run in runs for epoch, loss in enumerate(curve, 1)]
        + [(run, len(curve), "test", "collapsed", float(value in collapsed)) for value, _, run in runs],
        columns=["run", "epoch", "split", "measure", "value"],
    )
    mechanism = pd.DataFrame({"run": [run for *_, run in runs], "verdict": "regulariser"})
    read = {
        "scores": scores,
        "choice": choice,
        "comparisons": comparisons,
        "training": training,
        "mechanism": mechanism,
    }
    return next_steps(sweep, read, 0.95, config, recorded)


def rules(advice: Advice) -> list[str]:
    return [step.rule for step in advice.steps]


def step(advice: Advice, rule: str) -> str:
    return next(f"{one.what}. {one.why}" for one in advice.steps if one.rule == rule)


def test_a_best_value_at_the_lower_edge_extends_the_grid_downwards() -> None:
    advice = advised({0.01: 0.8, 0.1: 0.6, 1.0: 0.4})
    assert rules(advice) == ["Edge"]
    assert sorted(advice.values) == [0.0001, 0.001]
    assert "run λ = 0.0001 and 0.001" in step(advice, "Edge")
    assert yaml.safe_load(advice.overlay) == {
        "sweep": {"axes": {"l2": [0.0001, 0.001, 0.01, 0.1, 1]}, "seeds": [1, 2, 3, 4, 5]}
    }


def test_a_best_value_at_the_upper_edge_extends_it_upwards_by_the_last_step() -> None:
    assert advised({0.01: 0.4, 0.1: 0.6, 0.2: 0.8}).values == [0.4, 0.8]
    assert advised({0.001: 0.4, 1.0: 0.8}).values == [10.0, 100.0]  # by no more than ten


def test_zero_is_no_edge_from_which_to_go_down() -> None:
    advice = advised({0.0: 0.8, 0.01: 0.6, 0.1: 0.4})
    assert (rules(advice), advice.values) == ([], [])


def test_a_peak_inside_is_refined_between_its_neighbours() -> None:
    advice = advised({0.01: 0.4, 0.1: 0.8, 1.0: 0.5})
    assert rules(advice) == ["Peak"]
    assert advice.values == [0.032, 0.32]


def test_a_flat_response_says_between_which_values_and_goes_beyond_its_ends() -> None:
    inside = advised({0.001: 0.4, 0.01: 0.8, 0.1: 0.81, 1.0: 0.5}, alike=(0.01, 0.1))
    assert rules(inside) == ["Flat"]
    assert "flat between λ = 0.01 and 0.1" in step(inside, "Flat")
    assert inside.overlay == ""
    whole = advised({0.01: 0.8, 0.1: 0.81}, alike=(0.01, 0.1))
    assert rules(whole) == ["Flat", "Edge"]
    assert sorted(whole.values) == [0.0001, 0.001, 1.0, 10.0]


def test_what_cannot_be_told_is_not_called_flat_where_the_interval_is_wider() -> None:
    means = {0.001: 0.4, 0.01: 0.8, 0.1: 0.81, 1.0: 0.5}
    for wide, found in ((FLAT - 0.011, "Flat"), (FLAT + 0.011, "Power")):
        assert rules(advised(means, alike=(0.01, 0.1), wide=wide, seed_sd=0.1, session_half=0.0)) == [found]


def test_values_beyond_a_gap_do_not_count_as_alike() -> None:
    advice = advised({0.01: 0.8, 0.1: 0.5, 1.0: 0.79}, alike=(0.01, 1.0), chosen=0.01)
    assert rules(advice) == ["Edge"]
    assert sorted(advice.values) == [0.0001, 0.001]


@pytest.mark.parametrize(("spread", "seeds"), [(0.05, 10), (0.1, 34), (0.025, 5)])
def test_the_seeds_needed_are_those_of_the_paired_t_test(spread: float, seeds: int) -> None:
    """Of an effect of one, half and two standard deviations, from tables of the paired t-test: 10, 34 and 5 pairs."""
    exact = Precision(2, 10, spread, 0.0, 0.95)
    assert exact.detectable(seeds=seeds) <= FLAT < exact.detectable(seeds=seeds - 1)
    assert exact.seeds_for(FLAT) == (seeds if seeds <= MOST_SEEDS else None)


def test_too_few_seeds_are_told_with_how_many_it_takes() -> None:
    advice = advised({0.01: 0.4, 0.1: 0.8, 1.0: 0.79}, alike=(0.1, 1.0), wide=0.2, seed_sd=0.05, session_half=0.0)
    assert rules(advice) == ["Power"]
    assert "Run 10 seeds" in step(advice, "Power")
    assert advice.seeds == 10
    assert yaml.safe_load(advice.overlay) == {"sweep": {"seeds": [*range(1, 11)]}}


def test_where_seeds_alone_cannot_help_sessions_are_asked_for() -> None:
    advice = advised({0.01: 0.4, 0.1: 0.8, 1.0: 0.79}, alike=(0.1, 1.0), wide=0.2, session_half=0.1, sessions=10)
    said = step(advice, "Power")
    assert "which more seeds alone cannot" in said
    assert advice.seeds in PLANNED


def test_no_more_sessions_are_to_be_held_out_than_the_data_have() -> None:
    def power(recorded: int | None) -> Advice:
        means = {0.01: 0.4, 0.1: 0.8, 1.0: 0.79}
        return advised(means, alike=(0.1, 1.0), wide=0.2, session_half=0.1, sessions=10, recorded=recorded)

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
    assert found is not None
    assert found.session_variance == pytest.approx((0.1 / 2.2281388519649385) ** 2)  # t of 10 degrees of freedom
    assert precision_of(row | {"seed_sd": np.nan}, 0.95) is None
    assert Precision(2, 2, 0.0, 0.0, 0.95).detectable() == 0.0
    assert found.detectable(sessions=44) < found.detectable() > found.detectable(seeds=6)


def test_collapsed_values_are_left_out_first_and_the_grid_does_not_go_there() -> None:
    advice = advised({0.01: 0.3, 0.1: 0.5, 1.0: 0.6}, collapsed=(1.0,))
    assert rules(advice) == ["Collapse"]
    assert step(advice, "Collapse").startswith("Leave out λ = 1. 5 of 5 runs collapsed")


def test_one_seed_is_asked_for_more_before_anything_else_is_said() -> None:
    advice = advised({0.01: 0.8, 0.1: 0.6}, seeds=1)
    assert rules(advice) == ["Seeds"]
    assert yaml.safe_load(advice.overlay) == {"sweep": {"seeds": [1, 2, 3, 4, 5]}}


def test_training_that_does_not_beat_the_untrained_network_comes_first() -> None:
    advice = advised({0.01: 0.8, 0.1: 0.6}, untrained=0.79)
    assert rules(advice) == ["Reference", "Edge"]
    assert "λ = 0.01 less the untrained network, on the same sessions: 0.010 (-0.040 to 0.060 for new" in step(
        advice, "Reference"
    )


@pytest.mark.finding("B4")
def test_training_pays_where_the_paired_difference_says_so_whatever_the_interval_of_the_mean_is() -> None:
    # The interval of the mean begins at 0.75, below the untrained network; on the same sessions all of it lies above.
    assert rules(advised({0.01: 0.8, 0.1: 0.6}, untrained=0.77, untrained_half=0.02)) == ["Edge"]
    # With one seed the interval for these runs on new sessions decides.
    assert rules(advised({0.01: 0.8, 0.1: 0.6}, seeds=1, untrained=0.75)) == ["Seeds"]
    one = advised({0.01: 0.8, 0.1: 0.6}, seeds=1, untrained=0.77)
    assert rules(one) == ["Reference", "Seeds"]
    assert "0.030 (-0.010 to 0.070 for these runs on new sessions; no p with one seed)" in step(one, "Reference")


def test_a_choice_that_held_out_sessions_contradict_needs_more_sessions() -> None:
    advice = advised({0.01: 0.5, 0.1: 0.6, 1.0: 0.8}, chosen=0.1)
    assert rules(advice) == ["Peak", "Choice"]
    assert "λ = 1 scores above it on held-out sessions; it was chosen on 30 sessions" in step(advice, "Choice")


def test_a_loss_that_still_falls_asks_for_more_epochs() -> None:
    advice = advised({0.01: 0.4, 0.1: 0.8, 1.0: 0.5}, curve=FALLING)
    assert rules(advice) == ["Peak", "Training"]
    assert "for more than 8 epochs" in step(advice, "Training")


@pytest.mark.finding("A2")
def test_a_grid_of_c_that_ends_where_validation_chooses_is_to_be_extended() -> None:
    means = {0.01: 0.4, 0.1: 0.8, 1.0: 0.5}
    assert rules(advised(means, ends=7)) == ["Peak"]
    advice = advised(means, ends=8)
    assert rules(advice) == ["Peak", "Penalty"]
    assert "c_grid at both ends. Validation chooses the smallest or the largest C of the grid in 8 of 15" in step(
        advice, "Penalty"
    )


def test_without_labels_they_are_asked_for() -> None:
    no_choice = pd.DataFrame(columns=["arm", "chosen"])
    training = pd.DataFrame(columns=["run", "epoch", "split", "measure", "value"])
    trained = pd.DataFrame({"run": ["a"], "arm": ["l2~1"], "seed": [1], "axis_value": [1.0], "other_settings": [""]})
    sweep = Sweep("l2", (1.0,), (), trained, pd.DataFrame(columns=["run", "arm", "seed"]))
    nothing = pd.DataFrame(columns=["run", "verdict"])
    read = {"scores": nothing, "choice": no_choice, "comparisons": nothing, "training": training, "mechanism": nothing}
    assert rules(next_steps(sweep, read, 0.95)) == ["Labels"]


def test_one_value_or_words_or_several_axes_give_no_grid() -> None:
    one = advised({0.1: 0.5})
    assert (rules(one), one.values) == (["Edge"], [])
    words = advised({"a": 0.4, "b": 0.8, "c": 0.5}, key="input")
    assert (rules(words), words.overlay) == ([], "")
    assert advised({0.01: 0.8, 0.1: 0.6}, others=("margin",)).steps == []
    assert advised({0.01: 0.8, 0.1: 0.6}, config=Config(sweep=SweepSettings(arms=[{}]))).overlay == ""


def test_small_values_are_numbers_in_the_lines_for_the_config() -> None:
    advice = advised({1e-5: 0.8, 1e-4: 0.6})
    assert yaml.safe_load(advice.overlay)["sweep"]["axes"]["l2"] == [1e-7, 1e-6, 1e-5, 1e-4]


def test_every_rule_that_is_applied_is_printed() -> None:
    source = __import__("inspect").getsource(__import__("lambdascape.report.next_steps", fromlist=["x"]))
    used = set(__import__("re").findall(r'Step\(\s*"(\w+)"', source)) - {"Labels"}
    assert used == set(RULES)
