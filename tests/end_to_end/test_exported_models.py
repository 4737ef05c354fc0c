"""Trained networks outside their study: what Keras alone loads, audio through them, their cards, hostile files."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from lambdascape.cli.main import main
from lambdascape.config.settings import FeatureRecipe, Network, RunSettings
from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest
from lambdascape.exports.embedder import Embedder, load
from lambdascape.exports.model_card import write_card
from lambdascape.exports.saved_model import ABOUT, checked_tiles, export_model, export_onnx, read_about, standard
from lambdascape.features.logmel import log_mel
from lambdascape.features.store import open_features
from lambdascape.models.network import build_embedder, save_embedder
from support.networks import NETWORK, TRAINING
from support.stores import write_store
from support.studies import FakeStudy

pytestmark = pytest.mark.usefixtures("shallow_network")

RECIPE = {
    "sr": 8000, "n_fft": 512, "win_length": 240, "hop_length": 160, "n_mels": 16, "fmin": 50, "fmax": 4000, "htk": True,
    "filterbank": "librosa", "log_offset": 1e-6,
}  # fmt: skip
SETTINGS = {
    "triplets": {"tile_s": 0.5, "neighbourhood_s": 0.5, "distant": "other_clip"},
    "network": NETWORK | {"l2": 0.1},
    "training": TRAINING,
}
FRAMES, SEED = 24, 5
FACTS = {
    "study": "tiny", "run": "l2~0.1_seed~1", "test_fold": "fold1",
    "dataset": {"name": "tiny", "title": "Tiny", "licence": "CC BY 4.0", "channels": "mean",
                "citation": "Tiny, A. (2015). Sounds."},
}  # fmt: skip


def trained(network: dict[str, Any]) -> keras.Model:
    """An embedder whose every weight differs from its start, the moving averages too."""
    embedder = build_embedder(FRAMES, 16, Network.of(network), SEED)
    rng = np.random.default_rng(1)
    embedder.set_weights([w + 0.1 * rng.uniform(size=w.shape).astype(np.float32) for w in embedder.get_weights()])
    return embedder


def exported(folder: Path, channels: str = "mean", **network: Any) -> tuple[Path, keras.Model]:
    """An export, its features beside it, and the network that it was made from."""
    settings = SETTINGS | {"network": SETTINGS["network"] | network}
    embedder = trained(settings["network"])
    save_embedder(embedder, {"settings": settings, "seed": SEED}, folder / "embedder.weights.h5")
    frames = np.random.default_rng(3).normal(size=(90, 16)).astype(np.float16)
    write_store(folder / "features.h5", frames, [0, 30, 40, 90], ["a", "b", "c"], {"recipe": RECIPE})
    facts = FACTS | {"dataset": FACTS["dataset"] | {"channels": channels}}
    files = (folder / "embedder.weights.h5", folder / "features.h5")
    export_model(*files, RunSettings.of(settings), SEED, facts, folder / "embedder.keras")
    return folder / "embedder.keras", embedder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    from support.networks import shallow

    with shallow():
        return exported(tmp_path_factory.mktemp("exported"))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Two channels at the recipe's rate, 1.7 s: three tiles."""
    samples = np.random.default_rng(2).normal(scale=0.1, size=(13600, 2))
    soundfile.write(tmp_path / "sound.wav", samples, 8000, subtype="FLOAT")
    return tmp_path / "sound.wav"


LOAD = """\
import sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
assert "lambdascape" not in sys.modules
"""


@pytest.mark.parametrize("network", [{}, {"input": "mfcc"}, {"embedding_norm_penalty": 0.1, "l2_scope": "all"}])
def test_keras_alone_loads_the_network_of_the_run(tmp_path: Path, network: dict[str, Any]) -> None:
    path, embedder = exported(tmp_path, **network)
    tiles = np.random.default_rng(4).normal(size=(5, FRAMES, 16, 1)).astype(np.float32)
    np.save(tmp_path / "tiles.npy", tiles)
    run = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, *map(str, (path, tmp_path / "tiles.npy", tmp_path / "found.npy"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, embedder.predict_on_batch(tiles), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_the_network_out_of_standard_layers_gives_the_same_numbers_in_full_depth() -> None:
    embedder = trained(NETWORK | {"architecture": "resnet50"})
    copy = standard(embedder)
    tiles = np.random.default_rng(4).normal(size=(5, FRAMES, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(copy.predict_on_batch(tiles), embedder.predict_on_batch(tiles), atol=1e-6)
    assert {type(layer).__module__.split(".")[0] for layer in copy.layers} == {"keras"}


def test_an_export_tells_its_recipe_and_where_it_comes_from(made: Any) -> None:
    about = read_about(made[0])
    assert (about["recipe"], about["settings"], about["seed"]) == (RECIPE, SETTINGS, SEED)
    assert {key: about[key] for key in FACTS} == FACTS
    assert about["weights_sha256"] == file_digest(made[0].parent / "embedder.weights.h5")
    assert about["versions"]["keras"] == keras.__version__


def test_an_export_that_gives_other_numbers_is_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(embedder: keras.Model) -> keras.Model:
        copy = standard(embedder)
        copy.set_weights([1.01 * weight for weight in copy.get_weights()])
        return copy

    monkeypatch.setattr("lambdascape.exports.saved_model.standard", wrong)
    with pytest.raises(InputError, match="must give the run's own embeddings within 1e-05; they differ by"):
        exported(tmp_path)
    assert not (tmp_path / "embedder.keras").exists()


def test_audio_is_embedded_by_the_steps_of_the_study(made: Any, sound: Path) -> None:
    samples, _ = soundfile.read(sound, dtype="float32")
    start_s, embedding = load(made[0]).embed(sound)
    assert start_s.tolist() == [0.0, 0.5, 1.0]
    pieces = [samples.mean(axis=1)[round(8000 * at) : round(8000 * at) + 4000] for at in start_s]
    tiles = [log_mel(piece, FeatureRecipe.of(RECIPE)).astype(np.float16) for piece in pieces]
    expected = made[1].predict_on_batch(np.array(tiles, np.float32)[..., None])
    np.testing.assert_allclose(embedding, expected, atol=1e-5)
    often, found = load(made[0].parent).embed(sound, hop_s=0.1)
    assert often.tolist() == pytest.approx(np.arange(13) / 10)
    np.testing.assert_allclose(found[::5], expected[: len(found[::5])], atol=1e-5)


def test_the_channels_are_those_that_the_study_heard(tmp_path: Path, sound: Path) -> None:
    assert Embedder({"dataset": {"channels": "mean"}}, None).channels_of(sound) == [None]
    assert Embedder({"dataset": {"channels": "first"}}, None).channels_of(sound) == [1]
    each = Embedder({"dataset": {"channels": "each"}}, None)
    assert each.channels_of(sound) == [1, 2]
    with pytest.raises(InputError, match="must be audio"):
        each.channels_of(tmp_path)


def test_a_file_at_another_rate_is_resampled(made: Any, sound: Path, tmp_path: Path) -> None:
    time = np.arange(2 * 24000) / 24000
    wave = 0.3 * np.sin(2 * np.pi * 500 * time) + 0.01 * np.random.default_rng(0).normal(size=len(time))
    soundfile.write(tmp_path / "fast.wav", wave, 24000, subtype="FLOAT")
    start_s, embedding = load(made[0]).embed(tmp_path / "fast.wav")
    assert len(start_s) == len(embedding) == 4


def embed(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    code = main(["embed", *map(str, words), "--device", "cpu"])
    return code, *capsys.readouterr()


def test_the_command_prints_a_table_and_writes_every_format(
    made: Any, sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_s, expected = load(made[0]).embed(sound, channel=2)
    code, printed, _ = embed(capsys, made[0], sound, "--channel", 2)
    assert code == 0
    tables = [pd.read_csv(io.StringIO(printed), sep="\t")]
    for name in ("out.tsv", "out.csv", "out.parquet", "out.npy"):
        assert embed(capsys, made[0], sound, "--channel", 2, "--output", tmp_path / name) == (0, "", "")
    tables += [pd.read_csv(tmp_path / "out.tsv", sep="\t"), pd.read_csv(tmp_path / "out.csv")]
    tables += [pd.read_parquet(tmp_path / "out.parquet")]
    for table in tables:
        assert list(table.columns) == ["file", "channel", "start_s", "e0", "e1", "e2", "e3"]
        assert set(table["file"]) == {str(sound)}
        assert set(table["channel"].astype(int)) == {2}
        assert table["start_s"].tolist() == start_s.tolist()
        np.testing.assert_allclose(table[["e0", "e1", "e2", "e3"]], expected, atol=1e-6)
    stored = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(stored, expected)
    assert stored.dtype == np.float32


def test_files_that_cannot_be_used_are_named_and_the_others_embedded(
    made: Any, sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short, text = tmp_path / "short.wav", tmp_path / "text.wav"
    soundfile.write(short, np.zeros(3000), 8000)
    text.write_text("no audio")
    files = (short, text, tmp_path / "absent.wav", sound)
    code, printed, errors = embed(capsys, made[0], *files)
    assert (code, printed.count("\n")) == (1, 1 + 3)
    assert "must be as long as a tile of 0.5 s; it has about 0.36 s" in errors
    assert [line.split(": ")[1] for line in errors.splitlines() if line.startswith("error: ")] == [
        str(file) for file in files[:-1]
    ]
    code, printed, errors = embed(capsys, made[0], short)
    assert (code, printed) == (1, "")
    assert errors.splitlines()[1:] == ["error: no file could be embedded"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hop", "0.013"), "the hop must be a whole number of hops of 20 ms; got 0.013 s"),
        (("--hop", "0"), "the hop must be a whole number of hops of 20 ms; got 0 s"),
        (("--channel", "3"), "must have the channel 3; it has 2"),
        (("--output", "out.xlsx"), "--output: must end in .tsv, .csv, .parquet, .npy; got out.xlsx"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    made: Any, sound: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, errors = embed(capsys, made[0], sound, *words)
    assert (code, printed) == (1, "")
    assert message in errors


def repacked(source: Path, target: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Path:
    """A copy of an export with other members."""
    with zipfile.ZipFile(source) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(target, "w") as packed:
        for name, content in change(members).items():
            packed.writestr(name, content)
    return target


def told(members: dict[str, bytes], block: str, **changes: Any) -> dict[str, bytes]:
    about = json.loads(members[ABOUT])
    inner = about["settings"]["network"] if block == "network" else about[block]
    inner.update(changes)
    return members | {ABOUT: json.dumps(about).encode()}


def with_weights(members: dict[str, bytes], change: Callable[[h5py.File], None]) -> dict[str, bytes]:
    stream = io.BytesIO(members["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        change(file)
    return members | {"model.weights.h5": stream.getvalue()}


def _external(file: h5py.File) -> None:
    shape = file["layers/dense/vars/1"].shape
    del file["layers/dense/vars/1"]
    file["layers/dense/vars"].create_dataset("1", shape, "f4", external=[("secret.bin", 0, 64)])


def _other(file: h5py.File) -> None:
    kernel = file["layers/conv2d/vars/0"]
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = np.zeros((*kernel.shape[:-1], 5), np.float32)


HOSTILE: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "no recipe": lambda m: {name: content for name, content in m.items() if name != ABOUT},
    "no weights": lambda m: {name: content for name, content in m.items() if name != "model.weights.h5"},
    "recipe that is no JSON": lambda m: m | {ABOUT: b"{"},
    "recipe that is a list": lambda m: m | {ABOUT: b"[]"},
    "endless recipe": lambda m: m | {ABOUT: b" " * 2_000_000},
    "another format": lambda m: m | {ABOUT: m[ABOUT].replace(b'"format": 2', b'"format": 1')},
    "unknown architecture": lambda m: told(m, "network", architecture="resnet1000"),
    "width of a thousand million": lambda m: told(m, "network", width=10**9),
    "width that is text": lambda m: told(m, "network", width="2"),
    "absurd dimension": lambda m: told(m, "network", embedding_dim=10**12),
    "absurd FFT": lambda m: told(m, "recipe", n_fft=10**12),
    "no rate": lambda m: told(m, "recipe", sr=0),
    "unknown channels": lambda m: told(m, "dataset", channels="all"),
    "weights elsewhere": lambda m: with_weights(m, _external),
    "weights of another shape": lambda m: with_weights(m, _other),
    "a layer without weights": lambda m: with_weights(m, lambda file: file.__delitem__("layers/dense")),
    "weights that are none": lambda m: m | {"model.weights.h5": b"no HDF5"},
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_exports_are_refused(made: Any, tmp_path: Path, attack: str) -> None:
    """W1 of the faults, for the files that are handed on."""
    path = repacked(made[0], tmp_path / "embedder.keras", HOSTILE[attack])
    with pytest.raises(InputError, match=r"embedder\.keras: ") as caught:
        load(path)
    assert len(str(caught.value)) < 1000


def test_weights_that_unpack_to_much_more_than_they_are_stay_packed(tmp_path: Path, made: Any) -> None:
    path = tmp_path / "embedder.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(ABOUT, json.dumps(read_about(made[0])))
        packed.writestr("model.weights.h5", b"\0" * 40_000_000)
    with pytest.raises(InputError, match="its weights would unpack to 40,000,000 bytes"):
        load(path)


def test_nothing_in_a_file_is_executed(made: Any, tmp_path: Path) -> None:
    """Keras may write functions into a file; the network here never follows from the file's own description."""
    canary = tmp_path / "canary"
    target = str(canary)
    layer = keras.layers.Lambda(lambda x: (Path(target).touch(), x)[1])
    keras.Sequential([keras.Input((2,)), layer]).save(tmp_path / "evil.keras")
    canary.unlink(missing_ok=True)
    with pytest.raises(InputError, match=f"it lacks {ABOUT}"):
        load(tmp_path / "evil.keras")
    with zipfile.ZipFile(tmp_path / "evil.keras") as packed:
        evil = packed.read("config.json")
    path = repacked(made[0], tmp_path / "embedder.keras", lambda members: members | {"config.json": evil})
    load(path)
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["absent", "text", "empty folder", "trained run"])
def test_what_is_no_export_is_refused_with_what_to_do(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model"
    if kind == "text":
        path.write_text("no zip file")
    elif kind != "absent":
        path.mkdir()
    if kind == "trained run":
        (path / "embedder.weights.h5").touch()
    message = {
        "absent": "must be an exported embedder", "text": "must be an embedder that this workflow exported",
        "empty folder": r"must hold embedder\.keras$", "trained run": "make run TARGET=exports",
    }[kind]  # fmt: skip
    with pytest.raises(InputError, match=message):
        load(path)


def test_a_store_without_a_tile_exports_nothing(tmp_path: Path) -> None:
    write_store(tmp_path / "features.h5", np.zeros((4, 16), np.float16), [0, 4], ["a"], {"recipe": RECIPE})
    with pytest.raises(InputError, match="a clip must hold a tile of 24 frames; none does"):
        checked_tiles(open_features(tmp_path / "features.h5"), FRAMES)


def test_onnx_computes_what_keras_does_or_is_not_written(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = pytest.importorskip("onnxruntime")
    path, embedder = made
    export_onnx(path, path.parent / "features.h5", tmp_path / "embedder.onnx")
    session = ort.InferenceSession(str(tmp_path / "embedder.onnx"), providers=["CPUExecutionProvider"])
    tiles = np.random.default_rng(4).normal(size=(7, FRAMES, 16, 1)).astype(np.float32)
    (found,) = session.run(None, {session.get_inputs()[0].name: tiles})
    np.testing.assert_allclose(found, embedder.predict_on_batch(tiles), atol=1e-4)
    monkeypatch.setattr("lambdascape.exports.saved_model.TOLERANCE_ONNX", -1.0)
    with pytest.raises(InputError, match="must give the run's own embeddings"):
        export_onnx(path, path.parent / "features.h5", tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_onnx_without_its_packages_says_how_to_get_them(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdascape.exports.saved_model._is_installed", lambda name: name != "tf2onnx")
    with pytest.raises(InputError, match=r"tf2onnx missing\. `make env EXTRA=onnx` adds them"):
        export_onnx(made[0], made[0].parent / "features.h5", tmp_path / "embedder.onnx")


def card(repo: Path, study: FakeStudy, model: Path, folder: Path, **changes: Any) -> str:
    given: dict[str, Any] = {
        "template": repo / "workflow/report/card.md.j2", "model": model, "onnx": [], "tables": study.tables,
        "synthetic": False, "confidence": 0.95, "checkout": repo,
    }  # fmt: skip
    write_card(folder / "README.md", **given | changes)
    return (folder / "README.md").read_text()


def test_the_card_tells_data_settings_scores_limits_and_digests(repo: Path, made: Any, tmp_path: Path) -> None:
    study = FakeStudy(tmp_path / "study")
    text = card(repo, study, made[0], tmp_path)
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["license_name"], head["datasets"], head["library_name"]) == ("CC BY 4.0", ["Tiny"], "keras")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    scores = study.frame("scores")
    wanted = scores[
        (scores["run"] == "l2~0.1_seed~1") & (scores["probe"] == "converged") & (scores["split"] == "test")
        & (scores["measure"] == "macro_f1") & (scores["class"] == "") & (scores["unit"] == "clip")
    ].iloc[0]  # fmt: skip
    interval = f"{wanted['low']:.3f} to {wanted['high']:.3f}"
    assert ["test", "clip", "macro-F1", f"{wanted['value']:.3f}", interval] in rows
    assert ["SHA-256 of `embedder.keras`", f"`{file_digest(made[0])}`"] in rows
    assert ["L2 regularisation factor λ", "0.1"] in rows
    assert ["licence", "CC BY 4.0"] in rows
    for words in ("must not be used", "one of 2 networks that differ in the seed alone", "How to cite", "Verdict: **",
                  "untrained network 0.200", "sr 8000", "and the data: Tiny, A. (2015). Sounds. The"):  # fmt: skip
        assert words in text, words
    assert "synthetic" not in text
    assert "embedder.onnx" not in text
    assert "<script>" not in text


def test_the_card_of_synthetic_unlabelled_data_says_so(repo: Path, made: Any, tmp_path: Path) -> None:
    study = FakeStudy(tmp_path / "study", labelled=False)
    text = card(repo, study, made[0], tmp_path, synthetic=True, onnx=[made[0].parent / "features.h5"])
    assert "The training data are synthetic." in text
    assert "The data have no labels, so nothing was scored." in text
    assert "compared with Keras within 0.0001" in text


def test_the_card_of_a_run_of_another_study_is_refused(repo: Path, made: Any, tmp_path: Path) -> None:
    study = FakeStudy(tmp_path / "study", points=({"l2": 3.0},))
    with pytest.raises(InputError, match="must list the run of"):
        card(repo, study, made[0], tmp_path)
