"""The ranking of one study against that of another, on tables with known answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.figures.protocol_ranks import plot_protocols, protocols_figure
from lambdascape.tables.rankings import MEASURES, TEXT, compare_protocols, swaps
from support.studies import EPOCHS, FakeStudy

GRID = ({"l2": 1.0}, {"l2": 0.1}, {"l2": 0.01})
# The score of the first study rises with λ, but for 0.1 and 0.01, which are swapped in the second one.
FIRST = {1.0: 0.3, 0.1: 0.5, 0.01: 0.4}
SECOND = {1.0: 0.35, 0.1: 0.45, 0.01: 0.6, 0.0: 0.9}


def scored(values: dict[float, float]) -> Any:
    return lambda point, seed: values[point["l2"]] + 0.01 * seed


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    return compared(tmp_path)


def compared(folder: Path, second_grid: tuple[dict[str, Any], ...] = (*GRID, {"l2": 0.0}), **changes: Any) -> Any:
    first = FakeStudy(folder / "first", points=GRID, seeds=(1,), score=scored(FIRST))
    given: dict[str, Any] = {"points": second_grid, "seeds": (1, 2, 4), "score": scored(SECOND)} | changes
    second = FakeStudy(folder / "second", **given)
    compare_protocols(["one", "two"], first.tables, second.tables, 0.9, folder / "protocols.tsv")
    return read_table(folder / "protocols.tsv", text=TEXT)


def test_every_shared_value_has_its_mean_interval_and_rank_in_both_studies(table: pd.DataFrame) -> None:
    assert len(table) == len(MEASURES) * 3 * 2
    assert set(table["setting"]) == {1.0, 0.1, 0.01}
    rows = table.set_index(["measure", "study", "setting"])
    for l2, score in SECOND.items():
        if l2 == 0.0:
            continue
        seeds = score + 0.01 * np.array([1, 2, 4])
        row = rows.loc[("converged_clip", "two", l2)]
        low, high = stats.t.interval(0.9, 2, seeds.mean(), stats.sem(seeds))
        assert [row["mean"], row["low"], row["high"]] == pytest.approx([seeds.mean(), low, high])
        assert row["seeds"] == 3
        loss = rows.loc[("loss_all", "two", l2)]
        assert loss["mean"] == pytest.approx(seeds.mean() / EPOCHS)  # of the last epoch
    assert rows.loc[("converged_clip", "one", 0.1)][["low", "high"]].isna().all()
    ranks = {
        study: [rows.loc[("converged_clip", study, l2)]["rank"] for l2 in (1.0, 0.1, 0.01)] for study in ("one", "two")
    }
    assert ranks == {"one": [3, 1, 2], "two": [3, 2, 1]}
    # A low loss is a good one: the ranks are the other way round.
    assert [rows.loc[("loss_all", "one", l2)]["rank"] for l2 in (1.0, 0.1, 0.01)] == [1, 3, 2]


def test_pairs_that_swap_are_counted(table: pd.DataFrame) -> None:
    assert swaps(table, "converged_clip") == (1, 3)
    assert swaps(table.assign(mean=1.0), "converged_clip") == (0, 3)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    points = ({"l2": 1.0, "margin": 0.5}, {"l2": 1.0, "margin": 2.0})
    with pytest.raises(InputError, match="must vary the same hyperparameter; one varies l2, two varies margin"):
        compared(tmp_path / "a", points)
    with pytest.raises(InputError, match="one and two must share at least two values of l2; they share 1"):
        compared(tmp_path / "b", ({"l2": 1.0}, {"l2": 0.0}))


def test_a_study_that_names_no_other_is_told_to(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compare_with: must name the study to compare with; got null"):
        compare_protocols(["", "two"], {}, {}, 0.9, tmp_path / "protocols.tsv")


def test_without_labels_only_the_loss_is_ranked(tmp_path: Path) -> None:
    table = compared(tmp_path, labelled=False)
    assert set(table["measure"]) == {"loss_all"}
    assert len(protocols_figure(table).axes) == 1


@pytest.mark.parametrize("grid", [({"width": 8}, {"width": 64}), ({"reduction": "all"}, {"reduction": "nonzero"})])
def test_values_may_be_whole_numbers_or_words(tmp_path: Path, grid: tuple[dict[str, Any], ...]) -> None:
    studies = [FakeStudy(tmp_path / name, points=grid, score=lambda point, seed: 0.5) for name in ("first", "second")]
    compare_protocols(["one", "two"], studies[0].tables, studies[1].tables, 0.9, tmp_path / "protocols.tsv")
    table = read_table(tmp_path / "protocols.tsv", text=TEXT)
    assert table["rank"].eq(1).all()
    figure = protocols_figure(table)
    (value,) = grid[0].values()
    words = [text.get_text() for text in figure.axes[0].texts]
    assert any(f"{value} " in word and "(1 → 1)" in word for word in words)


def test_a_value_that_was_not_measured_leaves_its_measure_out(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, points=GRID)
    scores = study.frame("scores")
    scores.loc[(scores["probe"] == "by_epoch") & scores["run"].str.startswith("l2~0.1"), "value"] = np.nan
    write_table(scores, study.tables["scores"])
    compare_protocols(["one", "two"], study.tables, study.tables, 0.9, tmp_path / "protocols.tsv")
    table = read_table(tmp_path / "protocols.tsv", text=TEXT)
    assert set(table["measure"]) == {"loss_all", "converged_clip"}


def test_the_figure_has_a_line_for_each_shared_value(table: pd.DataFrame, tmp_path: Path) -> None:
    figure = protocols_figure(table)
    assert len(figure.axes) == len(MEASURES)
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        drawn = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
        assert set(drawn) == {f"{measure.name}:{l2}" for l2 in (1.0, 0.1, 0.01)}
        for l2 in (1.0, 0.1, 0.01):
            rows = table[(table["measure"] == measure.name) & (table["setting"] == l2)]
            assert list(drawn[f"{measure.name}:{l2}"].get_ydata()) == pytest.approx(rows["mean"].tolist())
    words = "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    assert "λ = 0.01 (2 → 1)" in words
    assert "1 of 3 pairs swap" in words
    plot_protocols(tmp_path / "protocols.tsv", tmp_path / "x.svg", tmp_path / "x.png", True)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
