"""Nothing is read from the name of a run or an arm: with meaningless names a study has the same tables and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lambdascape.core.tsv import read_table
from lambdascape.exports.embedding_table import export_table
from lambdascape.figures.confusion import confusion_figure
from lambdascape.figures.dynamics import dynamics_figure
from lambdascape.figures.few_shot_curve import few_shot_figure
from lambdascape.figures.mechanism_stages import mechanism_figure
from lambdascape.figures.response import response_figure
from lambdascape.figures.run_map import run_map_figure
from lambdascape.figures.seed_distances import moves_figure
from lambdascape.figures.selection import selection_figure
from lambdascape.figures.similarity_matrices import similarity_figure
from lambdascape.figures.spectra import spectra_figure
from lambdascape.figures.training_curves import curves_figure
from lambdascape.mechanism.judging import TEXT as MECHANISM_TEXT
from lambdascape.report import comparisons_section
from lambdascape.report.answer import answer
from lambdascape.report.formatting import geometry_summary, score_summary, training_summary
from lambdascape.report.mechanism_section import mechanism_sentence
from lambdascape.report.next_steps import next_steps
from lambdascape.report.probes_section import probe_summary
from lambdascape.report.runs_section import run_table
from lambdascape.study.run_table import Sweep, mapped_runs, read_sweep
from lambdascape.tables.every_run import read_every_run
from lambdascape.tables.label_free import held_out_measures
from lambdascape.tables.rankings import compare_protocols
from support.studies import FakeStudy

pytestmark = pytest.mark.finding("B4")

STUDIES: dict[str, dict[str, Any]] = {
    "one axis": {"seeds": (1, 2), "own": ("openl3",)},
    "two settings": {
        "points": tuple({"l2": l2, "margin": m} for l2 in (1.0, 0.1) for m in (0.5, 2.0)),
        "seeds": (3, 1),
    },
    "words": {"points": ({"reduction": "nonzero"}, {"reduction": "all"}), "seeds": (7,)},
}


@pytest.fixture(params=STUDIES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FakeStudy, FakeStudy]:
    """A study with names to read, and the same with meaningless names."""
    settings = STUDIES[request.param]
    plain, opaque = FakeStudy(tmp_path / "plain", **settings), FakeStudy(tmp_path / "opaque", opaque=True, **settings)
    assert not any("~" in space["run"] or "~" in space["arm"] for space in opaque.spaces)
    return plain, opaque


def translated(study: FakeStudy, words: Any) -> Any:
    """The names of a study with meaningless ones in their place; the longest first, for an arm is part of a run."""
    if isinstance(words, str):
        for name in sorted(study.words, key=len, reverse=True):
            words = words.replace(name, study.words[name])
    return words


def test_every_table_of_the_study_is_the_same(pair: tuple[FakeStudy, FakeStudy]) -> None:
    plain, _ = pair
    assert {"runs", "every_run", "moves", "map", "mechanism", "choice", "comparisons"} <= set(plain.tables)
    for name in plain.tables:
        tables = [pd.read_csv(study.tables[name], sep="\t") for study in pair]
        expected = tables[0].map(lambda value: translated(plain, value))
        pd.testing.assert_frame_equal(tables[1], expected, obj=name)


def drawn(figure: Figure) -> list[tuple[Any, ...]]:
    """What a figure shows: the lines of its panels with labels, places and colours, and every text."""
    lines = [
        (str(line.get_label()), np.round(line.get_xydata(), 9).tolist(), to_hex(line.get_color()))
        for axes in figure.axes
        for line in axes.lines
    ]
    texts = [(text.get_text(),) for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return [*lines, *texts]


def figures(study: FakeStudy, sweep: Sweep) -> dict[str, Figure]:
    judged, layers = study.judged(), study.frame("layers")
    measured = held_out_measures(study.tables["training"], study.tables["geometry"])
    return {
        "training": curves_figure(sweep, study.frame("training"), "loss", None),
        "response": response_figure(sweep, study.frame("scores"), judged["choice"]),
        "selection": selection_figure(sweep, measured, study.frame("scores"), judged["selection"]),
        "few shot": few_shot_figure(sweep, study.frame("few_shot")),
        "confusion": confusion_figure(sweep, study.frame("confusion")),
        "dynamics": dynamics_figure(sweep, layers[layers["group"] == "stem"]),
        "mechanism": mechanism_figure(sweep, layers, read_table(study.tables["mechanism"], text=MECHANISM_TEXT)),
        "spectra": spectra_figure(sweep, study.frame("spectra")),
        "similarity": similarity_figure(sweep, study.frame("pairs")),
        "moves": moves_figure(sweep, study.frame("pairs")),
        "map": run_map_figure(sweep, pd.read_csv(study.tables["map"], sep="\t")),
    }


@pytest.mark.slow
def test_every_figure_shows_the_same(pair: tuple[FakeStudy, FakeStudy]) -> None:
    shown = [figures(study, read_sweep(study.tables["runs"])) for study in pair]
    for name, figure in shown[0].items():
        expected = [(translated(pair[0], label), *rest) for label, *rest in drawn(figure)]
        assert sorted(map(repr, drawn(shown[1][name]))) == sorted(map(repr, expected)), name


def said(study: FakeStudy, folder: Path) -> dict[str, Any]:
    """What the report, the viewer and an export say of the runs."""
    sweep, judged = read_sweep(study.tables["runs"]), study.judged()
    mechanism = read_table(study.tables["mechanism"], text=MECHANISM_TEXT)
    frames = {name: study.frame(name) for name in ("scores", "training", "geometry")}
    read = frames | judged | {"mechanism": mechanism}
    chosen = sweep.arms[comparisons_section.chosen_arm(judged["choice"])]
    names = [space["run"] for space in study.spaces]
    export_table(names, study.embeddings(), study.tables["runs"], "fold1", folder / "table.csv")
    return {
        "answer": answer(sweep, frames["scores"], judged["choice"], judged["comparisons"], 0.95),
        "next": next_steps(sweep, read, 0.95, {}, 12),
        "comparisons": comparisons_section.comparison_table(sweep, judged["comparisons"], 0.05),
        "references": comparisons_section.reference_table(sweep, judged["comparisons"], 0.05),
        "choice": comparisons_section.choice_table(sweep, judged["choice"]),
        "selection": comparisons_section.selection_table(sweep, judged["selection"]),
        "scores": score_summary(sweep, frames["scores"], chosen),
        "training": training_summary(sweep, frames["training"]),
        "geometry": geometry_summary(sweep, frames["geometry"]),
        "probes": probe_summary(sweep, frames["scores"]),
        "mechanism": mechanism_sentence(sweep, mechanism),
        "runs": run_table(sweep, read_every_run(study.tables["every_run"]), mechanism),
        "panels": mapped_runs(sweep),
        "export": (folder / "table.csv").read_text(encoding="utf-8"),
    }


def test_the_report_and_the_exports_say_the_same(pair: tuple[FakeStudy, FakeStudy], tmp_path: Path) -> None:
    plain, opaque = (said(study, tmp_path / str(place)) for place, study in enumerate(pair))
    for name, words in plain.items():
        assert repr(opaque[name]) == translated(pair[0], repr(words)), name


def test_protocols_are_compared_whatever_runs_are_called(tmp_path: Path) -> None:
    found = []
    for opaque in (False, True):
        studies = [
            FakeStudy(tmp_path / f"{n}{opaque}", seeds=seeds, opaque=opaque) for n, seeds in enumerate(((1, 2), (5,)))
        ]
        output = tmp_path / f"protocols{opaque}.tsv"
        compare_protocols(["a", "b"], studies[0].tables, studies[1].tables, 0.95, output)
        found.append(output.read_bytes())
    assert found[0] == found[1]
