"""The plan of a study counts what Snakemake would start, and says what it measured and what it only reckons."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from lambdascape.cli.main import main
from lambdascape.config.settings import Config, Network
from lambdascape.core.tsv import write_table
from lambdascape.operations.plan.audio_volume import Extent, extent_of, of_manifest, tiles_in
from lambdascape.operations.plan.disk_usage import parameters, rooms
from lambdascape.operations.plan.history import Estimate, History
from lambdascape.operations.plan.planned_jobs import Job, number
from lambdascape.operations.plan.text import bill
from support.configs import study_of

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
JOBS = [
    Job("list_clips", False, {"dataset": "demo"}, "results/benchmarks/datasets/demo/clips.tsv", 4, 0, 2e3, 60.0, "cpu"),
    Job("train_model", False, {}, "results/benchmarks/demo/models/l2~1_seed~1.tsv", 1, 1, 4e3, 1440.0, "gpu"),
    Job("train_model", False, {}, "results/benchmarks/demo/models/l2~1_seed~2.tsv", 8, 1, None, 1440.0, "gpu"),
]


@pytest.mark.parametrize(("value", "expected"), [(7, 7.0), ("0.5", 0.5), ("<TBD>", None), ("-", None), (None, None)])
def test_what_is_no_number_is_unknown(value: object, expected: float | None) -> None:
    assert number(value) == expected


def manifest(path: Path, clips: list[tuple[float, str]]) -> Path:
    rows = [(f"c{i}", "16000", str(int(16000 * seconds)), fold) for i, (seconds, fold) in enumerate(clips)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(rows, columns=["clip", "rate", "frames", "fold"]), path)
    return path


def test_tiles_and_triplets_are_counted_in_the_manifest(tmp_path: Path) -> None:
    path = manifest(
        tmp_path / "clips.tsv", [(10.0, "fold1"), (10.0, "fold2"), (5.0, "fold2"), (4.9, "fold2"), (15.5, "a")]
    )
    assert of_manifest(path, 5.0, "fold1") == Extent(5, 45.4, 8, 5, f"the manifest {path}")
    assert [tiles_in(seconds, 0.1) for seconds in (0.3, 0.31, 0.05)] == [3, 3, 0]


def test_without_a_manifest_the_known_size_counts_and_an_unknown_one_does_not(tmp_path: Path) -> None:
    published = yaml.safe_load((ROOT / "studies/regularisation_strict.yaml").read_text())
    config = CONFIG | {"dataset": CONFIG["dataset"] | published["dataset"]}
    extent = extent_of(Config.of(config), tmp_path / "none.tsv", 5.0)
    assert extent is not None
    assert (extent.clips, extent.tiles, extent.triplets) == (72_984, 145_968, 109_928)
    assert -(-extent.triplets // 128) == 859  # steps of an epoch of the published study
    microphones = config | {"dataset": config["dataset"] | {"channels": "each"}}
    each = extent_of(Config.of(microphones), tmp_path / "none.tsv", 5.0)
    assert each is not None
    assert each.clips == 4 * extent.clips
    unknown = config | {"dataset": config["dataset"] | {"adapter": "folder"}}
    assert extent_of(Config.of(unknown), tmp_path / "none.tsv", 5.0) is None
    demo = extent_of(Config.of(CONFIG), tmp_path / "none.tsv", 2.0)
    assert demo is not None
    assert (demo.clips, demo.seconds, demo.tiles) == (245, 2450.0, 1225)  # 7 × 5 sessions × 2 nodes × 3.5 clips of 10 s


def test_the_disk_is_reckoned_from_the_recipe_and_the_audio() -> None:
    study = study_of(CONFIG)
    weights = parameters(Network.of(CONFIG["network"]))
    found = {room.what: room.bytes for room in rooms(study, Extent(2, 100.0, 50, 40, "here"))}
    assert found == {
        "features": 100.0 * 50 * 40 * 2,
        "their shards, for a while": 100.0 * 50 * 40 * 2,
        "embeddings": 50 * (8 * (64 * 4 + 270) + (40 * 4 + 270)),  # 6 runs and 2 references of 64, 1 of 40 dimensions
        "networks": 6 * 4 * weights.all,
        "checkpoints": 6 * 4 * (weights.all + 2 * weights.trained),
    }
    unknown = {room.what: room.bytes for room in rooms(study, None)}
    assert (unknown["features"], unknown["embeddings"]) == (None, None)
    assert unknown["networks"] == found["networks"]


def test_what_is_downloaded_counts_with_what_it_unpacks_to(tmp_path: Path) -> None:
    dataset = CONFIG["dataset"] | {"adapter": "dcase2018_task5", "download": True}
    kept = next(iter(rooms(study_of(CONFIG | {"dataset": dataset}), None)))
    assert kept.bytes == pytest.approx(45.8e9 * 3.1, rel=0.01)
    drained = next(iter(rooms(study_of(CONFIG | {"dataset": dataset | {"keep_audio": False}}), None)))
    assert drained.bytes is not None
    assert drained.bytes < kept.bytes / 5


SECONDS = (9.0, 4.0, 6.0, 5.0)  # of the epochs: 5 in the middle once the first one, which compiles, is left out


def past(
    root: Path, name: str = "small", device: str = "cpu", network: dict[str, Any] | None = None, recipe: str = ""
) -> None:
    """A finished study of one run on 20 clips of two tiles, 10 of them for training: 20 triplets an epoch."""
    study, run = study_of(CONFIG), "l2~1_seed~1"
    clips = manifest(root / f"datasets/{name}/clips.tsv", [(4.0, f"fold{i % 2 + 1}") for i in range(20)])
    settings = {block: dict(study.runs[run][block]) for block in ("triplets", "network", "training")}
    settings["network"] |= network or {}
    features = f"results/features/{name}/{recipe or study.recipe}/features.h5"
    receipt = {
        "params": {"settings": settings, "test_fold": "fold1"},
        "inputs": {f"results/{clips.relative_to(root)}": "", features: ""},
        "outputs": {},
    }
    place = root / f"receipts/{name}/models/{run}.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(receipt))
    rows = [(i + 1, split, device, s) for i, s in enumerate(SECONDS) for split in ("train", "test")]
    history = root / f"{name}/models/{run}/history.tsv"
    write_table(pd.DataFrame(rows, columns=["epoch", "split", "device", "seconds"]), history)
    kinds = [(run, "trained"), ("untrained_seed~1", "untrained"), (f"{run}_recomputed", "recomputed")]
    write_table(pd.DataFrame(kinds, columns=["run", "kind"]), root / f"{name}/runs.tsv")
    for stage, seconds in (("models", 30.0), ("embeddings", 8.0)):
        benchmark(root / f"benchmarks/{name}/{stage}/{run}.tsv", seconds)


def benchmark(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t100\n")


def job(rule: str, run: str, stage: str) -> Job:
    wildcards = {"study": "demo", "run": run}
    return Job(rule, False, wildcards, f"results/benchmarks/demo/{stage}/{run}.tsv", 1, 1, 4000.0, 1440.0, "gpu")


TRAININGS = [job("train_model", run, "models") for run in study_of(CONFIG).runs]
LARGE = Extent(2000, 8000.0, 4000, 2000, "here")  # 100 times the triplets of an epoch, 100 times the tiles


def test_a_training_is_estimated_from_the_epochs_of_one_like_it(tmp_path: Path) -> None:
    past(tmp_path)
    found = History(tmp_path).estimates(study_of(CONFIG), TRAININGS, LARGE)
    # 6 runs × (8 epochs × 5 s × 100 + 30 s of the whole job less its 4 epochs of 5 s)
    assert found["train_model"].seconds == pytest.approx(6 * (8 * 5.0 * 100 + 10.0))
    assert (found["train_model"].measured, found["train_model"].memory) == (1, 100.0)
    assert "cpu, which may say little of a GPU" in found["train_model"].words
    assert "scaled by triplets of an epoch and by epochs" in found["train_model"].words


def test_where_a_card_was_measured_the_processor_has_no_say(tmp_path: Path) -> None:
    past(tmp_path)
    past(tmp_path, "other", "Card A")
    for path in tmp_path.glob("other/models/*/history.tsv"):
        path.write_text(path.read_text().replace("\t5.0", "\t0.5").replace("\t4.0", "\t0.5").replace("\t6.0", "\t0.5"))
    found = History(tmp_path).estimates(study_of(CONFIG), TRAININGS[:1], LARGE)["train_model"]
    assert found.seconds == pytest.approx(8 * 0.5 * 100 + 28.0)
    assert "measured on Card A;" in found.words


@pytest.mark.parametrize("other", [{"network": {"width": 16}}, {"recipe": "logmel64-00000000"}])
def test_another_network_or_other_features_are_no_measure(tmp_path: Path, other: dict[str, Any]) -> None:
    past(tmp_path, **other)
    jobs = [*TRAININGS, job("embed_trained", "l2~1_seed~1", "embeddings")]
    assert History(tmp_path).estimates(study_of(CONFIG), jobs, LARGE) == {}


def test_other_settings_of_lambda_seed_or_schedule_are_a_measure(tmp_path: Path) -> None:
    past(tmp_path, network={"l2": 0.5, "dropout": 0.9})
    assert "train_model" in History(tmp_path).estimates(study_of(CONFIG), TRAININGS, LARGE)
    assert History(tmp_path).estimates(study_of(CONFIG), TRAININGS, None) == {}


def test_other_jobs_are_scaled_by_what_their_time_grows_with(tmp_path: Path) -> None:
    past(tmp_path)
    for space in ("untrained_seed~1", "l2~1_seed~1_recomputed"):
        benchmark(tmp_path / f"benchmarks/small/embeddings/{space}.tsv", 800.0)
    benchmark(tmp_path / "benchmarks/small/tables/choice.tsv", 3.0)
    benchmark(tmp_path / "benchmarks/datasets/small/clips.tsv", 2.0)
    embed = [job("embed_trained", run, "embeddings") for run in study_of(CONFIG).runs]
    choose = Job(
        "choose_arm", False, {"study": "demo"}, "results/benchmarks/demo/tables/choice.tsv", 1, 0, 1.0, 1.0, ""
    )
    clips = "results/benchmarks/datasets/demo/clips.tsv"
    jobs = [*embed, choose, Job("list_clips", False, {"dataset": "demo"}, clips, 1, 0, 1.0, 1.0, "")]
    found = History(tmp_path).estimates(study_of(CONFIG), jobs, LARGE)
    # The 800 s of the others are those of other rules.
    assert found["embed_trained"].seconds == pytest.approx(6 * 8.0 * 100)
    assert found["choose_arm"] == Estimate(3.0, 1, "not scaled", 100.0)
    assert found["list_clips"].seconds == pytest.approx(2.0 * 8000 / 80)
    small = Extent(1, 1.0, 1, 1, "here")
    assert History(tmp_path).estimates(study_of(CONFIG), embed, small)["embed_trained"].seconds == 6 * 8.0


def test_damaged_receipts_and_benchmarks_are_left_out(tmp_path: Path) -> None:
    past(tmp_path)
    for path in [*tmp_path.glob("receipts/*/models/*.json"), *tmp_path.glob("benchmarks/*/*/*.tsv")]:
        path.write_text("{")
    jobs = [*TRAININGS, job("embed_trained", "l2~1_seed~1", "embeddings")]
    assert History(tmp_path).estimates(study_of(CONFIG), jobs, LARGE) == {}


def test_the_bill_adds_up_cards_cores_and_what_is_estimated() -> None:
    lines = list(bill("Study x", JOBS, {"train_model": Estimate(7200.0, 3, "measured", 1500.0)}, LARGE, []))
    text = "\n".join(lines)
    assert lines[0] == "Study x"
    assert "GPU-hours  48.0    upper limit of 2 jobs; estimated 2.00" in text
    # cores × limit: 4 × 1 h, 1 × 24 h, 8 × 24 h; estimated: two jobs of 1 h, of 4.5 cores in the mean
    assert "CPU-hours  220.0   upper limit of 3 jobs; estimated 9.00, 1 jobs left out of which nothing is known" in text
    most = "what the largest job asks for (train_model); measured so far at most 1.5 GB (train_model)"
    assert f"memory     4.0 GB  {most}" in text
    row = next(line.split() for line in lines if line.startswith("train_model"))
    assert " ".join(row) == "train_model 2 partition gpu, 1 GPU 8 4.0 GB 24.0 h 48.0 h 1.0 h 2.0 h"
    assert "3 measured jobs" in text


def test_local_jobs_are_not_in_the_queue_and_missing_limits_are_told() -> None:
    text = "\n".join(bill("x", [replace(job, local=True) for job in JOBS], {}, None, []))
    assert "jobs       3       0 in the queue, 3 beside Snakemake" in text
    assert "audio: not known yet" in text
    assert "no job like these was measured" in text
    text = "\n".join(bill("x", [replace(JOBS[0], runtime=None), *JOBS[1:]], {}, None, []))
    assert "upper limit of 2 jobs; 1 have no limit" in text
    assert "No job is left" in "\n".join(bill("x", [], {}, None, []))


@pytest.mark.slow
def test_what_snakemake_says_where_it_cannot_plan_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # there is no Snakefile here
    assert main(["plan", "--study", str(ROOT / "config.yaml")]) == 1
    said = capsys.readouterr().err
    assert "error: a plan needs a study that Snakemake can plan" in said
    assert "Snakefile" in said
