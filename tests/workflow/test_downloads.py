"""A data set is downloaded, checked, unpacked and listed by the rules, from a server of this machine."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from lambdascape.config.settings import Demo
from lambdascape.datasets import demo
from lambdascape.features.store import open_features
from support.checkouts import Checkout
from support.servers import serving

SETTINGS = {
    "seed": 3, "classes": ["absence", "cooking"], "sessions_per_class": 3, "nodes": 2, "channels": 1, "clip_s": 0.05,
    "shortest_session": 1, "longest_session": 2, "folds": 3,
}  # fmt: skip
STUDY = """\
study: loaded
dataset: {name: loaded, adapter: dcase2018_task5, download: true, title: a replica, licence: none}
"""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The demo's data set as six archives that share one folder."""
    root = tmp_path_factory.mktemp("replica") / "data"
    demo.synthesise(root, Demo.of(SETTINGS))
    files = sorted(path for path in root.rglob("*") if path.is_file())
    cut = next(path for path in files if path.suffix == ".wav")
    cut.write_bytes(cut.read_bytes()[:-10])
    made = {}
    for number in range(6):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for file in files[number::6]:
                archive.write(file, Path("DCASE2018-task5-dev", file.relative_to(root)))
        made[f"part.{number}.zip"] = stream.getvalue()
    return made


def write_table(checkout: Checkout, archives: dict[str, bytes], address: str) -> None:
    rows = [
        ["dcase2018_task5", address + name, name, str(len(content)), hashlib.md5(content).hexdigest(), "audio"]
        for name, content in archives.items()
    ]
    header = ["dataset", "url", "filename", "bytes_nominal", "md5", "part"]
    table = checkout.folder / "workflow/lib/lambdascape/datasets/archives.tsv"
    table.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))


def test_a_data_set_is_loaded_two_archives_at_a_time_and_only_once(
    checkout: Checkout, archives: dict[str, bytes]
) -> None:
    (checkout.folder / "loaded.yaml").write_text(STUDY)
    with serving(archives) as server:
        server.pause_s = 1.0
        server.faults = [{"send": 100}]
        write_table(checkout, archives, server.url(""))
        run = checkout.snakemake("datasets", "--cores", "6", config="loaded.yaml")
        assert run.returncode == 0, run.stdout
        assert len(server.requests) == len(archives) + 1
        assert server.most == 2
    results = checkout.folder / "results/datasets/loaded"
    clips = (results / "clips.tsv").read_text().splitlines()
    # One line is the header, one clip is cut.
    assert len(clips) == len(list((results / "download/audio").rglob("*.wav"))) > 1
    assert checkout.planned("datasets", config="loaded.yaml") == {}
    with checkout.touched("*.zip*"):
        assert checkout.planned("datasets", config="loaded.yaml") == {}


def content(store: Path) -> list[object]:
    features = open_features(store)
    return [features.frames.tobytes(), features.clip_start.tolist(), features.clips, features.crc.tolist()]


@pytest.mark.parametrize("channels", ["mean", "each"])
def test_drained_archives_leave_the_same_features_and_no_audio(
    checkout: Checkout, archives: dict[str, bytes], channels: str
) -> None:
    """The archives hold every sixth file each, so that the manifest has another order than they; one file is cut."""
    (checkout.folder / "mine").mkdir()
    for name, whole in archives.items():
        (checkout.folder / "mine" / name).write_bytes(whole)
    write_table(checkout, archives, "http://127.0.0.1:9/")
    found = {}
    for name, keep in (("kept", "true"), ("drained", "false")):
        settings = f"download: true, archives: mine, channels: {channels}, keep_audio: {keep}"
        text = STUDY.replace("download: true", settings).replace("loaded", name)
        (checkout.folder / f"{name}.yaml").write_text(text + "features: {n_mels: 8, n_shards: 2}\n")
        run = checkout.snakemake("features", "--cores", "2", config=f"{name}.yaml")
        assert run.returncode == 0, run.stdout
        results = checkout.folder / "results"
        tables = [(results / f"datasets/{name}/{table}.tsv").read_text() for table in ("clips", "rejected", "warnings")]
        (store,) = (results / "features" / name).glob("*/features.h5")
        found[name] = [tables, content(store)]
        assert checkout.planned("features", config=f"{name}.yaml") == {}
    assert found["kept"] == found["drained"]
    (tables, _), passed = found["drained"], results / "datasets/drained"
    assert "as long as its header says" in tables[1]
    assert not [path for path in passed.rglob("*") if path.suffix in (".wav", ".zip", ".part")]
    assert sorted(path.name for path in (checkout.folder / "mine").iterdir()) == sorted(archives)
