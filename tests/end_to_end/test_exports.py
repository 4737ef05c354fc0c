"""The tiny study with a space that the user brings, and everything exported: one run of the workflow for all tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lambdascape.core.files import file_digest
from lambdascape.core.tsv import read_table, read_text_table
from lambdascape.embeddings.space_file import read_embeddings
from support.checkouts import Checkout

RUNS = ["l2~1_seed~1", "l2~0.01_seed~1"]
TWIN = RUNS[0]  # the space that is brought in once more, under another name
MORE = """
spaces: {twin: own/twin.h5}
exports: {always: [table, projector, models], onnx: true}
"""


@pytest.fixture(scope="module")
def exported(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = finished.copy_to(tmp_path_factory.mktemp("exported") / "checkout")
    (checkout.folder / "own").mkdir()
    shutil.copy(checkout.folder / f"results/tiny/embeddings/{TWIN}.h5", checkout.folder / "own/twin.h5")
    with (checkout.folder / "tiny.yaml").open("a") as stream:
        stream.write(MORE)
    planned = checkout.planned()
    assert "train_model" not in planned
    assert planned["embed_own"] == 1
    run = checkout.snakemake("--cores", "2")
    assert run.returncode == 0, run.stdout
    assert checkout.planned() == {}
    return checkout


def test_a_space_brought_in_again_is_judged_as_the_one_that_it_is(exported: Checkout) -> None:
    """Scores, geometry and similarity of the copy are those of the run, to the last digit."""
    study = exported.folder / "results/tiny"
    embedding, tiles, about = read_embeddings(study / "embeddings/twin.h5")
    original, its_tiles, _ = read_embeddings(study / f"embeddings/{TWIN}.h5")
    np.testing.assert_array_equal(embedding, original)
    pd.testing.assert_frame_equal(tiles, its_tiles)
    assert (about["kind"], about["source_sha256"]) == ("own", file_digest(exported.folder / "own/twin.h5"))
    for name, text in (
        ("scores", ("run", "probe", "split", "unit", "measure", "class")), ("geometry", ("run", "split", "measure")),
        ("few_shot", ("run", "unit")), ("confusion", ("run", "probe", "unit", "label", "predicted")),
        ("spectra", ("run",)), ("probe_epochs", ("run", "split", "measure")),
    ):  # fmt: skip
        table = read_table(study / f"tables/{name}.tsv", text)
        twin, run = (table[table["run"] == space].drop(columns="run") for space in ("twin", TWIN))
        pd.testing.assert_frame_equal(twin.reset_index(drop=True), run.reset_index(drop=True))
        assert len(twin)
    pairs = read_table(study / "similarity/pairs.tsv", ("first", "second", "measure", "note"))
    same = pairs[(pairs["first"] == TWIN) & (pairs["second"] == "twin")].set_index("measure")
    assert same.loc["jaccard_10", "value"] == 1
    assert same.loc["cka", "note"] == "fewer than four sessions"  # of this tiny study's fold
    assert same.loc["procrustes", "note"] == "0 of 2 classes have sessions in both halves"
    for other in (RUNS[1], "untrained_seed~1", "mean_logmel"):
        either = pairs[pairs[["first", "second"]].isin([other]).any(axis=1)]
        values = [
            either[either[["first", "second"]].isin([space]).any(axis=1)]["value"].to_numpy()
            for space in ("twin", TWIN)
        ]
        np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-12)


def test_it_stands_in_the_report_and_moves_no_answer_about_the_sweep(exported: Checkout, finished: Checkout) -> None:
    page = (exported.folder / "results/tiny/report/index.html").read_text()
    assert "own space twin" in page
    assert "own space" not in (finished.folder / "results/tiny/report/index.html").read_text()
    for table in ("similarity/moves", "tables/comparisons", "tables/choice", "tables/mechanism", "tables/claims"):
        found, before = (checkout.folder / f"results/tiny/{table}.tsv" for checkout in (exported, finished))
        lines = [line for line in found.read_text().splitlines() if "own:twin" not in line]
        assert lines == before.read_text().splitlines(), table


def test_every_export_is_there_and_whole(exported: Checkout) -> None:
    folder = exported.folder / "results/tiny/exports"
    models = {f"models/{run}/{name}" for run in RUNS for name in ("embedder.keras", "embedder.onnx", "README.md")}
    assert [name for name in models if not (folder / name).stat().st_size] == []
    spaces = [*RUNS, "untrained_seed~1", "mean_logmel", "twin"]
    table = pd.read_parquet(folder / "embeddings.parquet")
    assert table["run"].drop_duplicates().tolist() == spaces
    for space in spaces:
        embedding, *_ = read_embeddings(exported.folder / f"results/tiny/embeddings/{space}.h5")
        columns = [f"e{number}" for number in range(embedding.shape[1])]
        np.testing.assert_array_equal(table.loc[table["run"] == space, columns].to_numpy(np.float32), embedding)
    assert (folder / "projector/projector_config.pbtxt").read_text().count("tensor_name") == len(spaces)
    for run in RUNS:
        card = (folder / f"models/{run}/README.md").read_text()
        assert all(file_digest(folder / f"models/{run}/embedder.{kind}") in card for kind in ("keras", "onnx"))
    found = exported.lambdascape("verify")
    assert found.returncode == 0, found.stdout


def test_an_exported_network_embeds_a_clip_as_the_study_did(exported: Checkout, tmp_path: Path) -> None:
    """By the command, on the audio itself: within 1e-5 of the stored embeddings."""
    clips = read_text_table(exported.folder / "results/datasets/tiny/clips.tsv").iloc[[0, 7]]
    files = [f"results/datasets/tiny/audio/{path}" for path in clips["path"]]
    output = tmp_path / "tiles.parquet"
    run = exported.lambdascape("embed", f"results/tiny/exports/models/{TWIN}", *files, "--output", str(output))
    assert run.returncode == 0, run.stderr
    table = pd.read_parquet(output)
    embedding, tiles, _ = read_embeddings(exported.folder / f"results/tiny/embeddings/{TWIN}.h5")
    for clip, file in zip(clips["clip"], files, strict=True):
        here, found = (tiles["clip"] == clip).to_numpy(), table[table["file"] == file]
        assert found["start_s"].tolist() == tiles.loc[here, "start_s"].tolist()
        vectors = found[[f"e{number}" for number in range(embedding.shape[1])]].to_numpy()
        np.testing.assert_allclose(vectors, embedding[here], atol=1e-5)


def test_the_examples_of_the_page_embed_a_file(exported: Checkout, repo: Path) -> None:
    page = (repo / "docs/how-to/exports.md").read_text().replace("results/demo", "results/tiny")
    (command,) = re.findall(r"^\.venv/bin/lambdascape (.+)$", page, re.MULTILINE)
    (example,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    clip = read_text_table(exported.folder / "results/datasets/tiny/clips.tsv")["path"][0]
    shutil.copy(exported.folder / "results/datasets/tiny/audio" / clip, exported.folder / "file.wav")
    run = exported.lambdascape(*command.split())
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("file\tchannel\tstart_s\te0")
    subprocess.run(
        [sys.executable, "-c", f"{example}\nassert len(start_s) == len(embedding) > 0"],
        cwd=exported.folder, env=os.environ | {"PYTHONPATH": "workflow/lib"}, check=True,
    )  # fmt: skip


def test_a_brought_space_that_does_not_fit_stops_its_job_with_the_reason(exported: Checkout) -> None:
    path = exported.folder / "own/few.parquet"
    embedding, tiles, _ = read_embeddings(exported.folder / f"results/tiny/embeddings/{TWIN}.h5")
    table = pd.DataFrame({"clip": tiles["clip"], "start_s": tiles["start_s"], "embedding": list(embedding)})
    table[table["clip"] != tiles["clip"][0]].to_parquet(path)
    with exported.edited("tiny.yaml", "twin: own/twin.h5", "few: own/few.parquet"):
        run = exported.snakemake("--cores", "1", "results/tiny/embeddings/few.h5")
    assert run.returncode == 1
    assert "every tile of the study needs an embedding that starts within 0.2 s of it; 2 of" in run.stdout
    with exported.edited("tiny.yaml", "twin: own/twin.h5", "absent: own/absent.h5"):
        run = exported.dry_run()
    assert run.returncode == 1
    assert "spaces.absent: must name a file of embeddings; there is none at own/absent.h5" in run.stdout
