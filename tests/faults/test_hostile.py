"""Hostile configs, texts and places: refused before any job or of no effect, and nothing is executed (rows Y1-Y3).

Y1 in full, key by key: tests/study/test_validation.py.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from lambdascape.config.settings import ReadingSettings
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_text_table
from lambdascape.datasets.manifest import list_clips
from lambdascape.operations.verify import verify
from support.checkouts import Checkout
from support.configs import problems

Count = Callable[[int, int], int]
CANARY = "pwned"
TEXTS = [
    f"; touch {CANARY}",
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    'it\'s "quoted"',
    f"two\nlines; touch {CANARY}",
    " a space ",
    "Übung 火 ☃",
    "-leading",
    f"{{config}} {{wildcards.x}} $x^$ <script>document.title='{CANARY}'</script>",
    "",
]
PLAIN = ("study", "compare_with", "dataset.name")  # of which names of folders are made
FREE = ("dataset.path", "dataset.archives", "dataset.title", "dataset.licence", "split.test_fold", "claims")
STORE = "features_store"


def config_of(repo: Path, key: str, text: str) -> dict[str, Any]:
    config = yaml.safe_load((repo / "config.yaml").read_text())
    config |= {"study": "own"}
    config["dataset"] |= {"name": "own", "adapter": "folder", "path": "audio", "title": "own", "licence": "own"}
    block, _, name = key.rpartition(".")
    (config[block] if block else config)[name] = text
    return config


# --- Y1: the config as a program ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"study: !!python/object/apply:os.system ['touch {CANARY}']\n", "Config file is not valid JSON or YAML"),
        ("study: mine\ntraining: {epochs: 2\n", "Config file is not valid JSON or YAML"),
    ],
    ids=["object", "cut"],
)
@pytest.mark.fault("Y1")
def test_y1_a_config_that_is_more_than_data_is_refused_and_nothing_is_executed(
    checkout: Checkout, text: str, message: str
) -> None:
    (checkout.folder / "hostile.yaml").write_text(text)
    run = checkout.snakemake("--dry-run", config="hostile.yaml", timeout=120)
    assert run.returncode != 0
    assert message in run.stdout
    assert not list(checkout.folder.glob("results/*/"))
    assert not (checkout.folder / CANARY).exists()


# --- Y2: texts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.fault("Y2")
def test_y2_names_of_folders_are_refused_unless_they_are_plain(repo: Path, text: str) -> None:
    for key in PLAIN:
        found = problems(config_of(repo, key, text))
        assert len(found) == 1, key
        assert found[0].startswith(f"{key}: must consist of letters, digits, dots and hyphens"), found


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.fault("Y2")
def test_y2_free_texts_are_kept_as_they_are_or_refused_when_empty(repo: Path, text: str) -> None:
    for key in (*FREE, STORE):
        found = problems(config_of(repo, key, text))
        if not text:
            assert found == [f"{key}: must not be empty; got the text ''"]
        elif key != "dataset.archives":
            assert found == []


@pytest.mark.fault("Y2")
def test_y2_hostile_texts_in_every_key_plan_the_same_jobs(checkout: Checkout, count: Count) -> None:
    plans = []
    for text in ["plain", *[text for text in TEXTS if text][: count(3, len(TEXTS))]]:
        dataset = {"name": "own", "adapter": "folder"} | dict.fromkeys(["path", "title", "licence"], text)
        (checkout.folder / text).mkdir(exist_ok=True) if "/" not in text else None
        config: dict[str, Any] = {"study": "own", "dataset": dataset, "split": {"test_fold": text}}
        config |= {STORE: text} if "/" not in text else {}
        (checkout.folder / "own.yaml").write_text(yaml.safe_dump(config))
        plans.append(checkout.planned(config="own.yaml"))
    assert all(plan == plans[0] for plan in plans)
    assert not (checkout.folder / CANARY).exists()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("column", ["label", "session", "node", "fold", "path"])
@pytest.mark.fault("Y2")
def test_y2_hostile_rows_are_read_as_they_are_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    audio = tmp_path / "audio"
    audio.mkdir()
    rows = [
        {"path": f"{name}.wav", "label": "x", "session": name, "node": "n", "fold": fold}
        for name, fold in (("a", "f1"), ("b", "f2"), ("c", "f1"), ("d", "f2"))
    ]
    rows[0][column] = text.replace("/", "") + ".wav" if column == "path" and text else text
    for number, row in enumerate(rows):
        if row["path"]:
            noise = np.random.default_rng(number).uniform(-0.5, 0.5, 1600)
            with (audio / row["path"]).open("wb") as file:
                soundfile.write(file, noise, 8000, format="WAV")
    with (audio / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    settings = ReadingSettings(
        adapter="folder", folds=2, channels="mean", on_bad_clip="reject", max_rejected_fraction=0.5, plugins=[]
    )
    told = ""
    try:
        list_clips(audio, settings, *(tmp_path / f"{name}.tsv" for name in ("clips", "rejected", "warnings")))
    except InputError as error:
        told = str(error)
    if told:
        assert "\n" not in told  # unsafe characters are spelt out
    else:
        clips, rejected = (read_text_table(tmp_path / f"{name}.tsv") for name in ("clips", "rejected"))
        assert len(clips) + len(rejected) == len(rows)
        if len(rejected) == 0 and text:
            assert text.replace("/", "").strip() in " ".join(clips[column]).replace("/", "")
    assert not list(tmp_path.rglob(CANARY))


# --- Y3: places --------------------------------------------------------------------------------------------------

# The smallest study that goes through every stage.
STUDY = """\
study: own
dataset: {name: own, adapter: folder}
features: {sr: 8000, fmax: 4000, n_mels: 16, n_shards: 1}
split: {test_fold: f1}
triplets: {tile_s: 0.4, neighbourhood_s: 0.4}
network: {width: 2, embedding_dim: 4}
training: {epochs: 1, batch_size: 8}
sweep: {axes: {l2: [1.0, 0.01]}, seeds: [1]}
probes: {by_epoch: {epochs: 1}, knn: null, few_shot: null}
statistics: {resamples: 100}
"""
PLACES = [
    f'a space, Übung 火, it\'s "quoted" $(touch {CANARY}) ; touch {CANARY}',
    "a space",
    "Übung 火",
    'it\'s "quoted"',
    200 * "l",
]


def lay_out(checkout: Checkout, audio: Path) -> None:
    """A data set with hostile labels, sessions and file names, in a place of its own, and a study over it."""
    rng = np.random.default_rng(1)
    audio.mkdir(parents=True)
    labels = [f"$(touch {CANARY}) & <b>", "it's \"$x^$ 火"]
    rows = [("path", "label", "session", "fold")]
    for number in range(16):
        name = f"{number} ; touch {CANARY} '火'.wav"
        with (audio / name).open("wb") as file:
            soundfile.write(file, rng.uniform(-0.5, 0.5, 8000) * (1 + number % 2), 8000, format="WAV")
        rows.append(
            (name, labels[number % 2], f"-s`touch {CANARY}` {number // 2 % 4} {number % 2}", f"f{1 + number // 2 % 2}")
        )
    with (audio / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    config = yaml.safe_load(STUDY)
    config["dataset"] |= {"path": str(audio), "title": TEXTS[8], "licence": TEXTS[3]}
    (checkout.folder / "own.yaml").write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False))


@pytest.mark.long
@pytest.mark.fault("Y3")
def test_y3_a_full_run_in_a_hostile_place_over_hostile_data(repo: Path, tmp_path: Path, count: Count) -> None:
    for place in PLACES[: count(1, len(PLACES))]:
        checkout = Checkout(repo, tmp_path / place / "checkout")
        lay_out(checkout, tmp_path / f"{place} data" / "audio" if len(place) < 200 else tmp_path / place / "audio")
        run = checkout.snakemake("--cores", "2", config="own.yaml", timeout=1800)
        assert run.returncode == 0, run.stdout
        page = (checkout.folder / "results/own/report/index.html").read_text()
        assert "<script>document" not in page
        assert f"$(touch {CANARY}) & <b>" not in page
        assert not list(tmp_path.rglob(CANARY))
        assert verify(checkout.folder / "results")[0] == []
        assert checkout.planned(config="own.yaml") == {}
        run = checkout.lambdascape("verify", "--study", "own.yaml", environment={"PATH": "/usr/bin:/bin"})
        assert run.returncode == 0, run.stdout + run.stderr
