"""The viewer's points, maps, pictures, sound and page: known answers, budgets, no sound that may not be passed on."""

import base64
import copy
import html
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image

from lambdascape.config.settings import Viewer
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, read_text_table, write_table
from lambdascape.core.vectors import project
from lambdascape.embeddings.shown import common_tiles, shown_spaces
from lambdascape.viewer import sound, thumbnails
from lambdascape.viewer.data import STEPS, json_text, packed, page_data
from lambdascape.viewer.points import COLUMNS, MOST_FINDINGS, TEXT, choose, sample_points, shown_findings
from lambdascape.viewer.predictions import predict_points
from lambdascape.viewer.projections import align, fit, manifold, map_points, neighbours_of
from lambdascape.viewer.viewer_page import colourings, findings, script_sources, write_viewer
from support.configs import study_of
from support.spaces import make_space, write_space
from support.studies import FakeStudy
from support.viewers import ABOUT, PARTS, viewer_files

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
SETTINGS = Viewer(seed=1, neighbours=3, umap_neighbours=None)
HOSTILE = "</script><img src=x onerror=alert(1)>"


class Made:
    """The stage's files of a small study, made one after the other as the rules do."""

    def __init__(self, folder: Path, labelled: bool = True, label: str = "class1", points: int = 40) -> None:
        study = FakeStudy(folder, points=({"l2": 1.0}, {"l2": 0.01}), seeds=(1, 2))
        self.folder, self.runs = folder, study.tables["runs"]
        self.names = read_table(self.runs, ("run",))["run"].tolist()
        self.embedding, self.tiles = make_space(separation=3.0)
        self.tiles["label"] = self.tiles["label"].replace("class1", label) if labelled else ""
        rng = np.random.default_rng(5)
        noise = 0.3 * rng.normal(size=(len(self.names), *self.embedding.shape)).astype(np.float32)
        self.spaces = [
            write_space(folder / f"space{i}.h5", self.embedding + one, self.tiles) for i, one in enumerate(noise)
        ]
        names = self.tiles["clip"].unique()
        self.clips = pd.DataFrame({"clip": names, "path": [f"audio/{name}.wav" for name in names], "channel": ""})
        write_table(self.clips, folder / "clips.tsv")
        self.audit = self.tiles[["clip", "label", "session", "node", "start_s"]].iloc[[7]].assign(
            kind="label", neighbours="class0", share=1.0, spaces=3, of=4, distance=0.25
        )  # fmt: skip
        write_table(self.audit, folder / "audit.tsv")
        sample_points(
            self.runs, self.spaces, self.names, folder / "clips.tsv", folder / "audit.tsv", "fold1", points, 1,
            folder / "points.tsv",
        )  # fmt: skip
        self.points = read_table(folder / "points.tsv", TEXT)
        map_points(
            self.runs, folder / "points.tsv", self.spaces, self.names, SETTINGS,
            folder / "coordinates.tsv", folder / "neighbours.tsv",
        )  # fmt: skip
        scores = folder / "converged.tsv"
        chosen = {"probe": "p", "split": "validation", "measure": "c", "draw": [1, 0], "value": [1e-9, 1.0]}
        write_table(pd.DataFrame(chosen), scores)  # a C for each of two seeds; that of the first, draw 0, predicts
        predict_points(
            self.runs, folder / "points.tsv", self.spaces, self.names, [scores] * len(self.names), "fold1",
            folder / "predictions.tsv",
        )  # fmt: skip
        tiles = np.random.default_rng(0).integers(0, 255, (len(self.points), thumbnails.HEIGHT, thumbnails.WIDTH))
        (folder / "pictures.webp").write_bytes(thumbnails.encode(thumbnails.sheet(tiles.astype(np.uint8))))
        write_table(pd.DataFrame({"point": [0, 3], "mp3": ["QUJD", "REVG"]}), folder / "sound.tsv")
        (folder / "attribution.txt").write_text(f"by {HOSTILE}", encoding="utf-8")

    @contextmanager
    def replaced(self, name: str, table: pd.DataFrame) -> Iterator[None]:
        path = self.folder / f"{name}.tsv"
        before = path.read_bytes()
        write_table(table, path)
        yield
        path.write_bytes(before)

    def write(self, **about: Any) -> tuple[str, str]:
        files = viewer_files(self.folder) | {"runs": self.runs}
        write_viewer(files, ABOUT | about, self.folder / "viewer.html", self.folder / "index.html")
        return (self.folder / "viewer.html").read_text("utf-8"), (self.folder / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("viewer"))


# --- points ---------------------------------------------------------------------------------------------------------


def test_the_same_tiles_are_drawn_again_no_more_than_asked_for_with_findings_among_them(made: Made) -> None:
    assert made.points.columns.tolist() == COLUMNS
    assert len(made.points) == 40
    first = choose(made.tiles, made.audit, 40, 1)
    assert 7 in first
    assert (first == choose(made.tiles, made.audit, 40, 1)).all()
    assert (first != choose(made.tiles, made.audit, 40, 2)).any()
    assert (np.diff(first) > 0).all()
    assert len(choose(made.tiles, made.audit, 10_000, 1)) == len(made.tiles)
    assert choose(made.tiles, made.audit, 1, 1).tolist() == [7]
    assert set(made.points["split"]) == {"held out", "training"}
    assert made.points["path"].tolist() == [f"audio/{clip}.wav" for clip in made.points["clip"]]


def test_each_class_and_session_has_its_share_of_the_points(made: Made) -> None:
    drawn = made.tiles.iloc[choose(made.tiles, made.audit.head(0), len(made.tiles) // 2, 1)]
    shares = drawn.groupby(["label", "session"]).size()
    assert len(shares) == made.tiles.groupby(["label", "session"]).ngroups
    assert shares.max() - shares.min() <= 1


def test_a_class_in_many_small_sessions_keeps_its_share() -> None:
    hum = pd.DataFrame({"label": "hum", "session": [f"day{i % 30}" for i in range(12_000)]})
    horn = pd.DataFrame({"label": "horn", "session": [f"pass{i // 4}" for i in range(1_600)]})
    tiles = pd.concat([hum, horn], ignore_index=True).assign(start_s=0.0)
    tiles["clip"] = [f"clip{i}" for i in range(len(tiles))]
    none = pd.DataFrame(columns=["clip", "start_s"])
    drawn = tiles.iloc[choose(tiles, none, 1000, 1)]
    assert len(drawn) == 1000
    # Each of 400 sessions has a tile with a chance of 0.29: 118 are expected, give or take 9.
    assert (drawn["label"] == "horn").sum() == pytest.approx(1000 * 1_600 / 13_600, abs=30)
    assert drawn.loc[drawn["label"] == "horn", "session"].is_unique
    assert drawn.loc[drawn["label"] == "hum", "session"].value_counts().agg(np.ptp) <= 1
    rare = [(tiles.iloc[choose(tiles, none, 20, seed)]["label"] == "horn").sum() for seed in range(40)]
    assert np.mean(rare) == pytest.approx(20 * 1_600 / 13_600, abs=1)


@pytest.mark.slow
def test_many_findings_of_one_kind_hide_no_other(made: Made) -> None:
    kinds = ["label"] * 150 + ["node"] * 2 + ["far"] * 60
    audit = pd.DataFrame({"kind": kinds, "clip": [f"clip{i}" for i in range(len(kinds))]})
    shown = shown_findings(audit)
    assert len(shown) == MOST_FINDINGS == 100
    assert shown["kind"].value_counts().to_dict() == {"label": 49, "far": 49, "node": 2}
    assert shown["kind"].tolist()[:4] == ["label", "node", "far", "label"]
    for kind, part in shown.groupby("kind"):
        assert part["clip"].tolist() == audit.loc[audit["kind"] == kind, "clip"].head(len(part)).tolist()
    assert len(shown_findings(audit.head(0))) == 0
    listed = pd.concat([made.audit] * 120, ignore_index=True)
    microphone = made.audit.assign(kind="node", clip=made.points["clip"][0], start_s=made.points["start_s"][0])
    with made.replaced("audit", pd.concat([listed, microphone])):
        piece, _ = made.write()
    assert "<td>odd node</td>" in piece
    assert "100 of 121 findings" in piece


def test_only_tiles_that_every_space_holds_are_shown(made: Made, tmp_path: Path) -> None:
    half = made.tiles["start_s"] == 0.0
    few = write_space(tmp_path / "few.h5", made.embedding[half], made.tiles[half])
    shown = shown_spaces(made.runs, [*made.spaces[:-1], few], made.names)
    assert [space.words for space in shown] == ["λ = 0.01", "λ = 1", "untrained network", "mean log-mel"]
    assert len(common_tiles(shown)) == half.sum()
    other = write_space(tmp_path / "other.h5", made.embedding, made.tiles.assign(start_s=made.tiles["start_s"] + 0.5))
    with pytest.raises(InputError, match="share none"):
        common_tiles(shown_spaces(made.runs, [*made.spaces[:-1], other], made.names))


# --- maps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.3, 2.0, -2.8])
def test_a_turned_and_mirrored_map_is_turned_back(angle: float, mirrored: bool) -> None:
    reference = np.random.default_rng(0).normal(size=(50, 2)) * [3, 1]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = reference @ turn @ np.diag([1, -1 if mirrored else 1]) + [5, -2]
    assert align(turned, reference) == pytest.approx(reference - reference.mean(axis=0))


def test_aligning_keeps_every_distance() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 30, 2))
    aligned = align(x, y)
    for i, j in ((0, 1), (3, 20), (7, 29)):
        assert np.linalg.norm(aligned[i] - aligned[j]) == pytest.approx(np.linalg.norm(x[i] - x[j]))


def test_spaces_that_differ_by_a_rotation_have_the_same_map(made: Made, tmp_path: Path) -> None:
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    embedding, tiles = shown_spaces(made.runs, made.spaces, made.names)[0].read()
    base = write_space(tmp_path / "base.h5", embedding, tiles)
    turned = write_space(tmp_path / "t.h5", embedding @ turn.astype(np.float32), tiles)
    files = [*[base] * (len(made.names) - 1), turned]
    out = tmp_path / "coordinates.tsv", tmp_path / "neighbours.tsv"
    map_points(made.runs, made.folder / "points.tsv", files, made.names, SETTINGS, *out)
    table = read_table(out[0], ("run", "view"))
    maps = [part[["x", "y"]].to_numpy() for _, part in table.groupby("run", sort=False)]
    assert len(maps) == 4
    assert maps[-1] == pytest.approx(maps[0], abs=1e-3)
    assert np.abs(maps[0]).max() == pytest.approx(1, abs=1e-4)
    near = read_table(out[1], ("run",)).groupby("run")["neighbour"].apply(list)
    assert near["mean_logmel"] == near[made.names[0]]


def test_principal_components_of_a_known_cloud_and_of_one_point() -> None:
    x = np.zeros((40, 5))
    x[:, 3] = np.tile([-2.0, 2.0], 20)
    x[:, 1] = np.repeat([-1.0, 1.0], 20)
    coordinates, share = project(x + 7)
    assert share == pytest.approx([0.8, 0.2])
    assert np.abs(coordinates) == pytest.approx(np.tile([2.0, 1.0], (40, 1)))
    points = np.random.default_rng([3]).normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    values = np.sort(np.linalg.eigvalsh(np.cov(points.T)))[::-1]
    assert project(points)[0].var(axis=0, ddof=1) == pytest.approx(values[:2], rel=1e-4)
    assert project(points)[1] == pytest.approx(values[:2] / values.sum(), rel=1e-4)
    for point in (np.full((9, 5), 3.0), np.ones((3, 1))):
        flat, nothing = project(point)
        assert flat.shape == (len(point), 2)
        assert not np.any([*flat.ravel(), *nothing, *fit(flat).ravel()])


def test_neighbours_by_loops_and_none_of_the_same_moment() -> None:
    rng = np.random.default_rng(4)
    x, moment = rng.normal(size=(30, 4)), np.repeat(np.arange(10), 3)
    near, distance = neighbours_of(x, moment, 4)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for i in range(30):
        others = sorted((j for j in range(30) if moment[j] != moment[i]), key=lambda j: -unit[i] @ unit[j])[:4]
        assert near[i].tolist() == others
        assert distance[i] == pytest.approx([1 - unit[i] @ unit[j] for j in others])
    assert neighbours_of(np.ones((6, 3)), np.arange(6), 2)[0].shape == (6, 0)
    assert neighbours_of(x[:2], np.zeros(2, np.intp), 2)[0].shape == (2, 0)


@pytest.mark.slow
def test_umap_loads_no_tensorflow(repo: Path) -> None:
    code = "import sys; from lambdascape.viewer import projections; projections._umap_class(); "
    code += "print('tensorflow' in sys.modules)"
    environment = {"PYTHONPATH": str(repo / "workflow/lib"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "False\n", run.stderr


@pytest.mark.slow
def test_umap_keeps_clusters_apart_and_its_seed_decides_it() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(30, 8)) * 0.1 + centre for centre in 3 * np.eye(8)[:3]])
    start, _ = project(x)
    laid = manifold(x, start, 10, 1)
    centres = laid.reshape(3, 30, 2).mean(axis=1)
    within = np.linalg.norm(laid.reshape(3, 30, 2) - centres[:, None], axis=2).max()
    between = min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert between > within
    assert (manifold(x, start, 10, 1) == laid).all()
    assert not manifold(np.ones((9, 3)), np.zeros((9, 2)), 5, 1).any()


# --- predictions ----------------------------------------------------------------------------------------------------


@pytest.mark.finding("C5")
def test_the_probe_is_asked_for_held_out_points_only_and_is_mostly_right(made: Made) -> None:
    table = read_table(made.folder / "predictions.tsv", ("run", "predicted"))
    held_out = made.points[made.points["split"] == "held out"]
    for _, part in table.groupby("run"):
        assert sorted(part["point"]) == held_out["point"].tolist()
        assert (part.set_index("point")["predicted"] == held_out.set_index("point")["label"]).mean() > 0.8
    assert table["run"].nunique() == 4


# --- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_stand_at_their_places_low_bands_below_and_fit_their_budget() -> None:
    tile = np.zeros((98, 40), np.float32)
    tile[:, :10] = 1.0  # low bands
    tile[49:, 30:] = 1.0  # high bands, late
    small = thumbnails.shrink(tile)
    assert small.shape == (thumbnails.HEIGHT, thumbnails.WIDTH)
    assert small[-1].min() == 1
    assert small[0, -1] == 1
    assert small[0, 0] == 0
    many = np.zeros((thumbnails.COLUMNS + 2, thumbnails.HEIGHT, thumbnails.WIDTH), np.uint8)
    many[thumbnails.COLUMNS + 1] = 200
    image = thumbnails.sheet(many)
    assert image.shape == (2 * thumbnails.HEIGHT, thumbnails.COLUMNS * thumbnails.WIDTH)
    assert image[thumbnails.HEIGHT :, thumbnails.WIDTH : 2 * thumbnails.WIDTH].min() == 200
    assert image.sum() == 200 * thumbnails.HEIGHT * thumbnails.WIDTH
    assert np.asarray(Image.open(io.BytesIO(thumbnails.encode(image))).convert("L"))[-5, thumbnails.WIDTH + 9] > 190


@pytest.mark.slow
def test_the_budget_of_pictures_takes_quality_first_and_is_never_passed() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 400)).astype(np.uint8)
    fine, coarse = len(thumbnails.encode(noise)), len(thumbnails.encode(noise, 60_000))
    assert coarse <= 60_000 < fine
    worst = np.random.default_rng(0).integers(0, 256, (5000, thumbnails.HEIGHT, thumbnails.WIDTH)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(thumbnails.sheet(worst)).save(stream, "WEBP", quality=thumbnails.QUALITIES[-1], method=4)
    assert stream.tell() <= thumbnails.MOST_BYTES
    with pytest.raises(InputError, match="must fit into 10 bytes"):
        thumbnails.encode(noise, 10)


# --- sound ----------------------------------------------------------------------------------------------------------


def with_audio(made: Made, folder: Path) -> Path:
    """Audio of every clip: a tone of 440 Hz in the first second, of 2 kHz in the next."""
    rate = 22050
    time = np.arange(rate) / rate
    both = np.concatenate([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 2000 * time)]) / 2
    (folder / "audio").mkdir(parents=True)
    for clip in made.clips["clip"]:
        soundfile.write(folder / "audio" / f"{clip}.wav", np.column_stack([both, 0 * both]), rate)
    (folder / "ATTRIBUTION.txt").write_text("by Ann", encoding="utf-8")
    return folder


def encode(made: Made, out: Path, audio: str | None) -> pd.DataFrame:
    files = made.folder / "points.tsv", made.folder / "audit.tsv"
    sound.encode_sound(*files, audio, 1.0, out / "sound.tsv", out / "attribution.txt")
    return read_text_table(out / "sound.tsv")


def test_each_tile_plays_its_own_second(made: Made, tmp_path: Path) -> None:
    table = encode(made, tmp_path, str(with_audio(made, tmp_path / "set")))
    assert sorted(map(int, table["point"])) == made.points["point"].tolist()
    assert (tmp_path / "attribution.txt").read_text() == "by Ann"
    for point in (0, 1, 2, 3):
        mp3 = table.loc[table["point"] == str(point), "mp3"].item()
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(mp3)))
        assert rate == sound.RATE
        spectrum = np.abs(np.fft.rfft(samples))
        expected = 440 if made.points["start_s"][point] == 0 else 2000
        assert np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()] == pytest.approx(expected, abs=5)
        assert len(samples) / rate == pytest.approx(1, abs=0.15)


def test_one_channel_is_heard_where_each_is_a_clip_of_its_own(made: Made, tmp_path: Path) -> None:
    folder = with_audio(made, tmp_path / "set")
    file = folder / made.clips["path"][0]
    assert np.abs(sound.read_tile(file, 0, 1.0, 2)).max() < 1e-3
    first, mean = sound.read_tile(file, 0, 1.0, 1), sound.read_tile(file, 0, 1.0, None)
    assert np.abs(first).max() == pytest.approx(2 * np.abs(mean).max(), rel=0.01)


def test_what_may_not_be_passed_on_is_not_opened(made: Made, tmp_path: Path, monkeypatch: Any) -> None:
    def poison(*_: Any, **__: Any) -> None:
        raise AssertionError("audio was opened")

    monkeypatch.setattr(sound, "read_tile", poison)
    monkeypatch.setattr(soundfile, "SoundFile", poison)
    assert encode(made, tmp_path, None).empty
    assert (tmp_path / "attribution.txt").read_text() == ""
    with pytest.raises(AssertionError, match="audio was opened"):
        encode(made, tmp_path, str(tmp_path))


def test_sound_ends_at_its_budget_with_findings_first_and_a_share_for_each_class(made: Made, tmp_path: Path) -> None:
    folder = with_audio(made, tmp_path / "set")
    order = sound.in_order(made.points, made.audit)
    assert order["clip"].iloc[0] == made.audit["clip"].item()
    assert sorted(order["point"]) == made.points["point"].tolist()
    half = order["label"].iloc[1:19].value_counts()
    assert half.max() - half.min() <= 2
    rows = sound.encode_tiles(order, folder, 1.0, most=20_000)
    assert 0 < len(rows) < len(order)
    assert sum(len(text) for _, text in rows) <= 20_000
    assert [point for point, _ in rows] == order["point"].tolist()[: len(rows)]


def test_only_the_demo_and_data_sets_that_say_so_are_heard() -> None:
    def heard(**dataset: Any) -> str | None:
        config = copy.deepcopy(CONFIG)
        config["dataset"] |= dataset
        return study_of(config).heard()

    assert heard() == "results/datasets/demo/audio"
    own = {"adapter": "folder", "path": "mine", "name": "mine"}
    assert heard(**own) is None
    assert heard(**own, redistributable=True) == "mine"
    assert heard(adapter="dcase2018_task5", path="dcase") is None
    drained = {"adapter": "dcase2018_task5", "download": True, "path": None, "keep_audio": False}
    assert heard(**drained, redistributable=True) is None


# --- page -----------------------------------------------------------------------------------------------------------


def unpacked(text: str, dtype: str) -> npt.NDArray[Any]:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_what_the_page_knows_is_what_the_tables_say(made: Made) -> None:
    piece, _ = made.write()
    text = re.search(r'<script type="application/json" id="viewer-data">(.*?)</script>', piece, re.DOTALL)
    assert text
    data = json.loads(text[1])
    label = data["points"]["label"]
    assert [label["names"][code] for code in unpacked(label["codes"], "<u2")] == made.points["label"].tolist()
    assert data["points"]["start_s"] == made.points["start_s"].tolist()
    coordinates = read_table(made.folder / "coordinates.tsv", ("run", "view"))
    neighbours = read_table(made.folder / "neighbours.tsv", ("run",))
    predictions = read_table(made.folder / "predictions.tsv", ("run", "predicted"))
    assert [space["run"] for space in data["spaces"]] == coordinates["run"].unique().tolist()
    for space in data["spaces"]:
        at = coordinates[(coordinates["run"] == space["run"]) & (coordinates["view"] == "pca")]
        xy = unpacked(space["views"]["pca"]["xy"], "<i2").reshape(-1, 2) / STEPS
        assert xy == pytest.approx(at[["x", "y"]].to_numpy(), abs=1 / STEPS)
        near = unpacked(space["near"], "<u2").reshape(-1, space["k"])
        expected = neighbours[neighbours["run"] == space["run"]]
        assert near.ravel().tolist() == expected["neighbour"].tolist()
        codes = unpacked(space["predicted"], "<u2")
        said = predictions[predictions["run"] == space["run"]]
        assert [data["classes"][codes[point] - 1] for point in said["point"]] == said["predicted"].tolist()
        assert (codes > 0).sum() == len(said)
    media = re.search(r'id="viewer-media">(.*?)</script>', piece, re.DOTALL)
    assert media
    assert json.loads(media[1])["sound"] == {"0": "QUJD", "3": "REVG"}
    assert len(data["plots"]) == len(data["spaces"]) == len(data["words"])


def test_the_page_names_each_of_its_scripts_and_none_makes_code_from_text(made: Made) -> None:
    piece, page = made.write()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    allowed = html.unescape(policy[1])
    sources = script_sources(piece)
    assert len(sources) == 2
    assert all(source in allowed for source in sources)
    assert "unsafe-eval" not in allowed
    assert "script-src 'unsafe-inline'" not in allowed
    assert "CustomJS" not in re.search(r'id="viewer-data">(.*?)</script>', piece, re.DOTALL)[1]  # type: ignore[index]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    made = Made(tmp_path, label=HOSTILE)
    piece, _ = made.write(licence=HOSTILE, title=HOSTILE)
    script = (PARTS / "viewer.js").read_text()
    assert "<img" not in piece.replace(script, "")[: piece.index("bokeh")]
    assert HOSTILE not in piece
    assert len(re.findall(r"</script>", piece)) == 4
    assert json.loads(json_text({HOSTILE: [HOSTILE, "\u2028"]})) == {HOSTILE: [HOSTILE, "\u2028"]}
    assert "</" not in json_text(HOSTILE)


def test_findings_and_colours_are_those_that_there_are(made: Made) -> None:
    predictions = read_table(made.folder / "predictions.tsv", ("run", "predicted"))
    found = findings(made.audit, made.points)
    assert made.points["clip"][found[0]["point"]] == made.audit["clip"].item()
    assert list(colourings(made.points, predictions)) == ["label", "session", "node", "split", "correct"]
    one_node = made.points.assign(node="")
    assert list(colourings(one_node, predictions.head(0))) == ["label", "session", "split"]
    assert findings(made.audit.head(0), made.points) == []


def test_without_labels_there_are_sessions_to_colour_by_and_nothing_is_right_or_wrong(tmp_path: Path) -> None:
    made = Made(tmp_path, labelled=False)
    assert read_table(tmp_path / "predictions.tsv", ("run",)).empty
    write_table(made.audit.head(0), tmp_path / "audit.tsv")
    piece, _ = made.write()
    options = re.findall(r'<option value="(\w+)"', piece)
    assert options[0] == "session"
    assert not {"label", "correct"} & set(options)
    assert "Neighbour audit" not in piece


def test_the_page_says_how_much_sound_it_holds_and_why_not_more(made: Made) -> None:
    piece, _ = made.write()
    assert "2 of 40" in piece
    assert "2 of the tiles can be played here" in piece
    assert "Click a dot to hear it" in piece
    assert "reduced to one channel where it had several, resampled to 16 kHz and encoded as MP3." in piece
    with made.replaced("sound", pd.DataFrame(columns=["point", "mp3"])):
        silent, _ = made.write(redistributable=False, licence="no passing on")
    assert "no passing on" in silent
    assert "contains none" in silent
    assert "hear it" not in silent
    assert "Whose sound this is" not in silent


def test_the_page_says_from_how_many_tiles_its_own_are_drawn(made: Made) -> None:
    piece, _ = made.write(points=1234)
    assert f"40 of {len(made.tiles)} tiles, at most 1,234 (<code>viewer.points</code>)" in piece
    assert "Each λ is shown by the run of its first seed." in piece
    assert "2 s to the right, 50 to 8,000 Hz upwards" in piece
    assert "1 of 1 finding<" in piece
    with made.replaced("points", made.points.assign(of=len(made.points))):
        whole, _ = made.write()
    assert "shows the same 40 tiles, one dot on each map" in whole
    assert "at most" not in whole[: whole.index("viewer-bar")]


def test_numbers_are_packed_as_the_script_reads_them() -> None:
    assert unpacked(packed([1, 258, 65535], "<u2"), "<u2").tolist() == [1, 258, 65535]
    assert base64.b64decode(packed([258], "<u2")) == b"\x02\x01"
    with pytest.raises(InputError, match="at most 65535 points; got 70000"):
        page_data(pd.DataFrame({"point": range(70_000)}), *[pd.DataFrame()] * 3, Path(), pd.DataFrame())
