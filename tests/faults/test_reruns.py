"""What changed behind Snakemake's back: exactly the right steps rerun, or `verify` names the product (rows P3-P8).

P1 and P2: tests/workflow/test_rerun.py; more of P3: tests/workflow/test_verify.py.
"""

import os
import shutil
import subprocess
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from study.test_validation import turned_round
from support.checkouts import PARTS, Checkout

Count = Callable[[int, int], int]
# A data set of one's own, of which only the manifest is made.
OWN = """\
study: own
dataset: {name: own, adapter: folder, path: audio, title: own, licence: own, folds: 2}
"""


def stale(checkout: Checkout) -> list[str]:
    """The products that `verify`, run in the checkout by its own code, names."""
    run = checkout.lambdascape("verify")
    rows = run.stdout.splitlines()[1:]
    assert run.returncode == bool(rows), run.stdout + run.stderr
    return [row.split()[0] for row in rows]


@contextmanager
def with_its_old_date(path: Path) -> Iterator[None]:
    before = path.stat()
    yield
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# --- P3, P4: audio and split -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the manifest of a folder of audio has been made."""
    checkout = Checkout(repo, tmp_path_factory.mktemp("own") / "checkout")
    (checkout.folder / "own.yaml").write_text(OWN)
    audio = checkout.folder / "audio"
    audio.mkdir()
    rng = np.random.default_rng(1)
    rows = ["path,label,session,fold"]
    for number in range(4):
        soundfile.write(audio / f"{number}.wav", rng.uniform(-0.5, 0.5, 16000), 16000)
        rows.append(f"{number}.wav,{'ab'[number % 2]},s{number},fold{1 + number // 2}")
    (audio / "clips.csv").write_text("\n".join([*rows, ""]))
    run = checkout.snakemake("datasets", "--cores", "1", config="own.yaml")
    assert run.returncode == 0, run.stdout
    assert checkout.planned("datasets", config="own.yaml") == {}
    return checkout


@pytest.mark.fault("P3")
def test_p3_a_clip_replaced_by_one_of_another_size_is_looked_at_again(own: Checkout, tmp_path: Path) -> None:
    checkout = own.copy_to(tmp_path / "checkout")
    clip = checkout.folder / "audio/2.wav"
    with with_its_old_date(clip):
        soundfile.write(clip, np.linspace(-0.5, 0.5, 8000), 16000)
    assert checkout.planned("datasets", config="own.yaml") == {"list_clips": 1, "datasets": 1}


@pytest.mark.fault("P4")
def test_p4_an_edited_split_with_its_old_date_makes_the_manifest_and_all_that_follows_anew(
    own: Checkout, tmp_path: Path
) -> None:
    checkout = own.copy_to(tmp_path / "checkout")
    table = checkout.folder / "audio/clips.csv"
    with with_its_old_date(table):
        table.write_text(table.read_text().replace("s0,fold1", "s0,fold2"))
    planned = checkout.planned(config="own.yaml")
    assert planned["list_clips"] == 1
    assert planned["train_model"] == 6
    table.write_text(table.read_text() + "\n")  # and a changed text of the same meaning is no more than looked at
    assert checkout.planned("datasets", config="own.yaml") == {"list_clips": 1, "datasets": 1}


# --- P5, P6: Snakemake's memory ----------------------------------------------------------------------------------


def records(checkout: Checkout) -> dict[str, Path]:
    """Product to the record of it in Snakemake's memory, whose names are the products' in base64."""
    files = (path for path in (checkout.folder / ".snakemake/metadata").rglob("*") if path.is_file())
    return {urlsafe_b64decode(path.name).decode(): path for path in files}


@pytest.mark.fault("P5")
def test_p5_without_snakemakes_memory_nothing_whole_reruns_and_what_is_stale_is_named(
    finished: Checkout, tmp_path: Path
) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    shutil.rmtree(checkout.folder / ".snakemake")
    assert checkout.planned() == {}
    assert stale(checkout) == []
    with checkout.edited("workflow/lib/lambdascape/claims/ledger.py", "def judge_claims", "def judge_other_claims"):
        assert stale(checkout) == ["results/tiny/tables/claims.tsv"]


@pytest.mark.parametrize("content", ["", "{}", "no json"])
@pytest.mark.fault("P6")
def test_p6_a_spoilt_record_of_snakemakes_memory_harms_nothing(
    finished: Checkout, tmp_path: Path, content: str
) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    spoilt = [path for product, path in records(checkout).items() if "/geometry/" in product]
    assert len(spoilt) > 4
    for path in spoilt:
        path.write_text(content)
    assert set(checkout.planned()) <= {"measure_geometry"}
    with checkout.edited("workflow/lib/lambdascape/geometry/shape.py", "def uniformity", "def other_uniformity"):
        named = {Path(path).name for path in stale(checkout)}
    assert {"mean_logmel.tsv", "l2~1_seed~1_spectrum.tsv"} <= named


# --- P7, P8: environment and checkout ----------------------------------------------------------------------------


@pytest.mark.fault("P7")
def test_p7_hash_seed_order_of_keys_locale_and_time_zone_repeat_nothing(
    finished: Checkout, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (finished.folder / "tiny.yaml").read_text()
    turned = yaml.safe_dump(turned_round(yaml.safe_load(text)), sort_keys=False)
    assert turned.index("statistics") < turned.index("study")
    environments = [("3", "C", "Pacific/Kiritimati"), ("4", "C.UTF-8", "America/Los_Angeles"), ("5", "POSIX", "UTC")]
    environments += [("1", "tr_TR.UTF-8", "Asia/Kathmandu"), ("2", "C", "")]
    for seed, locale, zone in environments:
        for name, value in (("PYTHONHASHSEED", seed), ("LC_ALL", locale), ("TZ", zone)):
            monkeypatch.setenv(name, value)
        with finished.edited("tiny.yaml", text, turned):
            assert finished.planned() == {}


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.fault("P8")
def test_p8_a_fresh_clone_over_existing_results_repeats_nothing(
    finished: Checkout, tmp_path: Path, remembered: bool
) -> None:
    """Every file of a clone is newer than the results; without Snakemake's memory, it can only look at dates."""
    source = tmp_path / "source"
    source.mkdir()
    for part in (*PARTS, "tiny.yaml"):
        copy = shutil.copytree if (finished.folder / part).is_dir() else shutil.copy
        copy(finished.folder / part, source / part)
    git(source, "init", "--quiet")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "all")
    git(tmp_path, "clone", "--quiet", "source", "clone")
    shutil.copytree(finished.folder / "results", tmp_path / "clone/results", symlinks=True)
    if remembered:
        shutil.copytree(finished.folder / ".snakemake", tmp_path / "clone/.snakemake")
    clone = Checkout.at(tmp_path / "clone")
    assert clone.planned() == {}
    assert stale(clone) == []
