import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import ByEpoch, Converged, FewShot, Statistics
from lambdascape.core.tsv import read_table, read_text_table, write_table
from lambdascape.probes.by_epoch import fit_by_epoch
from lambdascape.probes.converged import fit_converged
from lambdascape.probes.few_shot import fit_few_shot
from lambdascape.probes.folds import fit_folds
from lambdascape.probes.scoring import UNITS, ProbeInput
from lambdascape.statistics.bootstrap import session_bootstrap
from lambdascape.statistics.intervals import confusions_by_session
from lambdascape.statistics.metrics import accuracy, f1_per_class, macro_f1
from lambdascape.tables.collect import collect_geometry, collect_probes, collect_training, list_unused
from support.spaces import make_space, write_space
from support.stores import write_store

PROBES = ("converged", "few_shot", "folds")
STATISTICS = Statistics(resamples=200, confidence=0.9)
TEXT = ("run", "probe", "split", "unit", "measure", "class")
RECIPE = {"sr": 16000, "hop_length": 160, "win_length": 480}


def outputs(folder, probe):
    return folder / f"{probe}.tsv", folder / f"{probe}_confusion.tsv"


def probe_files(folder, embedding, tiles, seeds=(1,)):
    folder.mkdir()
    space = write_space(folder / "space.h5", embedding, tiles)
    settings = ByEpoch(epochs=3, batch_size=16, double_softmax=[False, True])
    given = ProbeInput(space, "fold1")
    fit_by_epoch(given, settings, None, 1, folder / "by_epoch.tsv")
    converged = Converged(c_grid=[0.1, 1.0], validation_fraction=0.3)
    fit_converged(given, converged, seeds).write(*outputs(folder, "converged"))
    fit_folds(given, converged, seeds).write(*outputs(folder, "folds"))
    few = FewShot(sessions=[1, 2], draws=3)
    fit_few_shot(given, few, seeds).write(*outputs(folder, "few_shot"))
    return folder


def counts_of_test(folder):
    table = read_table(folder / "converged_confusion.tsv", ("split", "unit", "session", "label", "predicted"))
    return table[table["split"] == "test"]


def collect(tmp_path, folders):
    scores, counts = zip(*(outputs(folder, probe) for folder in folders for probe in PROBES), strict=True)
    made = {f"{name}_path": tmp_path / f"{name}.tsv" for name in ("scores", "probe_epochs", "confusion", "few_shot")}
    by_epoch = [folder / "by_epoch.tsv" for folder in folders]
    collect_probes([folder.name for folder in folders], PROBES, by_epoch, scores, counts, STATISTICS, 4, **made)
    return (
        read_table(made["scores_path"], TEXT),
        read_table(made["probe_epochs_path"], ("run", "split", "measure")),
        read_table(made["confusion_path"], ("run", "probe", "unit", "label", "predicted")),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    labelled = [probe_files(folder / f"l2~{seed}", *make_space(separation=0.7, seed=seed)) for seed in (1, 2)]
    embedding, tiles = make_space()
    return [*labelled, probe_files(folder / "unlabelled", embedding, tiles.assign(label=""))]


def test_training_becomes_one_row_per_run_epoch_split_and_measure(tmp_path):
    history = pd.DataFrame({
        "epoch": [1, 1, 2, 2], "split": ["train", "test"] * 2, "loss": [4.0, 3.0, 2.0, 1.0],
        "penalty": [0.5, 0.5, 0.25, np.nan], "collapsed": [0, 0, 0, 1], "device": "cpu",
    })  # fmt: skip
    for run, factor in (("a", 1), ("b", 10)):
        write_table(history.assign(loss=factor * history["loss"]), tmp_path / run)
    layers = pd.DataFrame({"epoch": [1, 1], "group": ["stem", "head"], "weight_norm": [2.0, 3.0], "gamma": [1, np.nan]})
    write_table(layers, tmp_path / "layers of one")
    files = [[tmp_path / "a", tmp_path / "b"], [tmp_path / "layers of one"] * 2]
    collect_training(["a", "b"], *files, tmp_path / "training.tsv", tmp_path / "layers.tsv")
    lines = (tmp_path / "layers.tsv").read_text().splitlines()
    assert lines[:5] == [
        "run\tepoch\tgroup\tmeasure\tvalue",
        "a\t1\tstem\tweight_norm\t2.0",
        "a\t1\tstem\tgamma\t1.0",
        "a\t1\thead\tweight_norm\t3.0",
        "a\t1\thead\tgamma\t",
    ]
    assert len(lines) == 9
    table = read_table(tmp_path / "training.tsv", ("run", "split", "measure"))
    assert table.columns.tolist() == ["run", "epoch", "split", "measure", "value"]
    assert table.iloc[:4].to_numpy().tolist() == [
        *(["a", 1, "train", name, value] for name, value in (("loss", 4.0), ("penalty", 0.5), ("collapsed", 0.0))),
        ["a", 1, "test", "loss", 3.0],
    ]
    assert table["run"].tolist() == ["a"] * 12 + ["b"] * 12
    assert table["value"].iloc[[11, 12]].tolist() == [1, 40]  # flags are measures, devices are not
    assert np.isnan(table["value"].iloc[10])


def test_runs_and_files_must_match(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        collect_training(["a", "b"], [], [], tmp_path / "training.tsv", tmp_path / "layers.tsv")


def test_probe_tables_gather_every_run(tmp_path, runs):
    scores, epochs, confusion = collect(tmp_path, runs)
    assert set(scores["run"]) == set(epochs["run"]) == set(confusion["run"]) == {"l2~1", "l2~2"}
    assert not scores.duplicated(list(TEXT)).any()
    assert not epochs.duplicated(["run", "epoch", "split", "measure"]).any()
    for folder in runs[:2]:
        known = read_table(folder / "converged.tsv", TEXT[1:])
        got = scores[(scores["run"] == folder.name) & (scores["probe"] == "converged")]
        assert got["value"].tolist() == pytest.approx(known["value"].tolist(), nan_ok=True)


def test_scores_hold_the_last_epoch_of_both_forms_and_the_first_named_has_the_curves(tmp_path, runs):
    scores, epochs, _ = collect(tmp_path, runs)
    measures = ["macro_f1", "macro_f1_clip", "cross_entropy"]
    for folder in runs[:2]:
        table = read_table(folder / "by_epoch.tsv", ("softmax", "split"))
        assert table["softmax"].unique().tolist() == ["single", "double"]
        for softmax, probe in (("single", "by_epoch"), ("double", "by_epoch_double")):
            last = table[(table["softmax"] == softmax) & (table["epoch"] == 3)].set_index("split")[measures]
            rows = scores[(scores["run"] == folder.name) & (scores["probe"] == probe)]
            rows = rows.assign(measure=rows["measure"] + rows["unit"].map({"clip": "_clip", "tile": ""}))
            assert rows.set_index(["split", "measure"])["value"].to_dict() == last.stack().to_dict()
        curves = epochs[epochs["run"] == folder.name].set_index(["epoch", "split", "measure"])["value"]
        single = table[table["softmax"] == "single"].set_index(["epoch", "split"])[measures]
        assert curves.to_dict() == single.stack().to_dict()


def test_the_score_of_several_draws_is_their_mean_with_the_interval_of_the_mean(tmp_path, runs):
    scores, _, _ = collect(tmp_path, runs)
    shots = read_table(tmp_path / "few_shot.tsv", ("run", "unit"))
    assert shots.groupby(["run", "shots", "unit"]).size().to_dict() == {
        (run, k, unit): n for run in ("l2~1", "l2~2") for k, n in ((1, 3), (2, 1)) for unit in UNITS
    }
    assert shots.groupby("shots")["sessions"].unique().map(list).to_dict() == {1: [1.0], 2: [2.0]}
    draws = shots[(shots["run"] == "l2~1") & (shots["shots"] == 1) & (shots["unit"] == "clip")]
    rows = scores[(scores["run"] == "l2~1") & (scores["unit"] == "clip") & (scores["measure"] == "macro_f1")]
    got = rows[rows["probe"] == "few_shot_1"]
    assert got["value"].item() == pytest.approx(draws["value"].mean())
    count = read_table(runs[0] / "few_shot_confusion.tsv", ("probe", "unit", "session", "label", "predicted"))
    count = count[(count["probe"] == "few_shot_1") & (count["unit"] == "clip")]
    confusions = confusions_by_session(count, ["class0", "class1", "class2"])
    assert confusions.shape == (6, 3, 3, 3)

    def mean_of_draws(sums):
        return np.mean([macro_f1(sums[:, draw]) for draw in range(3)], axis=0)

    expected = session_bootstrap(confusions, mean_of_draws, 200, 0.9, 4)
    assert got[["low", "high"]].to_numpy()[0].tolist() == pytest.approx(expected)
    folds = rows[rows["probe"] == "folds"].set_index("split")
    assert folds.loc["mean", "value"] == pytest.approx(folds.loc[["fold1", "fold2"], "value"].mean())
    assert folds.loc["mean", "low"] <= folds.loc["mean", "value"] <= folds.loc["mean", "high"]


@pytest.mark.slow
@pytest.mark.finding("C5")
def test_draws_of_a_space_without_a_seed_are_averaged_and_are_no_more_data(tmp_path):
    """Two seeds against each of them alone: the mean of the scores; for the same seed twice the same interval."""
    space = make_space(sessions=8, separation=0.4)
    named = {"first": [1], "second": [2], "both": [1, 2], "twice": [1, 1]}
    folders = [probe_files(tmp_path / name, *space, seeds) for name, seeds in named.items()]
    scores, _, _ = collect(tmp_path, folders)
    here = scores[(scores["probe"] == "converged") & (scores["class"] == "")]
    found = {name: rows.set_index(["split", "unit", "measure"]) for name, rows in here.groupby("run")}
    first, second, both = (found[name]["value"] for name in ("first", "second", "both"))
    assert first["validation"].tolist() != second["validation"].tolist()
    assert both.tolist() == pytest.approx(((first + second) / 2).tolist())
    ends = ["low", "high"]
    assert found["first"].loc["test", ends].notna().all(axis=None)
    assert found["twice"].equals(found["first"].assign(run="twice"))


def test_intervals_are_those_of_the_session_bootstrap(tmp_path, runs):
    scores, _, _ = collect(tmp_path, runs)
    count = counts_of_test(runs[0])
    classes = ["class0", "class1", "class2"]
    rows = scores[(scores["run"] == "l2~1") & (scores["probe"] == "converged") & (scores["split"] == "test")]
    rows = rows.set_index(["unit", "measure", "class"])
    for unit in UNITS:
        confusions = confusions_by_session(count[count["unit"] == unit], classes)
        assert confusions.shape == (6, 1, 3, 3)
        confusions = confusions[:, 0]
        for measure, statistic in (("macro_f1", macro_f1), ("accuracy", accuracy)):
            low, high = session_bootstrap(confusions, statistic, 200, 0.9, 4)
            assert rows.loc[(unit, measure, ""), ["low", "high"]].tolist() == pytest.approx([low, high])
        lows, highs = session_bootstrap(confusions, f1_per_class, 200, 0.9, 4)
        for name, low, high in zip(classes, lows, highs, strict=True):
            assert rows.loc[(unit, "f1", name), ["low", "high"]].tolist() == pytest.approx([low, high])


def test_other_scores_have_no_interval(tmp_path, runs):
    scores, _, _ = collect(tmp_path, runs)
    tested = ~scores["split"].isin(["train", "validation"]) & (scores["measure"] != "c")
    inside = tested & ~scores["probe"].str.startswith("by_epoch")
    assert scores.loc[inside, ["low", "high"]].notna().all(axis=None)
    assert scores.loc[~inside, ["low", "high"]].isna().all(axis=None)


def test_a_class_of_one_test_session_has_no_interval(tmp_path):
    embedding, tiles = make_space()
    tiles.loc[tiles["session"] == "s2_2", "label"] = "class1"
    scores, _, _ = collect(tmp_path, [probe_files(tmp_path / "run", embedding, tiles)])
    converged = scores[(scores["probe"] == "converged") & (scores["split"] == "test")]
    f1 = converged[converged["measure"] == "f1"].set_index(["unit", "class"])["low"]
    assert f1.isna().to_dict() == {(unit, f"class{k}"): k == 2 for unit in UNITS for k in range(3)}


def test_confusion_is_summed_over_sessions(tmp_path, runs):
    _, _, confusion = collect(tmp_path, runs)
    count = counts_of_test(runs[1])
    keys = ["unit", "label", "predicted"]
    got = confusion[(confusion["run"] == "l2~2") & (confusion["probe"] == "converged")].set_index(keys)["count"]
    assert got.to_dict() == count.groupby(keys)["count"].sum().to_dict()


def test_without_labels_the_probe_tables_have_only_their_headers(tmp_path, runs):
    scores, epochs, confusion = collect(tmp_path, runs[2:])
    assert (len(scores), len(epochs), len(confusion)) == (0, 0, 0)
    assert scores.columns.tolist() == [*TEXT, "value", "low", "high"]
    assert confusion.columns.tolist() == ["run", "probe", "unit", "label", "predicted", "count"]


def test_geometry_is_stacked(tmp_path):
    names = ("geometry", "spectra", "centroids")
    for run, rank in (("a", 2.5), ("b", np.nan)):
        tables = [
            pd.DataFrame(
                {"split": "test", "measure": ["effective_rank"], "value": rank, "reason": "" if rank > 0 else "NA"}
            ),
            pd.DataFrame({"direction": [1], "variance": [0.5], "share": [rank]}),
            pd.DataFrame({"first": ["NA"], "second": ["01"], "distance": [rank]}),
        ]
        for name, table in zip(names, tables, strict=True):
            write_table(table, tmp_path / f"{run} {name}")
    parts = [[tmp_path / f"{run} {name}" for run in "ab"] for name in names]
    collect_geometry(["a", "b"], *parts, *(tmp_path / f"{name}.tsv" for name in names))
    assert [(tmp_path / f"{name}.tsv").read_text().splitlines() for name in names] == [
        ["run\tsplit\tmeasure\tvalue\treason", "a\ttest\teffective_rank\t2.5\t", "b\ttest\teffective_rank\t\tNA"],
        ["run\tdirection\tvariance\tshare", "a\t1\t0.5\t2.5", "b\t1\t0.5\t"],
        ["run\tfirst\tsecond\tdistance", "a\tNA\t01\t2.5", "b\tNA\t01\t"],
    ]


def test_clips_that_give_no_tile_or_no_triplet_are_listed_with_the_reason(tmp_path):
    # A 1-s tile has 98 frames, two need 198: a clip of S seconds has 100 S - 2.
    seconds = {"long": 3.0, "two": 2.0, "short of two": 1.99, "one": 1.0, "short": 0.75}
    frames = [round(100 * s) - 2 for s in seconds.values()]
    stored, starts = np.zeros((sum(frames), 4)), [0, *np.cumsum(frames)]
    write_store(tmp_path / "features.h5", stored, starts, list(seconds), {"recipe": RECIPE})
    clips = pd.DataFrame({"clip": list(seconds)[::-1], "rate": "44100"})
    clips["frames"] = [str(round(44100 * seconds[clip])) for clip in clips["clip"]]
    write_table(clips.assign(session="s-" + clips["clip"]), tmp_path / "clips.tsv")
    list_unused(tmp_path / "features.h5", tmp_path / "clips.tsv", 1.0, tmp_path / "unused.tsv")
    assert read_text_table(tmp_path / "unused.tsv").to_numpy().tolist() == [
        ["short of two", "s-short of two", "shorter than two tiles of 1 s: 1.99 s; it anchors no triplet"],
        ["one", "s-one", "shorter than two tiles of 1 s: 1 s; it anchors no triplet"],
        ["short", "s-short", "shorter than one tile of 1 s: 0.75 s; it gives no embedding"],
    ]
