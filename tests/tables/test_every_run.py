"""Every run stands in one row with what its tables say of it, the time that it took and on what."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.jobs.receipts import write_receipt
from lambdascape.mechanism.judging import TEXT as MECHANISM_TEXT
from lambdascape.report.formatting import spaces
from lambdascape.tables.every_run import HEADINGS, collect_runs, heading, read_every_run
from support.studies import EPOCHS, FakeStudy

NAMES = ("runs", "training", "scores", "geometry", "mechanism")


def history(path: Path, devices: list[str], seconds: float = 2.0) -> Path:
    """A history of two rows per epoch, which both carry the epoch's time."""
    rows = [(i + 1, split, device, seconds + i) for i, device in enumerate(devices) for split in ("train", "test")]
    write_table(pd.DataFrame(rows, columns=["epoch", "split", "device", "seconds"]), path)
    return path


def collected(study: FakeStudy, devices: list[str] | None = None, **tables: pd.DataFrame) -> pd.DataFrame:
    folder = study.folder
    for name, table in tables.items():
        write_table(table, study.tables[name])
    trained = [space["run"] for space in study.spaces if space["kind"] == "trained"]
    histories = {run: history(folder / f"{run}_history.tsv", devices or ["Card"] * EPOCHS) for run in trained}
    collect_runs(*(study.tables[name] for name in NAMES), histories, folder / "receipts", folder / "every.tsv")
    return read_every_run(folder / "every.tsv").set_index("run")


def test_a_row_says_what_the_tables_say(study: FakeStudy) -> None:
    found = collected(study)
    judged = read_table(study.tables["mechanism"], MECHANISM_TEXT).set_index("run")
    assert list(found.index) == [space["run"] for space in study.spaces]
    for space in study.spaces:
        row, value = found.loc[space["run"]], study.value(space)
        assert row["macro_f1_test"] == pytest.approx(value)
        assert (row["macro_f1_low"], row["macro_f1_high"]) == pytest.approx((value - 0.04, value + 0.06))
        assert row["macro_f1_validation"] == pytest.approx(value + 0.01)
        assert row["effective_rank"] == 12.5
        if space["kind"] != "trained":
            assert row[["l2", "epochs", "loss_last", "held_out_loss", "seconds"]].isna().all()
            assert row["mechanism"] == row["device"] == ""
            continue
        assert (row["l2"], row["seed"], row["epochs"]) == (space["l2"], space["seed"], EPOCHS)
        losses = [study.loss(space, epoch, "train") for epoch in (1, EPOCHS)]
        assert [row["loss_first"], row["loss_last"]] == pytest.approx(losses)
        assert row["held_out_loss"] == pytest.approx(study.loss(space, EPOCHS, "test"))
        assert (row["mechanism"], row["mechanism_rule"]) == tuple(judged.loc[space["run"], ["verdict", "rule"]])
        assert row["seconds"] == sum(2.0 + epoch for epoch in range(EPOCHS))
        assert row["device"] == "Card"


def test_a_flag_counts_where_the_last_epoch_carries_it(study: FakeStudy) -> None:
    first, second, *others = [space["run"] for space in study.spaces if space["kind"] == "trained"]
    raised = {(first, EPOCHS, "test"), (second, 1, "test")}
    flags = [
        (run, epoch, split, "collapsed", int((run, epoch, split) in raised))
        for run in (first, second, *others)
        for epoch in range(1, EPOCHS + 1)
        for split in ("train", "test")
    ]
    table = study.frame("training")
    found = collected(study, training=pd.concat([table, pd.DataFrame(flags, columns=table.columns)]))
    assert found.loc[first, "collapsed"] == 1
    assert (found.loc[[second, *others], "collapsed"] == 0).all()
    assert found["at_rest"].isna().all()  # this history does not tell


def test_columns_that_vary_stand_before_the_seed_and_have_headings(tmp_path: Path) -> None:
    points: Any = ({"l2": 1.0, "margin": 0.5}, {"l2": 0.1, "margin": 1.0})
    found = collected(FakeStudy(tmp_path, points)).reset_index()
    assert list(found.columns[:5]) == ["run", "kind", "l2", "margin", "seed"]
    assert set(found.columns) - {"l2", "margin"} == set(HEADINGS)
    assert [heading(column)[0] for column in ("l2", "margin", "tile_s")] == ["λ", "Margin", "Length of a tile (s)"]


def test_a_processor_has_the_name_in_the_receipt(study: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lambdascape.jobs.receipts.computed_on", lambda: "Some CPU 9")
    run, other = study.spaces[0]["run"], study.spaces[1]["run"]
    write_receipt(tmp_path / "receipts" / "models" / f"{run}.json", [])
    found = collected(study, ["Card", "cpu"])
    assert found.loc[run, "device"] == "Card, then Some CPU 9"
    assert found.loc[other, "device"] == "Card, then cpu"
    assert collected(study, ["cpu", "Card"]).loc[run, "device"] == "cpu, then Card"


def test_without_labels_scores_are_missing_and_the_rest_is_there(tmp_path: Path) -> None:
    found = collected(FakeStudy(tmp_path, labelled=False))
    assert found[["macro_f1_validation", "macro_f1_test", "macro_f1_low"]].isna().all(axis=None)
    assert np.isfinite(found["effective_rank"]).all()


def test_a_history_without_devices_is_named(study: FakeStudy, tmp_path: Path) -> None:
    write_table(pd.DataFrame({"epoch": [1], "split": ["train"]}), tmp_path / "old.tsv")
    tables = (study.tables[name] for name in NAMES)
    with pytest.raises(InputError, match=r"old\.tsv.*device"):
        collect_runs(*tables, {"a": tmp_path / "old.tsv"}, tmp_path / "receipts", tmp_path / "every.tsv")


@pytest.mark.finding("A1")
def test_the_losses_of_a_second_space_stand_in_its_own_row(study: FakeStudy) -> None:
    """As published: the run's row has what moving averages give, the second one what the trained weights give."""
    run = study.spaces[0]["run"]
    second = study.spaces[0] | {"run": "second", "kind": "recomputed"}
    training = study.frame("training")
    rows = training[(training["run"] == run) & (training["epoch"] == EPOCHS) & (training["split"] != "train")]
    rows = rows.assign(split=rows["split"] + "_recomputed", value=rows["value"] / 2)
    runs = pd.DataFrame([*study.spaces, second]).astype({"seed": "Int64"})
    found = collected(study, runs=runs, training=pd.concat([training, rows]))
    for name in ("training_loss", "held_out_loss"):
        assert found.loc[second["run"], name] == pytest.approx(found.loc[run, name] / 2)
    assert found.loc[second["run"], "kind"] == "recomputed"


@pytest.mark.finding("A1")
def test_summaries_show_both_spaces_of_a_run(study: FakeStudy) -> None:
    trained = [space for space in study.spaces if space["kind"] == "trained"]
    seconds = [space | {"run": f"again {n}", "kind": "recomputed"} for n, space in enumerate(trained)]
    write_table(pd.DataFrame([*study.spaces, *seconds]).astype({"seed": "Int64"}), study.tables["runs"])
    rows = dict(spaces(study.sweep))
    second = {space["run"]: again["run"] for space, again in zip(trained, seconds, strict=True)}
    for label in ("λ = 0.01", "λ = 0.1", "λ = 1"):
        assert rows[f"{label}, recomputed statistics"] == [second[run] for run in rows[label]]
