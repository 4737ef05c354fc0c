"""Tiny configurations of the real thing, from audio to report."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from lambdascape.core.declarations import declared
from lambdascape.core.files import file_digest
from lambdascape.core.tsv import read_table, read_text_table
from lambdascape.embeddings.space_file import read_embeddings
from lambdascape.features.store import open_features
from lambdascape.study.catalogue import TABLES
from support.checkouts import TINY, Checkout

RUNS = ["l2~1_seed~1", "l2~0.01_seed~1"]
MODEL = ("embedder.weights.h5", "history.tsv", "layers.tsv")
PROBES, KINDS = ("converged", "knn", "few_shot"), ("", "_confusion")
SPACES = [*RUNS, "untrained_seed~1", "mean_logmel"]
FOLDER = """\
study: small
dataset: {{name: small, adapter: folder, path: {path}, title: Small, licence: none, folds: 2}}
features: {{n_mels: 16, n_shards: 1}}
triplets: {{tile_s: 0.4, neighbourhood_s: 0.4}}
network: {{width: 2, embedding_dim: 4}}
training: {{epochs: 1, batch_size: 16}}
sweep:
  axes: {{l2: [0.01]}}
  seeds: [1]
statistics: {{resamples: 100}}
"""

FIGURES = [name for name, one in declared("figure").items() if not one.options["only_with"]]


def noise(path: Path, seed: int, seconds: float = 1.0, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(scale=0.1, size=round(seconds * rate))
    soundfile.write(path, samples, rate)


def folder_study(checkout: Checkout, **changes: str) -> str:
    text = FOLDER.format(path="audio")
    for old, new in changes.items():
        text = re.sub(rf"{old}: \S+(?=[,}}])", f"{old}: {new}", text)
    (checkout.folder / "small.yaml").write_text(text)
    return "small.yaml"


def test_every_product_is_there_under_its_name(finished: Checkout) -> None:
    results = finished.folder / "results"
    study = results / "tiny"
    expected = [
        results / "datasets/tiny/clips.tsv",
        results / "datasets/tiny/rejected.tsv",
        results / "datasets/tiny/warnings.tsv",
        study / "runs.tsv",
        study / "report/index.html",
        study / "exports/embeddings.parquet",
        *(study / f"models/{run}/{name}" for run in RUNS for name in MODEL),
        *(study / f"embeddings/{space}.h5" for space in SPACES),
        *(study / f"probes/{space}/by_epoch.tsv" for space in SPACES),
        *(study / f"probes/{space}/{probe}{kind}.tsv" for space in SPACES for probe in PROBES for kind in KINDS),
        *(study / f"geometry/{space}{part}.tsv" for space in SPACES for part in ("", "_spectrum", "_centroids")),
        *(study / f"similarity/spaces/{space}.h5" for space in SPACES),
        *(study / f"similarity/{name}.tsv" for name in ("pairs", "map", "moves")),
        *(study / f"tables/{table}.tsv" for table in TABLES),
        *(study / f"figures/{figure}.{kind}" for figure in FIGURES for kind in ("svg", "png")),
    ]
    assert [str(path) for path in expected if not path.stat().st_size] == []
    assert len(list((results / "features/tiny").glob("logmel16-*/features.h5"))) == 1
    left_over = [path for path in results.rglob("*") if path.name.startswith(".") and "timestamp" not in path.name]
    assert left_over == []
    assert not list(results.rglob("shards/*.h5"))


def test_every_digest_is_that_of_the_file_beside_it(finished: Checkout) -> None:
    digests = sorted((finished.folder / "results").rglob("*.sha256"))
    assert len(digests) == 2 + len(RUNS) + 2 * len(SPACES)  # embeddings, and summaries for the comparison
    for path in digests:
        for line in path.read_text().splitlines():
            digest, name = line.split("  ")
            assert digest == file_digest(path.parent / name)


def test_every_tile_of_every_clip_is_embedded(finished: Checkout) -> None:
    clips = read_text_table(finished.folder / "results/datasets/tiny/clips.tsv")
    features = open_features(next((finished.folder / "results/features").rglob("features.h5")))
    assert features.clips == clips["clip"].tolist()
    for space in SPACES:
        embedding, tiles, about = read_embeddings(finished.folder / f"results/tiny/embeddings/{space}.h5")
        assert tiles.groupby("clip").size().to_dict() == dict.fromkeys(clips["clip"], 2)  # 1 s in tiles of 0.4 s
        assert len(embedding) == len(tiles)
        assert about["kind"] == ("trained" if space in RUNS else space.split("_seed")[0])


def test_tables_hold_every_run_and_claims_have_verdicts(finished: Checkout) -> None:
    tables = finished.folder / "results/tiny/tables"
    scores = read_table(tables / "scores.tsv", text=("run", "probe", "split", "unit", "measure", "class"))
    assert set(scores["run"]) == set(SPACES)
    headline = scores[
        (scores["probe"] == "converged") & (scores["split"] == "test") & (scores["measure"] == "macro_f1")
    ]
    assert set(headline["unit"]) == {"tile", "segment", "clip"}
    assert (headline["low"] <= headline["high"]).all()
    claims = read_text_table(tables / "claims.tsv")
    assert claims["claim"].tolist() == [str(number) for number in range(1, 11)]
    assert set(claims["verdict"]) <= {"confirmed", "refuted", "undecided"}


@pytest.mark.long
def test_tables_regenerate_to_the_bit_from_the_stored_embeddings(finished: Checkout) -> None:
    """M8: probes, geometry and every table are forced anew; the embeddings stay."""
    study = finished.folder / "results/tiny"
    paths = [path for name in ("probes", "geometry", "tables") for path in sorted((study / name).rglob("*.tsv"))]
    embeddings = {path: path.stat().st_mtime_ns for path in (study / "embeddings").iterdir()}
    before = {path: (file_digest(path), path.stat().st_mtime_ns) for path in paths}
    rules = ["fit_probes", "measure_geometry", "collect_probes", "collect_geometry"]
    rules += ["collect_training", "compare_arms", "choose_arm", "rank_criteria", "judge_mechanisms", "collect_runs"]
    rules += ["judge_claims", "list_unused", "audit_neighbours", "count_distant"]
    run = finished.snakemake("--cores", "2", "--forcerun", *rules)
    assert run.returncode == 0, run.stdout
    assert {path: path.stat().st_mtime_ns for path in (study / "embeddings").iterdir()} == embeddings
    assert {path: file_digest(path) for path in paths} == {path: digest for path, (digest, _) in before.items()}
    assert [path.name for path in paths if path.stat().st_mtime_ns == before[path][1]] == []  # all were written anew


def test_the_report_is_one_file_that_opens_offline_and_says_synthetic(finished: Checkout) -> None:
    page = (finished.folder / "results/tiny/report/index.html").read_text()
    assert "synthetic" in page
    loads = re.findall(r"""<(?!a )[^>]* (?:src|href)=["']([^"']+)["']""", page)
    assert [target for target in loads if not target.startswith("data:")] == []
    links = {target for target in re.findall(r"""<a href=["']([^"']+)["']""", page) if not target.startswith("#")}
    beside = (finished.folder / "results/tiny/report").resolve()
    assert [target for target in links if not (beside / target).exists()] == []
    assert page.count("<img") >= len(FIGURES)


def test_snakemakes_own_report_works(finished: Checkout) -> None:
    run = finished.snakemake("--report", "snakemake.zip")
    assert run.returncode == 0, run.stdout
    with zipfile.ZipFile(finished.folder / "snakemake.zip") as packed:
        sizes = {Path(one.filename).name: one.file_size for one in packed.infolist()}
        words = packed.read("snakemake/report.html").decode()
    tables = ("claims", "every_run", "scores", "audit")
    assert [name for name in [f"{figure}.svg" for figure in FIGURES] if sizes.get(name, 0) < 1_000] == []
    assert [name for name in [f"{table}.tsv" for table in tables] if not sizes.get(name)] == []
    assert [name for name in sizes if name.endswith((".svg", ".tsv")) and name not in words] == []
    (finished.folder / "snakemake.zip").unlink()


def test_a_folder_without_labels_leaves_the_probes_out_and_lists_what_it_rejects(checkout: Checkout) -> None:
    for number in range(6):
        noise(checkout.folder / f"audio/{number}.wav", number)
    noise(checkout.folder / "audio/short.flac", 7, seconds=0.2)
    (checkout.folder / "audio/broken.wav").write_bytes(b"RIFF and nothing")
    run = checkout.snakemake("--cores", "2", config=folder_study(checkout))
    assert run.returncode == 0, run.stdout
    results = checkout.folder / "results"
    rejected = read_text_table(results / "datasets/small/rejected.tsv")
    assert rejected["path"].tolist() == ["broken.wav"]
    unused = read_text_table(results / "small/tables/unused_clips.tsv")
    assert unused["clip"].tolist() == ["short"]
    scores = read_text_table(results / "small/tables/scores.tsv")
    assert scores.empty
    page = (results / "small/report/index.html").read_text()
    assert "broken.wav" in page
    assert "without labels" in page.lower() or "no labels" in page.lower()
    assert "synthetic" not in page.split("</header>")[0].lower()


@pytest.mark.long
def test_real_clips_go_through_the_same_stages(checkout: Checkout, shared: Path) -> None:
    """Two clips of each class and fold of ESC-10: Ogg Vorbis at 44.1 kHz."""
    source = shared / "data/esc10"
    table = pd.read_csv(source / "clips.csv", dtype=str, keep_default_na=False)
    table = table.groupby(["label", "fold"]).head(2)
    for name in table["path"]:
        (checkout.folder / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.folder / "audio" / name).symlink_to((source / name).resolve())
    table.to_csv(checkout.folder / "audio/clips.csv", index=False)
    run = checkout.snakemake("--cores", "2", config=folder_study(checkout, tile_s="1.0", neighbourhood_s="2.0"))
    assert run.returncode == 0, run.stdout
    clips = read_text_table(checkout.folder / "results/datasets/small/clips.tsv")
    rejected = read_text_table(checkout.folder / "results/datasets/small/rejected.tsv")
    assert len(clips) + len(rejected) == len(table) == 100
    assert set(clips["rate"]) == {"44100"}
    assert len(set(clips["label"])) == 10


@pytest.mark.long
def test_the_published_study_at_full_width_trains_over_the_demo_audio(finished: Checkout, repo: Path) -> None:
    """Table 1 as published: the same network, tiles and optimiser, over the layout of its data set, for a few steps."""
    overlay = (repo / "studies/regularisation.yaml").read_text()
    assert "width: 64" in overlay
    overlay = overlay.replace("path: ../DCASE2018-task5-dev", "path: results/datasets/tiny/audio")
    overlay = overlay.replace("epochs: 50}", "epochs: 1}").replace("epochs: 30}", "epochs: 1}")
    overlay = overlay.replace("n_shards: 64", "n_shards: 1")
    # The tiny demo's clips last 1 s: two tiles of 0.5 s, as two of 5 s in the published clips of 10 s.
    overlay = overlay.replace("tile_s: 5.0", "tile_s: 0.5").replace("neighbourhood_s: 5.0", "neighbourhood_s: 0.5")
    with finished.left_as_found():
        (finished.folder / "published.yaml").write_text(overlay)
        run = finished.snakemake("--cores", "2", config="published.yaml")
        assert run.returncode == 0, run.stdout
        study = finished.folder / "results/regularisation"
        history = read_table(study / "models/l2~1_seed~1234/history.tsv", text=("split", "device"))
        # Σw² starts near 4,141 (study facts), and λ = 1.
        assert 3500 < history["penalty"].iloc[0] < 4200
        assert np.isfinite(history["loss"]).all()
        assert (study / "report/index.html").stat().st_size > 10_000


AS_PUBLISHED = (
    TINY[: TINY.index("sweep:")]
    .replace("study: tiny", "study: second\nprotocol: as_published\ncompare_with: tiny")
    .replace("{epochs: 2, ", "{batch_statistics: moving, ")
    + """\
sweep:
  arms:
    - {l2: 1.0, epochs: 2, lr_schedule: constant, probe_epochs: 2}
    - {l2: 0.01, epochs: 1, lr_schedule: exponential, probe_epochs: 3}
  seeds: [1]
probes: {by_epoch: {epochs: 4, batch_size: 15, tiles: triplets}}
statistics: {resamples: 100}
"""
)


@pytest.mark.long
def test_a_study_as_published_runs_and_is_ranked_against_the_other(finished: Checkout) -> None:
    with finished.left_as_found():
        (finished.folder / "second.yaml").write_text(AS_PUBLISHED)
        run = finished.snakemake("--cores", "2", config="second.yaml")
        assert run.returncode == 0, run.stdout
        study = finished.folder / "results/second"
        epochs = read_table(study / "tables/probe_epochs.tsv", text=("run", "split", "measure"))
        last = epochs.groupby("run")["epoch"].max()
        assert last["l2~1_epochs~2_lr_schedule~constant_seed~1"] == 2
        assert last["l2~0.01_epochs~1_lr_schedule~exponential_seed~1"] == 3
        assert last["mean_logmel"] == last["untrained_seed~1"] == 4
        ranks = read_table(study / "tables/protocols.tsv", text=("measure", "key", "study"))
        assert set(ranks["study"]) == {"tiny", "second"}
        assert sorted(ranks["setting"].unique()) == [0.01, 1.0]
        assert len(ranks) == 3 * 2 * 2
        page = (study / "report/index.html").read_text()
        assert "Compared with another study" in page
        assert 'id="figure-protocols"' in page
        assert ", recomputed statistics" in page
        assert finished.planned(config="second.yaml") == {}
        with finished.edited("second.yaml", "probe_epochs: 3", "probe_epochs: 5"):
            planned = finished.planned(config="second.yaml")
        assert planned["fit_probes"] == 2  # of both spaces of the run
        assert not {"train_model", "embed_trained", "embed_recomputed"} & set(planned)
