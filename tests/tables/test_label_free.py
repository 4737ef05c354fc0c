"""What picks without labels, on made-up runs whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lambdascape.core.tsv import read_table, write_table
from lambdascape.tables.comparisons import choose_arm
from lambdascape.tables.label_free import CRITERIA, rank_correlations, rank_criteria
from tables.test_comparisons import RUNS, SEEDS, SETTINGS, better_by_arm, spaces_of, write_confusions

TEXT = ("criterion", "better", "picks", "labels_pick")


def ranked(folder, loss, rank, sessions=6, **varied):
    """The table, when a run's held-out loss and effective rank are functions of the number of its arm and its seed."""
    points = [(number // len(SEEDS), SEEDS[number % len(SEEDS)]) for number in range(len(RUNS))]
    training = [
        (run, epoch, split, measure, value)
        for run, point in zip(RUNS, points, strict=True)
        for epoch, late in ((1, 0), (2, 1))
        for split in ("train", "test")
        for measure, value in (("loss_all", loss(*point) if late and split == "test" else 7 - point[0]),)
    ]
    geometry = [
        (run, "test", measure, value)
        for run, point in zip(RUNS, points, strict=True)
        for measure, value in (("effective_rank", rank(*point)), ("uniformity", -2.0))
    ]
    write_table(spaces_of({}).assign(**{"margin": 1.0} | varied), folder / "runs.tsv")
    columns = ["run", "split", "measure", "value"]
    write_table(pd.DataFrame(training, columns=["run", "epoch", *columns[1:]]), folder / "training.tsv")
    write_table(pd.DataFrame(geometry, columns=columns), folder / "geometry.tsv")
    paths = write_confusions(folder, better_by_arm, sessions)
    runs, *tables = (folder / f"{name}.tsv" for name in ("runs", "training", "geometry"))
    choose_arm(runs, RUNS, paths, SETTINGS, 3, folder / "choice.tsv")
    rank_criteria(runs, RUNS, *tables, paths, folder / "choice.tsv", SETTINGS, 3, folder / "selection.tsv")
    return read_table(folder / "selection.tsv", TEXT).set_index("criterion")


def test_a_criterion_that_ranks_as_the_labels_do_picks_what_they_pick(tmp_path):
    table = ranked(tmp_path, loss=lambda arm, seed: 0.5 - 0.1 * arm, rank=lambda arm, seed: 9 - arm)
    assert table.index.tolist() == [criterion.measure for criterion in CRITERIA]
    good, bad = table.loc["loss_all"], table.loc["effective_rank"]
    assert (good["correlation"], good["low"], good["high"]) == (1, 1, 1)
    assert (good["picks"], good["labels_pick"], good["agrees"], good["difference"]) == ("l2~0.01", "l2~0.01", 1, 0)
    assert (bad["correlation"], bad["picks"], bad["agrees"]) == (-1, "l2~1", 0)
    assert bad["difference_low"] <= bad["difference"] <= bad["difference_high"] < 0
    assert (table["seeds"].unique(), table["sessions"].unique()) == ([2], [6])


def test_seeds_that_disagree_widen_the_interval(tmp_path):
    table = ranked(tmp_path, loss=lambda arm, seed: 0.5, rank=lambda arm, seed: 9 + arm * (3 if seed == 1 else -2))
    row = table.loc["effective_rank"]
    assert row["correlation"] == 1
    assert row["low"] == -1
    assert row["high"] == 1


def test_what_is_constant_or_missing_ranks_nothing(tmp_path):
    table = ranked(tmp_path, loss=lambda arm, seed: 0.5, rank=lambda arm, seed: np.nan)
    for name in ("loss_all", "active_fraction", "effective_rank", "uniformity"):
        assert np.isnan(table.loc[name, ["correlation", "low", "agrees", "difference"]].astype(float)).all()
        assert (table.loc[name, "picks"], table.loc[name, "labels_pick"]) == ("", "l2~0.01")


def test_losses_of_several_margins_are_not_compared(tmp_path):
    table = ranked(tmp_path, lambda arm, seed: 0.5 - 0.1 * arm, lambda arm, seed: arm, margin=[1.0] * 4 + [2.0] * 2)
    assert table["correlation"].isna().to_dict() == {
        "loss_all": True,
        "active_fraction": True,
        "effective_rank": False,
        "uniformity": True,
    }


def test_no_labels_leave_the_header_only(tmp_path):
    assert ranked(tmp_path, loss=lambda arm, seed: arm, rank=lambda arm, seed: arm, sessions=0).empty


def test_rank_correlations_agree_with_scipy():
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 5, (2, 40, 7)).astype(float)
    second[3], first[5, 1] = 2.0, np.nan
    found = rank_correlations(first, second)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 5]
    for row in set(range(40)) - {3, 5}:
        assert found[row] == pytest.approx(spearmanr(first[row], second[row]).statistic)
