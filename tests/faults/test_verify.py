"""`lambdascape verify` finds every damaged, incomplete and stale product and names it (rows H1, H2, P1 to P6)."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from lambdascape.cli.main import main
from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path, content_digest, write_digest
from lambdascape.core.tsv import write_table
from lambdascape.embeddings import space_file
from lambdascape.features import store
from lambdascape.jobs.fingerprint import task
from lambdascape.jobs.receipts import write_receipt
from lambdascape.operations.verify import verify
from support.stores import write_store

Count = Callable[[int, int], int]
CLIPS = ("a", "b", "c")
FEATURES = "results/features/small/logmel4/features.h5"
WEIGHTS = "results/tiny/models/one/embedder.weights.h5"
EMBEDDINGS = "results/tiny/embeddings/one.h5"
MANIFEST = "results/datasets/small/clips.tsv"
SCORES = "results/tiny/tables/scores.tsv"


def with_digest(path: str) -> list[str]:
    write_digest(path, f"{path}.sha256")
    return [path, f"{path}.sha256"]


def make_results() -> None:
    """A small study in the working directory, of the kinds of products that the workflow makes."""
    rng = np.random.default_rng(1)
    Path("audio").mkdir()
    for clip in CLIPS:
        Path(f"audio/{clip}.wav").write_bytes(rng.bytes(100))
    contents = [content_digest(f"audio/{clip}.wav") for clip in CLIPS]
    write_table(pd.DataFrame({"clip": CLIPS, "path": [f"{c}.wav" for c in CLIPS], "content": contents}), MANIFEST)
    listing = {"root": "audio", "task": task("datasets.manifest.list_clips")}
    write_receipt("results/receipts/datasets/small/clips.json", [MANIFEST], params=listing)
    recipe = {"sr": 16000, "hop_length": 160}
    write_store(FEATURES, rng.normal(size=(30, 4)), [0, 10, 20, 30], CLIPS, {"recipe": recipe})
    code = {"task": task("features.extraction.consolidate")}
    write_receipt("results/receipts/features/small/features.json", with_digest(FEATURES), [MANIFEST], code)
    with atomic_path(WEIGHTS) as temporary, h5py.File(temporary, "w") as file:
        file["kernel"] = rng.normal(size=(20, 20)).astype(np.float32)
        file.attrs["about"] = "{}"
    code = {"task": task("models.training.train")}
    write_receipt("results/receipts/tiny/models/one.json", with_digest(WEIGHTS), [MANIFEST, FEATURES], code)
    tiles = pd.DataFrame(dict.fromkeys(space_file.TILE_COLUMNS, "x"), index=range(9)).assign(start_s=0.0)
    space_file.write_embeddings(EMBEDDINGS, rng.normal(size=(9, 5)).astype(np.float32), tiles, {})
    code = {"task": task("embeddings.trained.embed_trained")}
    write_receipt("results/receipts/tiny/embeddings/one.json", with_digest(EMBEDDINGS), [FEATURES, WEIGHTS], code)
    write_table(pd.DataFrame({"run": ["one"], "value": [0.5]}), SCORES)
    code = {"task": task("tables.collect.collect_probes")}
    write_receipt("results/receipts/tiny/tables/scores.json", [SCORES], [EMBEDDINGS], code)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_results()
    return Path("results")


def wrong(study: str | None = None) -> dict[str, str]:
    """Path to what is wrong."""
    return {fault.path: fault.what for fault in verify("results", study)[0]}


def remedies() -> dict[str, str]:
    """Path to what to do."""
    return {fault.path: fault.remedy for fault in verify("results")[0]}


def test_whole_results_are_whole_wherever_they_lie(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0
    assert capsys.readouterr().out == "8 products checked: no fault.\n"
    results.rename("elsewhere")
    assert main(["verify", "elsewhere"]) == 0


@pytest.mark.fault("H1")
@pytest.mark.parametrize("product", [FEATURES, EMBEDDINGS, WEIGHTS])
def test_every_flipped_bit_is_found(results: Path, count: Count, product: str) -> None:
    """Row H1."""
    good = Path(product).read_bytes()
    rng = np.random.default_rng(len(good))
    for _ in range(count(100, 1000)):
        bad = bytearray(good)
        bad[rng.integers(len(good))] ^= 1 << int(rng.integers(8))
        Path(product).write_bytes(bad)
        assert wrong() == {product: "damaged: not the bytes that were made"}
    Path(product).write_bytes(good)
    assert wrong() == {}


@pytest.mark.fault("H2")
@pytest.mark.parametrize("product", [FEATURES, EMBEDDINGS, WEIGHTS, MANIFEST, SCORES, f"{FEATURES}.sha256"])
def test_every_cut_is_found(results: Path, count: Count, product: str) -> None:
    """Row H2."""
    good = Path(product).read_bytes()
    for length in np.random.default_rng(len(good)).integers(len(good), size=count(50, 500)):
        Path(product).write_bytes(good[:length])
        assert wrong()[product].startswith("damaged")


@pytest.mark.fault("H2")
@pytest.mark.parametrize(
    ("product", "read"), [(FEATURES, store.open_features), (EMBEDDINGS, space_file.read_embeddings)]
)
def test_a_cut_file_is_refused_by_its_reader_with_its_name(
    results: Path, count: Count, product: str, read: Callable[[str], object]
) -> None:
    """Row H2, on the way in which jobs read."""
    good = Path(product).read_bytes()
    for length in np.random.default_rng(len(good)).integers(len(good), size=count(50, 500)):
        Path(product).write_bytes(good[:length])
        with pytest.raises(InputError, match=product):
            read(product)


def test_files_that_no_finished_job_vouches_for_are_named(results: Path) -> None:
    Path(SCORES).with_name("odd.tsv").write_text("odd")
    Path("results/tiny/models/two").mkdir()
    shutil.copy(WEIGHTS, "results/tiny/models/two/")
    unfinished = "unfinished: no receipt of a finished job names it"
    assert wrong() == {
        "results/tiny/tables/odd.tsv": unfinished,
        "results/tiny/models/two/embedder.weights.h5": unfinished,
    }


def test_what_archives_held_is_no_product(results: Path) -> None:
    meta = results / "datasets/small/download/audio/meta.txt"
    meta.parent.mkdir(parents=True)
    meta.write_text("a.wav")
    assert wrong() == {}


@pytest.mark.parametrize("product", [WEIGHTS, SCORES, "results/datasets/small/audio", "results/l2~0.01_seed~1.h5"])
def test_what_a_killed_writer_left_over_is_named_and_what_is_being_written_is_told_apart(
    results: Path, product: str
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with atomic_path(product) as temporary:
        temporary.write_text("half")
        assert wrong() == {str(temporary): f"being written by process {os.getpid()} on {socket.gethostname()}"}
        left = temporary.with_name(temporary.name.replace(f"-{os.getpid()}", f"-{ended.pid}"))
        temporary.rename(left)
        assert wrong() == {str(left): f"left over by process {ended.pid}, which has ended"}
        left.rename(temporary)


def test_a_missing_product_and_a_damaged_receipt_are_named(results: Path) -> None:
    Path(SCORES).unlink()
    assert wrong() == {SCORES: "missing"}
    assert remedies()[SCORES].startswith(f"`make run STUDY=<its file> TARGET={SCORES}`; if it is to be gone, delete ")
    receipt = results / "receipts/tiny/tables/scores.json"
    receipt.write_text(receipt.read_text()[:40])
    assert wrong() == {str(receipt): "damaged: no receipt that can be read"}


def test_a_store_that_was_wrong_from_the_start_is_incomplete(results: Path) -> None:
    with h5py.File(FEATURES, "r+") as file:
        file["clip_start"][3] = 29
    write_receipt("results/receipts/features/small/features.json", with_digest(FEATURES), [MANIFEST])
    assert wrong()[FEATURES] == "incomplete: no complete HDF5 file of its kind"


def test_products_of_another_input_are_stale_and_only_the_first_of_a_chain_is_named(results: Path) -> None:
    """Rows P4 to P6: whatever Snakemake remembers, the receipts tell what was made from what."""
    table = Path(MANIFEST).read_text()
    write_table(pd.read_csv(MANIFEST, sep="\t").iloc[::-1], MANIFEST)
    write_receipt("results/receipts/datasets/small/clips.json", [MANIFEST])
    stale = f"stale: made from another {MANIFEST}"
    assert wrong() == {FEATURES: stale, WEIGHTS: stale}
    Path(MANIFEST).write_text(table)
    write_receipt("results/receipts/datasets/small/clips.json", [MANIFEST])
    assert wrong() == {}


@pytest.mark.fault("P1")
def test_products_of_other_code_are_stale(results: Path) -> None:
    """Row P1."""
    code = {"task": {"name": "tables.collect.collect_probes", "code": "0123456789abcdef"}}
    write_receipt("results/receipts/tiny/tables/scores.json", [SCORES], [EMBEDDINGS], code)
    assert wrong() == {SCORES: "stale: made by other code than this checkout's"}
    remedy = "`make run STUDY=<its file>` makes it anew; if it is still named then, delete it first"
    assert remedies() == {SCORES: remedy}


@pytest.mark.fault("P3")
def test_a_changed_audio_file_with_an_old_date_makes_its_manifest_stale(results: Path) -> None:
    """Row P3."""
    Path("audio/b.wav").write_bytes(b"another sound")
    os.utime("audio/b.wav", (0, 0))
    lists = "stale: lists 1 audio files that changed or are gone, the first is audio/b.wav"
    assert wrong() == {MANIFEST: lists}
    assert main(["verify", "--no-audio"]) == 0
    shutil.rmtree("audio")
    assert wrong() == {}


def test_the_files_of_a_folder_are_held_against_its_listing(results: Path) -> None:
    folder = results / "datasets/made/audio"
    folder.mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"sound")
    write_digest(folder, f"{folder}.sha256")
    write_receipt("results/receipts/datasets/made/audio.json", [str(folder), f"{folder}.sha256"])
    assert wrong() == {}
    (folder / "a.wav").write_bytes(b"other")
    assert wrong() == {f"{folder}/a.wav": "damaged: not the bytes that were made"}
    (folder / "a.wav").unlink()
    assert wrong() == {f"{folder}/a.wav": "missing"}


def test_one_study_is_checked_with_what_it_rests_on(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("results/other").mkdir()
    Path("results/other/runs.tsv").write_text("x")
    write_receipt("results/receipts/other/runs.json", ["results/other/runs.tsv"])
    Path("results/other/runs.tsv").write_text("y")
    assert wrong("tiny") == {}
    assert list(wrong("other")) == ["results/other/runs.tsv"]
    Path(FEATURES).write_bytes(b"")
    assert list(wrong("tiny")) == [FEATURES]
    Path("study.yaml").write_text("study: tiny\n")
    assert main(["verify", "--study", "study.yaml"]) == 1
    path, what, remedy = capsys.readouterr().out.splitlines()[1].split("  ")
    assert (path, what) == (FEATURES, "damaged: not the bytes that were made")
    assert remedy == f"delete it, then `make run STUDY=<its file> TARGET={FEATURES}`"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: must hold results of the workflow with their receipts; it holds none"),
        (["--study", "absent.yaml"], "--study: must be a readable YAML file"),
        (["--study", "empty.yaml"], "--study: must name a config file with the key `study`"),
        (["--study", "unknown.yaml"], "results: must hold results of the study 'unknown'"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(
    results: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    Path("empty.yaml").write_text("")
    Path("unknown.yaml").write_text("study: unknown\n")
    assert main(["verify", *words]) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")
