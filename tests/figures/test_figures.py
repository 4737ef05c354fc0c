"""The figures show the numbers of the tables, in the colours of the values, whatever the study looks like."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.core.vectors import project
from lambdascape.figures import style
from lambdascape.figures.confusion import confusion_figure, counts, plot_confusion
from lambdascape.figures.dynamics import KINDS as SIZES
from lambdascape.figures.dynamics import dynamics_figure, plot_dynamics
from lambdascape.figures.few_shot_curve import few_shot_figure, plot_few_shot
from lambdascape.figures.maps import groups, mapped_runs, maps_figure, plot_maps, sample
from lambdascape.figures.mechanism_stages import mechanism_figure, plot_mechanism
from lambdascape.figures.response import noise_floor, plot_response, response_figure
from lambdascape.figures.run_map import plot_run_map, run_map_figure
from lambdascape.figures.seed_distances import moves_figure, plot_moves
from lambdascape.figures.selection import plot_selection, selection_figure
from lambdascape.figures.similarity_matrices import ordered, plot_similarity, similarity_figure
from lambdascape.figures.spectra import plot_spectra, spectra_figure
from lambdascape.figures.training_curves import KINDS, curves_figure, plot_curves
from lambdascape.mechanism.judging import TEXT
from lambdascape.study.run_table import read_sweep
from lambdascape.tables.label_free import held_out_measures
from support.studies import EPOCHS, GROUPS, FakeStudy, with_identity

PUBLISHED_CURVES = Path(__file__).parents[2] / "workflow" / "report" / "published_curves.csv"
SEVERAL = tuple({"l2": l2, "margin": margin} for l2 in (1.0, 0.1) for margin in (0.5, 2.0))
STUDIES: dict[str, dict[str, Any]] = {
    "usual": {},
    "unlabelled": {"labelled": False},
    "one run": {"points": ({"l2": 0.01},), "seeds": (7,)},
    "zero": {"points": ({"l2": 0.0}, {"l2": 0.001}, {"l2": 0.1})},
    "several axes": {"points": SEVERAL},
    "words": {"points": ({"reduction": "all"}, {"reduction": "nonzero"})},
}


def lines(figure: Figure, axes: int = 0) -> dict[str, Any]:
    return {
        str(line.get_label()): line for line in figure.axes[axes].lines if not str(line.get_label()).startswith("_")
    }


def words_of(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def two_groups(study: FakeStudy) -> pd.DataFrame:
    """The layers of the stem and the head: all panels of all stages take more than a second to lay out."""
    table = study.frame("layers")
    return table[table["group"].isin(("stem", "head"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_kind_of_study_gets_all_figures(name: str, tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, **STUDIES[name])
    sweep = study.sweep
    figures = [
        curves_figure(sweep, study.frame("training"), "loss", None),
        curves_figure(sweep, study.frame("probe_epochs"), "macro_f1", None),
        response_figure(sweep, study.frame("scores"), study.judged()["choice"]),
        few_shot_figure(sweep, study.frame("few_shot")),
        confusion_figure(sweep, study.frame("confusion")),
        dynamics_figure(sweep, two_groups(study)),
        mechanism_figure(sweep, study.frame("layers"), read_table(study.tables["mechanism"], text=TEXT)),
    ]
    others = (
        spectra_figure(sweep, study.frame("spectra")),
        similarity_figure(sweep, study.frame("pairs")),
        moves_figure(sweep, study.frame("pairs")),
        run_map_figure(sweep, pd.read_csv(study.tables["map"], sep="\t")),
    )
    for figure in (*figures, *others):
        figure.draw_without_rendering()  # all of the layout; pixels take as long again
    assert all(figure.axes for figure in others)
    panels = [len(figure.axes) for figure in figures]
    expected = [1, 1, 1, 1, len(sweep.values) + 1] if study.labelled else [1, 0, 0, 0, 0]
    assert panels == [*expected, len(SIZES) * 2, int(sweep.key == "l2")]


@pytest.mark.slow
def test_every_figure_is_svg_and_png_and_says_synthetic(study: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(style.RC, "svg.fonttype", "none")  # so that the test can read the text
    monkeypatch.setattr(style, "PNG_DPI", 20)
    write_table(two_groups(study), study.tables["layers"])
    runs, table = study.tables["runs"], study.tables
    folder = tmp_path / "out"

    def out(figure: str) -> tuple[Path, Path]:
        return folder / f"{figure}.svg", folder / f"{figure}.png"

    plot_curves(runs, table["training"], "loss", [str(PUBLISHED_CURVES)], *out("loss"), True)
    plot_curves(runs, table["probe_epochs"], "cross_entropy", [], *out("cross_entropy"), True)
    plot_response(runs, table["scores"], table["choice"], *out("response"), True)
    judged = [table[name] for name in ("training", "geometry", "scores", "selection")]
    plot_selection(runs, *judged, *out("selection"), True)
    plot_confusion(runs, table["confusion"], *out("confusion"), True)
    plot_dynamics(runs, table["layers"], *out("dynamics"), True)
    plot_few_shot(runs, table["few_shot"], *out("few_shot"), True)
    plot_mechanism(runs, table["layers"], table["mechanism"], *out("mechanism"), True)
    plot_maps(runs, study.embeddings(), [s["run"] for s in study.spaces], "fold1", *out("maps"), True)
    plot_spectra(runs, table["spectra"], *out("spectra"), True)
    plot_similarity(runs, table["pairs"], *out("similarity"), True)
    plot_moves(runs, table["pairs"], {}, *out("moves"), True)
    plot_run_map(runs, table["map"], *out("run_map"), True)
    layers, spaces = ("dynamics", "mechanism"), ("maps", "spectra", "similarity", "moves", "run_map")
    for name in ("loss", "cross_entropy", "response", "selection", "confusion", "few_shot", *layers, *spaces):
        assert "synthetic data" in (folder / f"{name}.svg").read_text(encoding="utf-8")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "<script>" not in (folder / "confusion.svg").read_text(encoding="utf-8")


def test_the_same_tables_give_the_same_bytes(study: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(style, "PNG_DPI", 20)
    for name, synthetic in (("a", False), ("b", False), ("c", True)):
        svg, png = tmp_path / f"{name}.svg", tmp_path / f"{name}.png"
        plot_response(*(study.tables[name] for name in ("runs", "scores", "choice")), svg, png, synthetic)
    a, b, c = ((tmp_path / f"{name}.svg").read_bytes() for name in "abc")
    assert a == b != c
    assert b"<dc:date>" not in a


def test_without_labels_a_sentence_stands_in_place_of_axes(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, labelled=False)
    sweep = study.sweep
    for figure in (
        response_figure(sweep, study.frame("scores"), study.judged()["choice"]),
        confusion_figure(sweep, study.frame("confusion")),
        curves_figure(sweep, study.frame("probe_epochs"), "macro_f1", None),
    ):
        assert not figure.axes
        assert "No labels: the probes were left out." in words_of(figure)
    assert len(curves_figure(sweep, study.frame("training"), "loss", None).axes) == 1


def test_curves_are_the_means_over_seeds(study: FakeStudy) -> None:
    figure = curves_figure(study.sweep, study.frame("training"), "loss", None)
    drawn = lines(figure)
    assert set(drawn) == {f"{split}:{l2}" for split in ("train", "test") for l2 in ("1", "0.1", "0.01")}
    for label, line in drawn.items():
        split, l2 = label.split(":")
        here = [space for space in study.spaces if space.get("l2") == float(l2)]
        for epoch, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            assert y == pytest.approx(np.mean([study.loss(space, int(epoch), split) for space in here]))
        assert list(line.get_xdata()) == list(range(1, EPOCHS + 1))


@pytest.mark.slow
def test_every_size_of_every_stage_is_drawn_as_the_mean_over_seeds_on_one_scale_per_row(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, points=({"l2": 0.1}, {"l2": 0.0}))
    figure = dynamics_figure(study.sweep, study.frame("layers"))
    rows = [figure.axes[i : i + 6] for i in range(0, 6 * len(SIZES), 6)]
    for measure, row in zip(SIZES, rows, strict=True):
        assert len({axes.get_ylim() for axes in row}) == 1
        for group, axes in zip(GROUPS, row, strict=True):
            (line,) = (line for line in axes.lines if line.get_label() == f"{measure}:{group}:0.1")
            here = [space for space in study.spaces if space.get("l2") == 0.1]
            means = [np.mean([study.size(space, e, group, measure) for space in here]) for e in range(1, EPOCHS + 1)]
            assert list(line.get_xdata()) == list(range(1, EPOCHS + 1))
            assert line.get_ydata() == pytest.approx(means, nan_ok=True)
            low, high = axes.get_ylim()
            assert all(low <= value <= high for value in means if np.isfinite(value))
    assert [axes.get_title(loc="left") for axes in rows[0]] == [
        *("stem", "stage 1", "stage 2", "stage 3", "stage 4", "embedding layer")
    ]
    assert words_of(figure).count("no normalisation") == 3  # behind the embedding layer
    assert "no penalty" not in words_of(figure)


def test_published_curves_stand_one_epoch_later_and_only_where_l2_varies(tmp_path: Path) -> None:
    published = pd.DataFrame({"figure": ["triplet_loss"] * 2, "l2": 0.1, "epoch": [0, 1], "value": [0.9, 0.8]})
    study = FakeStudy(tmp_path / "a")
    drawn = lines(curves_figure(study.sweep, study.frame("training"), "loss", published))
    assert list(drawn["published:0.1"].get_xdata()) == [1, 2]
    assert list(drawn["published:0.1"].get_ydata()) == [0.9, 0.8]
    assert drawn["published:0.1"].get_color() == drawn["train:0.1"].get_color()
    other = FakeStudy(tmp_path / "b", points=({"margin": 0.5}, {"margin": 2.0}))
    drawn = lines(curves_figure(other.sweep, other.frame("training"), "loss", published))
    assert not any(label.startswith("published") for label in drawn)


def test_the_published_file_has_all_three_figures() -> None:
    table = pd.read_csv(PUBLISHED_CURVES)
    assert set(table["figure"]) == {kind.published for kind in KINDS.values()}
    assert set(table["l2"]) == {1.0, 0.1, 0.01}
    assert table["epoch"].min() == 0


def test_the_response_shows_every_run_its_interval_and_the_means(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, points=({"l2": 0.1}, {"l2": 0.0}, {"l2": 0.01}))
    figure = response_figure(study.sweep, study.frame("scores"), study.judged()["choice"])
    drawn = lines(figure)
    for l2 in (0.0, 0.01, 0.1):
        values = [study.value(space) for space in study.spaces if space.get("l2") == l2]
        assert sorted(drawn[f"clip:{l2:g}"].get_ydata()) == pytest.approx(sorted(values))
    means = [np.mean([study.value(s) for s in study.spaces if s.get("l2") == l2]) for l2 in (0.0, 0.01, 0.1)]
    assert drawn["clip"].get_ydata() == pytest.approx(means)
    assert drawn["tile"].get_ydata() == pytest.approx(np.array(means) - 0.05)
    assert drawn["untrained"].get_ydata() == pytest.approx([0.2, 0.2])
    assert drawn["mean_logmel"].get_ydata() == pytest.approx([0.3, 0.3])
    groups = {group.get_label(): group.get_segments() for group in figure.axes[0].collections}
    assert groups.pop("interval:untrained")[0][:, 1] == pytest.approx([0.16, 0.26])
    assert groups.pop("interval:mean_logmel")[0][:, 1] == pytest.approx([0.26, 0.36])
    bars = [bar for segments in groups.values() for bar in segments]
    assert sorted(bar[0, 1] for bar in bars) == pytest.approx(sorted(mean - 0.04 for mean in means))  # of choice.tsv
    assert {round(float(np.ptp(bar[:, 1])), 6) for bar in bars} == {0.1}
    assert drawn["chosen"].get_ydata() == drawn["mean:l2~0.0"].get_ydata() == pytest.approx([max(means)])
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0", "0.01", "0.1"]


def runs_of(scores: np.ndarray) -> pd.DataFrame:
    named = [(f"arm {arm}", seed, value) for (arm, seed), value in np.ndenumerate(scores)]
    return pd.DataFrame(named, columns=["arm", "seed", "value"])


def test_the_noise_floor_is_the_analysis_of_means_of_arms_by_seeds() -> None:
    scores = np.array([[0.5, 0.72, 0.62], [0.6, 0.8, 0.73]])
    low, high = noise_floor(runs_of(scores))
    # Two arms: their deviations are alike, h is Student's t of 2 degrees of freedom, and the half-width is that of half
    # the paired difference.
    gap = scores[1] - scores[0]
    half = 4.302653 * gap.std(ddof=1) / np.sqrt(3) / 2
    assert (low + high) / 2 == pytest.approx(scores.mean())
    assert (high - low) / 2 == pytest.approx(half, rel=0.02)
    assert np.isnan(noise_floor(runs_of(scores[:, :1]))).all()
    assert np.isnan(noise_floor(runs_of(scores[:1]))).all()
    wide = noise_floor(runs_of(np.array([[0.1, 0.9], [0.8, 0.2]])))
    assert wide == (0.0, 1.0)  # no score lies beyond


@pytest.mark.slow
@pytest.mark.finding("B7")
@pytest.mark.parametrize("arms", [3, 6, 10])
def test_the_noise_floor_holds_for_all_means_together(arms: int) -> None:
    """In 5 % of studies of equal arms some mean lies beyond, whatever their seeds have in common."""
    rng = np.random.default_rng(arms)
    studies, beyond = 1000, 0
    for _ in range(studies):
        scores = 0.5 + 0.03 * rng.normal(size=5) + 0.01 * rng.normal(size=(arms, 5))
        low, high = noise_floor(runs_of(scores))
        means = scores.mean(axis=1)
        beyond += bool(((means < low) | (means > high)).any())
    assert beyond / studies == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / studies))


@pytest.mark.finding("B7")
def test_what_seeds_do_to_all_arms_alike_is_no_noise() -> None:
    """Three arms that differ at every seed, by less than seeds do."""
    rng = np.random.default_rng(0)
    seeds = rng.normal(0, 0.04, 5)
    scores = np.array([mean + seeds + rng.normal(0, 0.003, 5) for mean in (0.60, 0.61, 0.62)])
    low, high = noise_floor(runs_of(scores))
    means = scores.mean(axis=1)
    assert means[0] < low
    assert means[2] > high
    assert high - low < 0.5 * np.ptp(seeds)


def test_the_selection_shows_means_picks_and_the_better_side_to_the_right(study: FakeStudy, tmp_path: Path) -> None:
    measured = held_out_measures(study.tables["training"], study.tables["geometry"])
    figure = selection_figure(study.sweep, measured, study.frame("scores"), study.judged()["selection"])
    assert len(figure.axes) == 2  # uniformity is missing
    drawn = lines(figure)
    for l2 in (1.0, 0.1, 0.01):
        here = [space for space in study.spaces if space.get("l2") == l2]
        means = np.mean([(study.loss(space, EPOCHS, "test"), study.value(space)) for space in here], axis=0)
        point = drawn[f"loss_all:l2~{l2}"]
        assert (point.get_xdata()[0], point.get_ydata()[0]) == pytest.approx(tuple(means))
    assert drawn["picked"].get_xdata() == drawn["loss_all:l2~1.0"].get_xdata()
    assert drawn["chosen"].get_xdata() == drawn["loss_all:l2~0.01"].get_xdata()
    assert figure.axes[0].xaxis_inverted()
    assert not figure.axes[1].xaxis_inverted()
    assert "ρ = -1.00 (-1.00 to 0.50)" in words_of(figure)
    one = FakeStudy(tmp_path / "one", points=({"l2": 0.01},))
    sentence = selection_figure(one.sweep, measured, one.frame("scores"), one.judged()["selection"])
    assert "Nothing to choose between" in words_of(sentence)


def test_confusion_counts_are_summed_over_seeds_of_one_value_and_of_clips_only(study: FakeStudy) -> None:
    matrix = counts(study.sweep, study.frame("confusion"), 0.1, sorted(study.classes))
    assert matrix.tolist() == [[12, 4, 4], [4, 12, 4], [4, 4, 12]]
    shares = confusion_figure(study.sweep, study.frame("confusion")).axes[0].collections[0].get_array()
    assert np.asarray(shares).reshape(3, 3).sum(axis=1) == pytest.approx([100] * 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["usual", "zero", "several axes"])
def test_colours_follow_the_order_of_the_values_and_agree_between_figures(name: str, tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, **STUDIES[name])
    sweep = study.sweep
    colours = style.colours(sweep.values)
    brightness = [np.dot(to_rgb(colours[value]), (0.2126, 0.7152, 0.0722)) for value in sweep.values]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(colours.values())) == len(sweep.values)
    loss = lines(curves_figure(sweep, study.frame("training"), "loss", None))
    f1 = lines(curves_figure(sweep, study.frame("probe_epochs"), "macro_f1", None))
    response = lines(response_figure(sweep, study.frame("scores"), study.judged()["choice"]))
    layers = lines(dynamics_figure(sweep, two_groups(study)))
    for value in sweep.values:
        found = {loss[f"train:{value:g}"].get_color(), f1[f"test:{value:g}"].get_color()}
        found |= {response[f"clip:{value:g}"].get_color(), layers[f"weight_norm:stem:{value:g}"].get_color()}
        assert found == {colours[value]}


def test_the_axis_is_what_varies_l2_first(tmp_path: Path) -> None:
    several = FakeStudy(tmp_path / "a", points=SEVERAL).sweep
    assert (several.key, several.values, several.others) == ("l2", (0.1, 1.0), ("margin",))
    tiles = FakeStudy(tmp_path / "b", points=({"tile_s": 5.0}, {"tile_s": 1.0})).sweep
    assert (tiles.key, tiles.values, tiles.axis) == ("tile_s", (1.0, 5.0), "Length of a tile (s)")
    assert tiles.label(5.0) == "length of a tile 5 s"
    one = FakeStudy(tmp_path / "c", points=({"l2": 0.01},)).sweep
    assert (one.key, one.values) == ("", ("",))


def test_several_axes_are_averaged_and_the_title_says_so(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, points=SEVERAL)
    figure = curves_figure(study.sweep, study.frame("training"), "loss", None)
    assert "over margin; thin lines: each margin" in words_of(figure)
    arms = [line for line in figure.axes[0].lines if line.get_label() == "_arm"]
    assert len(arms) == 2 * 2 * 2  # splits, λ, margins


def test_a_table_without_trained_runs_or_without_arms_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.tsv"
    write_table(with_identity(pd.DataFrame({"run": ["m"], "kind": ["mean_logmel"], "l2": [None]})), path)
    with pytest.raises(InputError, match="at least one run of kind 'trained'"):
        read_sweep(path)
    path.write_text("run\tkind\tseed\tl2\na\ttrained\t1\t0.1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"runs\.tsv: needs the columns run, kind, arm, .*; arm, axis, .* missing"):
        read_sweep(path)


def test_maps_show_the_first_seed_of_each_value_and_the_references(study: FakeStudy) -> None:
    panels = mapped_runs(study.sweep)
    references = ("untrained_seed~1", "mean_logmel")
    assert [run for run, _ in panels] == ["l2~0.01_seed~1", "l2~0.1_seed~1", "l2~1.0_seed~1", *references]
    assert [words for _, words in panels][:2] == ["λ = 0.01", "λ = 0.1"]


def test_a_sample_is_stratified_held_out_and_the_same_each_time() -> None:
    tiles = pd.DataFrame({"label": ["a"] * 9000 + ["b"] * 1000, "fold": ["fold1", "fold2"] * 5000})
    kept = sample(tiles, "fold1")
    assert set(tiles["fold"].iloc[kept]) == {"fold1"}
    assert tiles["label"].iloc[kept].value_counts().to_dict() == {"a": 1350, "b": 150}
    assert kept.tolist() == sample(tiles, "fold1").tolist() == sorted(set(kept))


def test_unlabelled_tiles_are_coloured_by_session_while_those_can_be_told_apart() -> None:
    few = pd.DataFrame({"label": [""] * 4, "session": ["s1", "s1", "s2", "s3"]})
    many = pd.DataFrame({"label": [""] * 99, "session": [f"s{i}" for i in range(99)]})
    assert groups(few)[1] == "session"
    assert groups(many)[1] == ""
    names, by = groups(few.assign(label=["a", "", "b", "b"]))
    assert (names.tolist(), by) == (["a", "no label", "b", "b"], "class")


def test_maps_write_the_explained_variance() -> None:
    tiles = pd.DataFrame({"label": ["a", "b"] * 20, "session": "s"})
    points = np.random.default_rng([1]).normal(size=(40, 4)).astype(np.float32)
    figure = maps_figure([("λ = 1", points, tiles)])
    share = project(points.astype(np.float64))[1]
    assert f"1st: {share[0]:.0%} of variance" in words_of(figure)
    assert f"2nd: {share[1]:.0%}" in words_of(figure)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_keep_apart_in_order_and_inside(wanted: list[float]) -> None:
    placed = style.keep_apart(wanted, 0.08, 0.0, 1.0)
    ordered = placed[np.argsort(wanted, kind="stable")]
    assert (np.diff(ordered) >= 0.08 - 1e-9).all()
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 1 + 1e-9


def test_labels_that_have_room_stay_where_they_are() -> None:
    assert style.keep_apart([0.9, 0.1, 0.5], 0.1, 0, 1) == pytest.approx([0.9, 0.1, 0.5])


def test_zero_stands_one_step_left_of_the_smallest() -> None:
    assert style.places([0, 0.01, 0.1, 1.0]) == pytest.approx([-3, -2, -1, 0])
    assert style.places(["all", "nonzero"]).tolist() == [0, 1]


def test_few_shot_curves_are_means_over_seeds_and_draws_at_the_sessions_drawn(study: FakeStudy) -> None:
    drawn = lines(few_shot_figure(study.sweep, study.frame("few_shot")))
    assert set(drawn) == {"1", "0.1", "0.01", "untrained", "mean_logmel"}
    for label, line in drawn.items():
        here = [s for s in study.spaces if label in (s["kind"], f"{s.get('l2'):g}" if "l2" in s else "")]
        assert list(line.get_xdata()) == [1.0, 12.5]
        means = [np.mean([study.value(s) * x / 20 + 0.01 for s in here]) for x in (1.0, 12.5)]
        assert list(line.get_ydata()) == pytest.approx(means)
        assert (line.get_linestyle() == "-") == (label not in ("untrained", "mean_logmel"))


def test_a_study_without_the_few_shot_probe_says_so(study: FakeStudy) -> None:
    figure = few_shot_figure(study.sweep, study.frame("few_shot").iloc[:0])
    assert not figure.axes
    assert "leaves that probe out" in words_of(figure)


def test_spectra_are_means_over_runs_in_the_colours_of_the_values(study: FakeStudy) -> None:
    sweep, table = study.sweep, study.frame("spectra")
    table.loc[table["run"] == "l2~0.1_seed~2", "share"] *= 3
    drawn = lines(spectra_figure(sweep, table))
    assert set(drawn) == {"0.01", "0.1", "1", "untrained", "mean_logmel"}
    shares = table.loc[table["run"] == "l2~1.0_seed~1", "share"].to_numpy()
    assert drawn["1"].get_ydata() == pytest.approx(shares)
    assert drawn["0.1"].get_ydata() == pytest.approx(2 * shares)
    assert drawn["0.1"].get_color() == style.colours(sweep.values)[0.1]


def test_a_space_without_spread_has_no_spectrum_and_others_keep_theirs(study: FakeStudy) -> None:
    sweep, table = study.sweep, study.frame("spectra")
    table.loc[table["run"].str.startswith("l2~1.0"), "share"] = np.nan
    assert "1" not in lines(spectra_figure(sweep, table))
    assert "one point" in words_of(spectra_figure(sweep, table.assign(share=np.nan)))


def test_the_heat_map_is_symmetric_outlines_the_seeds_and_stays_empty_where_nothing_is_known(study: FakeStudy) -> None:
    sweep, pairs = study.sweep, study.frame("pairs")
    lost = (pairs["first"] == "l2~0.01_seed~1") & (pairs["second"] == "mean_logmel")
    pairs.loc[lost, "value"] = np.nan
    figure = similarity_figure(sweep, pairs)
    assert [words for _, words in ordered(sweep)][:3] == ["λ = 0.01", "λ = 0.01", "λ = 0.1"]
    for axes in figure.axes[:3]:
        cells = np.ma.filled(axes.collections[0].get_array().reshape(9, 9).astype(float), np.nan)
        assert cells == pytest.approx(cells.T, nan_ok=True)
        assert cells[0, 1:4] == pytest.approx([0.9, 0.7, 0.6])
        assert np.isnan([cells[0, 0], cells[0, 8]]).all()
        assert len(axes.patches) == 3  # the runs of one value: the noise floor


def test_pairs_stand_by_what_differs_and_the_noise_floor_lies_behind(study: FakeStudy) -> None:
    figure = moves_figure(study.sweep, study.frame("pairs"))
    drawn = lines(figure)
    for measure in ("procrustes", "cka", "jaccard_10", "jaccard_100", "rsa"):
        expected = {
            "seed": (3, 0.9),
            "axis": (6, 0.7),
            "both": (6, 0.6),
            "untrained": (12, 0.1),
            "mean_logmel": (6, 0.1),
        }
        for relation, (count, similarity) in expected.items():
            assert drawn[f"{measure}:{relation}"].get_xdata() == pytest.approx([similarity] * count)
    assert "the seed alone differs: the noise floor" in words_of(figure)
    nothing = study.frame("pairs").assign(value=np.nan)
    assert "No two spaces" in words_of(moves_figure(study.sweep, nothing))


def test_the_map_of_runs_has_every_space_once_and_the_trained_ones_again(study: FakeStudy) -> None:
    sweep, layout = study.sweep, pd.read_csv(study.tables["map"], sep="\t")
    figure = run_map_figure(sweep, layout)
    (references, trained), (again,) = (axes.collections for axes in figure.axes)
    assert len(references.get_offsets()) == len(sweep.references)
    places = layout[layout["part"] == "all"].set_index("run").loc[sweep.trained["run"], ["x", "y"]]
    assert np.asarray(trained.get_offsets()) == pytest.approx(places.to_numpy())
    assert len(again.get_offsets()) == len(sweep.trained)
    colours = style.colours(sweep.values)
    assert [to_hex(colour) for colour in trained.get_facecolors()] == [colours[v] for v in sweep.trained["axis_value"]]
    shapes = pd.Series([path.vertices.tobytes() for path in trained.get_paths()])
    assert pd.factorize(shapes)[0].tolist() == pd.factorize(sweep.trained["seed"])[0].tolist()
    assert "seed 1" in words_of(figure)
    assert "no map" in words_of(run_map_figure(sweep, layout.assign(x=np.nan)))
