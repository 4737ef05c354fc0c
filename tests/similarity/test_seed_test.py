"""The permutation test over runs: it finds what moves a space, is right about chance, and knows its limits."""

from itertools import chain, combinations, permutations, product
from math import factorial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from lambdascape.core.tsv import read_table, write_table
from lambdascape.similarity import seed_test
from lambdascape.similarity.seed_test import arrangements, excess_test, judge_moves, permutation_test, points, relate
from support.studies import FakeStudy

LEVELS = (1.0, 0.1, 0.01)


def points_of(study, by_value, by_seed, noise=1.0, rng=None):
    """A point for each space: what its value and its seed add, and noise of its own."""
    rng = rng or np.random.default_rng(0)
    value = {space.get("l2"): rng.normal(size=6) for space in study.spaces}
    seed = {space.get("seed"): rng.normal(size=6) for space in study.spaces}
    return np.array([
        by_value * value[s.get("l2")] + by_seed * seed[s.get("seed")] + noise * rng.normal(size=6) for s in study.spaces
    ])  # fmt: skip


def pairs_of(study, places, measure="procrustes"):
    distance = cdist(places, places)
    names = [space["run"] for space in study.spaces]
    values = distance if measure == "procrustes" else 1 - distance
    rows = [(names[i], names[j], measure, values[i, j]) for i, j in combinations(range(len(names)), 2)]
    table = pd.DataFrame(rows, columns=["first", "second", "measure", "value"])
    return table.assign(is_distance=int(measure == "procrustes"), null_mean=np.nan, null_95=np.nan, note="")


def found(study, pairs, test=permutation_test):
    return test(relate(pairs, study.sweep), points(study.sweep))


def excess(study, pairs):
    return found(study, pairs, excess_test)


def judged(study, pairs):
    write_table(pairs, study.folder / "pairs.tsv")
    judge_moves(study.tables["runs"], study.folder / "pairs.tsv", study.folder / "moves.tsv")
    return read_table(study.folder / "moves.tsv", ("measure",)).iloc[0]


def plain(study, pairs):
    """The exact test in plain loops: every order of the values within every seed."""
    spaces = {s["run"]: s for s in study.spaces if s["kind"] == "trained"}
    values = pairs.set_index(["first", "second"])["value"]
    seeds = sorted({s["seed"] for s in spaces.values()})

    def gap(label):
        both, alone = [], []
        for (a, b), value in values.items():
            if a in spaces and b in spaces and spaces[a]["seed"] != spaces[b]["seed"]:
                (alone if label[a] == label[b] else both).append(value)
        return np.mean(both) - np.mean(alone)

    runs = [run for seed in seeds for run, s in spaces.items() if s["seed"] == seed]
    orders = [permutations([s["l2"] for s in spaces.values() if s["seed"] == seed]) for seed in seeds]
    observed = gap({run: s["l2"] for run, s in spaces.items()})
    gaps = [gap(dict(zip(runs, chain(*one), strict=True))) for one in product(*orders)]
    return observed, np.mean([g >= observed - 1e-9 for g in gaps])


@pytest.mark.parametrize("by_value", [0.0, 0.5])
def test_the_test_is_that_of_plain_loops_over_all_arrangements(by_value, tmp_path):
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    pairs = pairs_of(study, points_of(study, by_value, 1.0))
    gap, p = plain(study, pairs)
    result = found(study, pairs)
    assert (result.gap, result.p) == pytest.approx((gap, p))
    assert (result.arrangements, result.exact) == (36, True)


def test_similarities_and_distances_give_the_same(tmp_path):
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    places = points_of(study, 1.0, 1.0)
    distance = found(study, pairs_of(study, places))
    similarity = found(study, pairs_of(study, places, "cka"))
    assert (distance.gap, distance.p) == pytest.approx((similarity.gap, similarity.p))


def test_without_an_effect_small_p_are_as_rare_as_they_say(tmp_path):
    """Seeds and their shared parts move the space, the value does not: p must be at most 1/6 in a sixth of cases."""
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    sweep, rng = study.sweep, np.random.default_rng(11)
    pairs, runs, order = relate(pairs_of(study, points_of(study, 0, 0)), sweep), points(sweep), np.triu_indices(13, 1)
    p = np.empty(300)
    for k in range(300):
        places = points_of(study, 0, 2, 1, rng)
        p[k] = permutation_test(pairs.assign(value=cdist(places, places)[order]), runs).p
    for level in (1 / 36, 6 / 36, 0.5):
        assert (p <= level + 1e-9).mean() == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 300))


@pytest.mark.parametrize(("values", "seeds"), [(2, 2), (3, 2), (3, 3), (2, 5), (4, 3)])
def test_with_few_runs_p_has_a_floor(values, seeds, tmp_path):
    study = FakeStudy(tmp_path, tuple({"l2": 10.0**-k} for k in range(values)), tuple(range(seeds)))
    result = found(study, pairs_of(study, points_of(study, 9.0, 0.1, 0.1)))
    assert result.p == result.smallest_p == pytest.approx(1 / factorial(values) ** (seeds - 1))


def test_many_runs_are_drawn_from_with_the_arrangement_found_among_them(tmp_path, monkeypatch):
    monkeypatch.setattr(seed_test, "MOST_ARRANGEMENTS", 400)
    study = FakeStudy(tmp_path, tuple({"l2": 10.0**-k} for k in range(4)), (1, 2, 3))
    sweep = study.sweep
    tried, exact = arrangements(points(sweep))
    assert (len(tried), exact) == (400, False)
    assert tried[0].tolist() == points(sweep)["value"].tolist()
    blocks = points(sweep)["block"].to_numpy()
    for row in tried[::37]:
        assert all(sorted(row[blocks == block]) == [0, 1, 2, 3] for block in set(blocks))
    result = found(study, pairs_of(study, points_of(study, 9.0, 0.1, 0.1)))
    assert 1 / 400 <= result.p < 0.02  # of 576 ways a draw may come back to the one found


@pytest.mark.parametrize(
    ("settings", "reason"), [({"seeds": (1,)}, "one seed"), ({"points": ({"l2": 0.1},)}, "one value")]
)
def test_one_seed_or_one_value_has_no_test(settings, reason, tmp_path):
    study = FakeStudy(tmp_path, **settings)
    result = found(study, pairs_of(study, points_of(study, 1.0, 1.0)))
    assert np.isnan([result.gap, result.p, result.smallest_p]).all(), reason
    assert result.arrangements == 0


def test_with_two_things_swept_only_runs_alike_in_the_other_are_compared(tmp_path):
    axes = tuple({"l2": l2, "margin": margin} for l2 in (1.0, 0.1) for margin in (0.5, 2.0))
    study = FakeStudy(tmp_path, axes, (1, 2, 3))
    pairs = relate(pairs_of(study, points_of(study, 1.0, 1.0)), study.sweep)
    margin = {s["run"]: s.get("margin") for s in study.spaces}
    between = pairs[pairs["relation"].isin(["seed", "axis", "both"])]
    assert (between["first"].map(margin) == between["second"].map(margin)).all()
    assert between["relation"].value_counts().to_dict() == {"both": 2 * 6, "seed": 2 * 2 * 3, "axis": 2 * 3}
    assert found(study, pairs_of(study, points_of(study, 9.0, 0.1))).arrangements == 2 ** (2 * 2)


def test_where_the_axis_never_varies_alone_the_whole_arm_is_compared(tmp_path):
    arms = ({"l2": 1.0, "margin": 0.5}, {"l2": 0.1, "margin": 1.0}, {"l2": 0.1, "margin": 2.0})
    study = FakeStudy(tmp_path, arms[:2], (1, 2, 3))
    result = found(study, pairs_of(study, points_of(study, 9.0, 0.1, 0.1)))
    assert result.p == result.smallest_p == pytest.approx(1 / 4)


def test_pairs_that_cannot_be_compared_are_counted_and_left_out(tmp_path):
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    pairs = pairs_of(study, points_of(study, 5.0, 0.5, 0.1))
    lost = (pairs["first"] == "l2~1.0_seed~1") | (pairs["second"] == "l2~1.0_seed~1")
    pairs.loc[lost, "value"] = np.nan
    row = judged(study, pairs)
    assert row["missing"] == 8 + 4
    assert row["gap"] > 0
    assert row["p"] < 0.2


def test_means_are_those_of_the_pairs_by_what_differs(tmp_path: Path):
    study = FakeStudy(tmp_path, seeds=(1, 2))
    pairs = pairs_of(study, points_of(study, 1.0, 1.0))
    row = judged(study, pairs)
    values = pairs.set_index(["first", "second"])["value"]
    seed_alone = [values[f"l2~{l2}_seed~1", f"l2~{l2}_seed~2"] for l2 in LEVELS]
    assert row["seed"] == pytest.approx(np.mean(seed_alone))
    axis_alone = [values[f"l2~{a}_seed~{s}", f"l2~{b}_seed~{s}"] for a, b in combinations(LEVELS, 2) for s in (1, 2)]
    assert row["axis"] == pytest.approx(np.mean(axis_alone))
    for kind in ("untrained", "mean_logmel"):
        null = [value for (a, b), value in values.items() if a.startswith("l2") and b.startswith(kind)]
        assert row[kind] == pytest.approx(np.mean(null))


def test_the_excess_and_its_p_are_those_of_plain_loops_over_all_orders(tmp_path):
    study = FakeStudy(tmp_path, seeds=(1, 2))
    pairs = pairs_of(study, points_of(study, 1.0, 0.3))
    trained = [s for s in study.spaces if s["kind"] == "trained"]
    values = pairs.set_index(["first", "second"])["value"].to_dict()
    values |= {(b, a): value for (a, b), value in values.items()}

    def of(order):
        """Each run takes the place of another; order[k] is the run that stands where run k stood."""
        alike = {"l2": [], "seed": []}
        for (a, i), (b, j) in combinations(zip(trained, order, strict=True), 2):
            for key in alike:
                if a[key] == b[key]:
                    alike[key].append(values[trained[i]["run"], trained[j]["run"]])
        return np.mean(alike["seed"]) - np.mean(alike["l2"])

    every = [of(order) for order in permutations(range(6))]
    result = excess(study, pairs)
    assert result.gap == pytest.approx(every[0])
    assert result.p == pytest.approx(np.mean([abs(e) >= abs(every[0]) - 1e-9 for e in every]))
    assert (result.arrangements, result.exact, result.smallest_p) == (720, True, pytest.approx(1 / 60))


@pytest.mark.parametrize(("by_value", "by_seed", "sign"), [(5.0, 0.2, 1), (0.2, 5.0, -1)])
def test_the_excess_tells_which_of_the_two_moves_the_space_more(by_value, by_seed, sign, tmp_path):
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    result = excess(study, pairs_of(study, points_of(study, by_value, by_seed, 0.1)))
    assert np.sign(result.gap) == sign
    assert result.p <= 0.05


def test_a_tiny_steady_effect_leaves_a_trace_but_is_not_called_larger_than_that_of_the_seed(tmp_path):
    """Seeds decide the space; the value adds the same little shift, away from where the seeds lie, in every seed."""
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    place = {1: (5, 0, 0), 2: (-5, 3, 0), 3: (0, -6, 0)}
    shift = {1.0: 0.0, 0.1: 0.05, 0.01: 0.1}
    places = np.array([
        (*place.get(s.get("seed"), (0, 0, 0))[:2], shift.get(s.get("l2"), 0.0)) for s in study.spaces
    ])  # fmt: skip
    pairs = pairs_of(study, places)
    assert found(study, pairs).p == pytest.approx(1 / 36)
    result = excess(study, pairs)
    assert result.gap < 0
    assert result.p <= 0.05


@pytest.mark.slow
def test_where_neither_matters_small_p_of_the_excess_are_as_rare_as_they_say(tmp_path):
    study = FakeStudy(tmp_path, seeds=(1, 2))
    sweep, rng = study.sweep, np.random.default_rng(12)
    count = len(study.spaces)
    pairs, runs = relate(pairs_of(study, points_of(study, 0, 0)), sweep), points(sweep)
    order = np.triu_indices(count, 1)
    p = np.empty(200)
    for k in range(200):
        places = points_of(study, 0, 0, 1, rng)
        p[k] = excess_test(pairs.assign(value=cdist(places, places)[order]), runs).p
    for level in (0.05, 0.2, 0.5):
        assert (p <= level + 1e-9).mean() == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 200))


def test_the_smallest_p_of_the_excess_counts_renamed_values_and_seeds(tmp_path):
    square = FakeStudy(tmp_path / "a", ({"l2": 1.0}, {"l2": 0.1}), (1, 2))
    assert excess(square, pairs_of(square, points_of(square, 1.0, 1.0))).smallest_p == pytest.approx(8 / 24)
    many = FakeStudy(tmp_path / "b", seeds=(1, 2, 3, 4))
    assert excess(many, pairs_of(many, points_of(many, 1.0, 1.0))).smallest_p == 1e-4
