"""Spaces that the user brings stand in every figure and table under their own names, and in no test about λ."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lambdascape.core.tsv import read_table
from lambdascape.figures.few_shot_curve import few_shot_figure
from lambdascape.figures.maps import mapped_runs
from lambdascape.figures.response import response_figure
from lambdascape.figures.run_map import run_map_figure
from lambdascape.figures.seed_distances import moves_figure
from lambdascape.figures.similarity_matrices import ordered
from lambdascape.figures.spectra import spectra_figure
from lambdascape.figures.style import OWN_COLOURS, reference_colours
from lambdascape.report.answer import answer
from lambdascape.report.formatting import score_summary, spaces
from lambdascape.study.run_table import read_sweep
from support.studies import FakeStudy

OWN = ("openl3", "panns-cnn14")
KINDS = [f"own:{name}" for name in OWN]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> FakeStudy:
    return FakeStudy(tmp_path_factory.mktemp("study"), own=OWN)


def figures(study: FakeStudy) -> dict[str, Figure]:
    sweep = study.sweep
    return {
        "response": response_figure(sweep, study.frame("scores"), study.judged()["choice"]),
        "few_shot": few_shot_figure(sweep, study.frame("few_shot")),
        "spectra": spectra_figure(sweep, study.frame("spectra")),
        "run_map": run_map_figure(sweep, pd.read_csv(study.tables["map"], sep="\t")),
    }


@pytest.mark.parametrize("name", ["response", "few_shot", "spectra", "run_map"])
def test_each_brought_space_is_drawn_by_itself_in_a_colour_of_its_own(study: FakeStudy, name: str) -> None:
    axes = figures(study)[name].axes[0]
    drawn = {line.get_label(): line for line in axes.get_lines()}
    if name == "run_map":
        runs = study.sweep.references["run"]
        points = dict(zip(runs, axes.collections[0].get_facecolors(), strict=True))
        assert [to_hex(points[run]) for run in OWN] == list(OWN_COLOURS[:2])
    else:
        assert [drawn[kind].get_color() for kind in KINDS] == list(OWN_COLOURS[:2])
    if name == "response":
        assert [drawn[label].get_ydata()[0] for label in KINDS] == pytest.approx([0.06, 0.11])


def test_every_kind_has_a_colour_however_many_there_are() -> None:
    kinds = ["untrained", "mean_logmel", *(f"own:{number}" for number in range(9))]
    colours = reference_colours(kinds)
    assert list(colours) == kinds
    assert len(set(colours.values())) == 2 + len(OWN_COLOURS)


def test_maps_and_matrix_show_each_brought_space_after_the_references(study: FakeStudy) -> None:
    sweep = study.sweep
    words = [(name, f"own space {name}") for name in OWN]
    assert mapped_runs(sweep)[-2:] == words
    assert ordered(sweep)[-2:] == words
    assert [runs for _, runs in spaces(sweep)[-2:]] == [[name] for name in OWN]


def test_the_table_of_scores_has_a_row_for_each(study: FakeStudy) -> None:
    rows = {row[0]: row[1] for row in score_summary(study.sweep, study.frame("scores"), "").rows}
    assert [rows[f"own space {name}"] for name in OWN] == ["0.060", "0.110"]


def test_the_answer_holds_the_best_value_against_each(study: FakeStudy) -> None:
    judged = study.judged()
    found = answer(study.sweep, study.frame("scores"), judged["choice"], judged["comparisons"], 0.95)
    for name, score in zip(OWN, ("0.060", "0.110"), strict=True):
        assert f"less the own space {name} ({score}), on the same sessions: 0." in " ".join(found.sentences)


def test_tests_about_the_sweep_leave_them_out(study: FakeStudy, tmp_path: Path) -> None:
    without = FakeStudy(tmp_path)
    for name in ("moves", "mechanism"):
        assert study.tables[name].read_text() == without.tables[name].read_text()
    drawn = moves_figure(study.sweep, study.frame("pairs")).axes[0].get_lines()
    assert not [line for line in drawn if "own" in str(line.get_label())]
    parts = read_table(study.tables["map"], text=("part", "run"))
    assert set(OWN) <= set(parts.loc[parts["part"] == "all", "run"])
    assert not set(OWN) & set(parts.loc[parts["part"] == "trained", "run"])


@pytest.mark.parametrize("name", ["seed", "axis", "both", "untrained", "trained", "own"])
def test_a_name_that_means_something_else_here_changes_nothing(tmp_path: Path, name: str) -> None:
    named = FakeStudy(tmp_path / "named", own=(name,))
    assert named.tables["moves"].read_text() == FakeStudy(tmp_path / "plain").tables["moves"].read_text()
    sweep = read_sweep(named.tables["runs"])
    assert list(sweep.kinds) == ["untrained", "mean_logmel", f"own:{name}"]
