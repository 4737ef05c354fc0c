"""The names that follow from a config, and what each job is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from lambdascape.study.paths import Study
from lambdascape.study.run_table import IDENTITY
from support.configs import study_of


@pytest.fixture
def config(repo: Path) -> dict[str, Any]:
    return yaml.safe_load((repo / "config.yaml").read_text())


def study(config: dict[str, Any], block: str = "study", **changes: Any) -> Study:
    changed = config | ({block: config[block] | changes} if changes else {})
    return study_of(changed)


def test_the_page_tells_the_commands_of_its_own_study(config: dict[str, Any]) -> None:
    def commands(*overlays: str) -> tuple[str, str]:
        about = study_of(config, *overlays).about
        return about["command"], about["export_command"]

    assert commands() == ("make run", "make run TARGET=exports")
    assert commands("studies/esc10.yaml") == (
        "make run STUDY=studies/esc10.yaml",
        "make run TARGET=exports STUDY=studies/esc10.yaml",
    )
    assert commands("a.yaml", "my study.yaml") == (
        "snakemake --cores all --configfile a.yaml 'my study.yaml'",
        "snakemake --cores all exports --configfile a.yaml 'my study.yaml'",
    )


def test_the_recipe_is_named_by_what_changes_a_number(config: dict[str, Any]) -> None:
    name = study(config).recipe
    assert name.startswith("logmel40-")
    assert study(config, "features", n_shards=9).recipe == name
    assert study(config, "features", fmax=7000).recipe != name


def test_a_job_is_told_its_own_run_and_no_other(config: dict[str, Any]) -> None:
    few = study(config)
    more = study(config, "sweep", axes={"l2": [1.0, 0.1, 0.01, 0.001]}, seeds=[1, 2, 3])
    one = SimpleNamespace(run="l2~0.1_seed~2", space="l2~0.1_seed~2")
    assert few.settings_of(one) == more.settings_of(one)
    assert few.settings_of(one)["network"]["l2"] == 0.1
    assert few.seed_of(one) == more.seed_of(one) == few.space_seed_of(one) == 2
    assert few.validation_seeds_of(one) == more.validation_seeds_of(one) == [2]


@pytest.mark.finding("A1")
def test_a_run_that_keeps_moving_averages_has_a_second_space(config: dict[str, Any]) -> None:
    """With the statistics of its weights, and judged as the run's own space is."""
    assert study(config).recomputed == {}
    found = study(config, "training", batch_statistics="moving")
    assert found.recomputed == {f"{run}_recomputed": run for run in found.runs}
    assert set(found.recomputed) < set(found.spaces)
    rows = {row["run"]: row for row in found.run_rows}
    for name, run in found.recomputed.items():
        other = {"run": name, "kind": "recomputed", "batch_statistics": "recomputed"}
        assert rows[name] == rows[run] | other
        of_space, of_run = SimpleNamespace(space=name), SimpleNamespace(space=run)
        assert found.validation_seeds_of(of_space) == found.validation_seeds_of(of_run)
        assert found.by_epoch_settings_of(of_space) == found.by_epoch_settings_of(of_run)


@pytest.mark.finding("A1")
def test_the_untrained_network_is_told_how_training_would_normalise(config: dict[str, Any]) -> None:
    found = study(config, "training", passes="joint").reference_settings
    assert found["training"]["passes"] == "joint"
    assert found["triplets"] == config["triplets"]
    assert not {"learning_rate", "epochs", "batch_statistics"} & set(found["training"])


def test_an_arm_may_set_the_epochs_of_its_own_probe(config: dict[str, Any]) -> None:
    arms = [{"l2": 1.0, "probe_epochs": 12}, {"l2": 0.1}]
    found = study(config, "sweep", arms=arms)
    epochs = {name: found.by_epoch_settings_of(SimpleNamespace(space=name))["epochs"] for name in found.spaces}
    assert epochs == {name: 12 if name.startswith("l2~1_") else 20 for name in found.spaces}
    assert {row["run"]: row["probe_epochs"] for row in found.run_rows} == epochs
    assert all("probe_epochs" not in found.settings_of(SimpleNamespace(run=name)) for name in found.runs)
    assert not any("probe_epochs" in row for row in study(config).run_rows)


def test_only_a_probe_that_draws_triplets_is_told_their_rule(config: dict[str, Any]) -> None:
    space = SimpleNamespace(space="l2~0.1_seed~2")
    assert study(config).by_epoch_triplets_of(space) is None
    probes = config["probes"] | {"by_epoch": config["probes"]["by_epoch"] | {"tiles": "triplets"}}
    found = study_of(config | {"probes": probes})
    for name in (space.space, "mean_logmel", "untrained_seed~1"):
        assert found.by_epoch_triplets_of(SimpleNamespace(space=name)) == config["triplets"]


def test_a_space_that_the_user_brings_is_a_reference_of_its_own(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.parquet").touch()
    found = study_of(config | {"spaces": {"openl3": "here.parquet"}})
    row = {"run": "openl3", "kind": "own", "arm": "own:openl3", "tile_s": 2.0}
    assert (found.spaces[-1], found.run_rows[-1]) == ("openl3", row)
    assert found.spaces[:-1] == study(config).spaces
    assert found.own_source_of(SimpleNamespace(own="openl3")) == "here.parquet"
    assert found.space_seed_of(SimpleNamespace(space="openl3")) == 1
    for name in ("openl3", "mean_logmel"):
        assert found.validation_seeds_of(SimpleNamespace(space=name)) == config["sweep"]["seeds"]
    assert found.validation_seeds_of(SimpleNamespace(space="untrained_seed~2")) == [2]
    assert found.problems() == []


def test_what_the_user_brings_must_be_there_in_a_known_format(config: dict[str, Any]) -> None:
    found = study_of(config | {"spaces": {"a": "a.csv", "b": "absent.h5"}}).problems()
    assert found == [
        "spaces.a: must name a file .h5, .hdf5 or .parquet; got a.csv",
        "spaces.b: must name a file of embeddings; there is none at absent.h5",
    ]


def test_a_study_is_compared_with_one_that_has_been_run(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alone, compared = study(config), study_of(config | {"compare_with": "other"})
    assert alone.problems() == []
    assert not {"protocols"} & {*alone.tables, *alone.figures, *alone.protocols}
    assert compared.tables[-1] == "protocols"
    assert "protocols" in compared.figures
    assert compared.protocols == ["results/demo/tables/protocols.tsv"]
    (found,) = compared.problems()
    rule = "compare_with: must name a study that has been run here; of other there is no results/other/"
    assert found.startswith(rule)
    assert found.endswith("Run it first: make run STUDY=<its file>")
    for path in map(Path, compared.other_tables.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert compared.problems() == []


def test_references_do_not_depend_on_l2_or_training(config: dict[str, Any]) -> None:
    plain = study(config).reference_settings
    assert study(config, "network", l2=5.0).reference_settings == plain
    assert study(config, "training", epochs=99).reference_settings == plain
    assert study(config, "network", width=3).reference_settings != plain


def test_every_space_has_a_row_and_only_runs_have_an_l2(config: dict[str, Any]) -> None:
    found = study(config)
    rows = {row["run"]: row for row in found.run_rows}
    assert list(rows) == found.spaces
    assert [name for name, row in rows.items() if "l2" in row] == list(found.runs)
    assert rows["untrained_seed~2"]["seed"] == 2


def test_a_row_of_runs_tsv_names_arm_replicate_and_place_on_the_axis(config: dict[str, Any]) -> None:
    found = study(config, "training", batch_statistics="moving")
    rows = {row["run"]: row for row in found.run_rows}
    assert all(list(rows[run])[: len(IDENTITY)] == list(IDENTITY) for run in found.runs)
    fold = config["split"]["test_fold"]
    replicate = {"replicate": f"seed2_{fold}", "seed": 2, "test_fold": fold}
    place = {"arm": "l2~0.1", **replicate, "axis": "l2", "value": 0.1}
    for run, kind in (("l2~0.1_seed~2", "trained"), ("l2~0.1_seed~2_recomputed", "recomputed")):
        assert {key: rows[run][key] for key in IDENTITY} == {"run": run, "kind": kind} | place
    untrained = {key: rows["untrained_seed~2"].get(key) for key in IDENTITY[2:]}
    assert untrained == {"arm": "untrained", **replicate, "axis": None, "value": None}
    assert set(rows["mean_logmel"]) & set(IDENTITY) == {"run", "kind", "arm"}
    assert {name: rows[name]["arm"] for name in found.references} == found.references


def test_patterns_match_names_and_nothing_else(config: dict[str, Any]) -> None:
    import re

    found = study(config)
    assert all(re.fullmatch(found.space_pattern, name) for name in found.spaces)
    assert not re.fullmatch(found.run_pattern, "untrained_seed~1")
    assert not re.fullmatch(found.run_pattern, "l2~0x1_seed~1")


def test_only_the_demo_is_synthetic_and_only_the_published_data_have_published_curves(config: dict[str, Any]) -> None:
    demo = study(config)
    assert demo.is_synthetic
    assert demo.audio_of(SimpleNamespace(dataset="demo")) == "results/datasets/demo/audio"
    assert demo.curves_behind == []
    published = study(config, "dataset", adapter="dcase2018_task5", path="../data")
    assert not published.is_synthetic
    assert published.audio_of(SimpleNamespace(dataset="demo")) == "../data"
    assert published.curves_behind == ["workflow/report/published_curves.csv"]


def test_downloaded_audio_is_read_where_its_archives_are_unpacked(config: dict[str, Any]) -> None:
    there = study(config, "dataset", adapter="dcase2018_task5", path="../data")
    assert (there.archives, there.unpacked) == ({}, [])
    loaded = study(config, "dataset", name="rooms", adapter="dcase2018_task5", download=True)
    assert loaded.audio_of(SimpleNamespace(dataset="rooms")) == "results/datasets/rooms/download/audio"
    name = "DCASE2018-task5-dev.meta.zip"
    assert f"results/datasets/rooms/download/unpacked/{name}.tsv" in loaded.unpacked
    assert len(loaded.unpacked) == 25
    assert loaded.archive_of(SimpleNamespace(archive=name)) == {
        "url": f"https://zenodo.org/records/1247102/files/{name}",
        "md5": "8fd269986c168db5562e7509e6dc033a",
    }
    assert loaded.index_digest_of(None) != ""


def test_what_the_network_sees_makes_no_other_store(config: dict[str, Any]) -> None:
    found = study(config, "sweep", axes={"input": ["logmel", "mfcc"]}, seeds=[1])
    assert list(found.runs) == ["input~logmel_seed~1", "input~mfcc_seed~1"]
    assert study(config, "network", input="mfcc").recipe == found.recipe == study(config).recipe
