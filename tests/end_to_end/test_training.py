"""Training: λ really shrinks the weights, the terms are logged apart, passes have their own statistics, all repeats."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from lambdascape import store
from lambdascape.errors import InputError
from lambdascape.files import read_table, write_table
from lambdascape.network import build_embedder, load_embedder
from lambdascape.training import PARTS, TripletModel, make_optimiser, train
from networks import shallow
from stores import write_store

pytestmark = pytest.mark.usefixtures("shallow_network")

RECIPE = {"sr": 1000, "win_length": 20, "hop_length": 10, "n_mels": 16}
SETTINGS: dict[str, Any] = {
    "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
    "network": {
        "input": "logmel", "n_mfcc": 13, "width": 2, "conv_biases": True, "dropout": 0.5, "embedding_dim": 4, "l2": 0.0,
    },
    "training": {
        "epochs": 2, "batch_size": 16, "margin": 1.0, "reduction": "nonzero", "passes": "separate",
        "learning_rate": 0.003, "lr_decay_steps": 100, "lr_decay_rate": 1.0,
    },
}  # fmt: skip


def changed(**values: Any) -> dict[str, Any]:
    return {block: {key: values.get(key, old) for key, old in keys.items()} for block, keys in SETTINGS.items()}


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve clips of 119 frames in six sessions and two folds."""
    folder = tmp_path_factory.mktemp("audio")
    names = [f"clip{i}" for i in range(12)]
    rng = np.random.default_rng(3)
    tone = np.repeat(rng.normal(size=(12, 1, 16)), 119, axis=1)
    frames = (tone + rng.normal(size=(12, 119, 16))).reshape(-1, 16)
    write_store(folder / "features.h5", frames, np.arange(13) * 119, names, {"recipe": RECIPE})
    table = pd.DataFrame({"clip": names, "session": [f"s{i // 2}" for i in range(12)], "fold": ["a"] * 8 + ["b"] * 4})
    write_table(table, folder / "clips.tsv")
    return folder / "features.h5", folder / "clips.tsv"


def trained(audio: tuple[Path, Path], folder: Path, settings: dict[str, Any], seed: int = 1) -> None:
    products = (folder / name for name in ("embedder.weights.h5", "history.tsv", "checkpoint.h5"))
    train(*audio, "b", settings, seed, *products, code="code")


@pytest.fixture(scope="module")
def run(audio: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run by SETTINGS, without a penalty, and seed 1."""
    folder = tmp_path_factory.mktemp("run")
    with shallow():
        trained(audio, folder, SETTINGS)
    return folder


def weights_of(folder: Path, settings: dict[str, Any], seed: int = 1) -> list[np.ndarray]:
    embedder = build_embedder(39, 16, settings["network"], seed)
    load_embedder(embedder, {"settings": settings, "seed": seed}, folder / "embedder.weights.h5")
    return [w for layer in embedder.layers if isinstance(layer, keras.layers.Conv2D) for w in layer.get_weights()]


def test_l2_shrinks_the_weights_and_the_terms_add_up(run: Path, audio: tuple[Path, Path], tmp_path: Path) -> None:
    trained(audio, tmp_path, changed(l2=10.0))
    norms = []
    for l2, folder in ((0.0, run), (10.0, tmp_path)):
        history = read_table(folder / "history.tsv", text=("split",))
        weights = weights_of(folder, changed(l2=l2))
        squares = sum(float(np.sum(np.square(w.astype(np.float64)))) for w in weights)
        norms.append(squares)
        held_out = history[history["split"] == "test"].iloc[-1]
        assert held_out["penalty"] == pytest.approx(l2 * squares, rel=1e-4)
        np.testing.assert_allclose(history["total"], history["triplet_loss"] + history["penalty"], rtol=1e-5)
    assert norms[0] > norms[1]


def test_history_has_one_row_per_epoch_and_split_with_means_that_fit_together(run: Path) -> None:
    history = read_table(run / "history.tsv", text=("split",))
    assert list(zip(history["epoch"], history["split"], strict=True)) == [
        (1, "train"), (1, "test"), (2, "train"), (2, "test"),
    ]  # fmt: skip
    np.testing.assert_allclose(
        history["triplet_loss_nonzero"] * history["active_fraction"], history["triplet_loss_all"], rtol=1e-4
    )
    assert (history["d_neighbour"].between(0, 4) & history["d_distant"].between(0, 4)).all()


def test_the_same_seed_gives_the_same_weights_to_the_bit(run: Path, audio: tuple[Path, Path], tmp_path: Path) -> None:
    trained(audio, tmp_path / "again", SETTINGS)
    trained(audio, tmp_path / "other", SETTINGS, seed=2)
    first, again = weights_of(run, SETTINGS), weights_of(tmp_path / "again", SETTINGS)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = weights_of(tmp_path / "other", SETTINGS, 2)
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def histories(folder: Path) -> pd.DataFrame:
    return read_table(folder / "history.tsv", text=("split",)).drop(columns="seconds")


def test_more_epochs_go_on_from_the_last_one_and_end_where_one_run_does(
    run: Path, audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(audio, tmp_path, changed(epochs=1))
    assert "going on" not in capsys.readouterr().out
    trained(audio, tmp_path, SETTINGS)
    assert "going on after epoch 1" in capsys.readouterr().out
    pd.testing.assert_frame_equal(histories(tmp_path), histories(run), check_exact=True)
    pairs = zip(weights_of(tmp_path, SETTINGS), weights_of(run, SETTINGS), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_checkpoint_of_another_l2_is_not_used(
    run: Path, audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(audio, tmp_path, changed(l2=10.0, epochs=1))
    trained(audio, tmp_path, SETTINGS)
    assert "must be of the same settings, data and code" in capsys.readouterr().out
    pd.testing.assert_frame_equal(histories(tmp_path), histories(run), check_exact=True)


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_batch_statistics_follow_from_the_passes(passes: str) -> None:
    """With two roles alike and one far off, the stem's moving mean tells which tiles were normalised together."""
    embedder = build_embedder(39, 16, SETTINGS["network"] | {"dropout": 0.0}, 1, PARTS[passes])
    stem = keras.Model(embedder.input, embedder.get_layer("stem_conv").output)
    tiles = np.random.default_rng(4).normal(size=(8, 3, 39, 16)).astype(np.float32) * [[[[1]], [[1]], [[9]]]]
    model = TripletModel(embedder, 1.0, "nonzero")
    outputs = np.asarray(model(tiles.astype(np.float32), training=True))
    maps = np.stack([np.asarray(stem(tiles[:, role, ..., None])) for role in range(3)])  # (role, triplet, ...)
    mean, variance = np.zeros(2), np.ones(2)
    groups = maps.reshape(3, -1, 2) if passes == "separate" else maps.reshape(1, -1, 2)
    for group in groups:
        mean = 0.99 * mean + 0.01 * group.mean(axis=0)
        variance = 0.99 * variance + 0.01 * group.var(axis=0)
    norm = embedder.get_layer("stem_norm")
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)
    assert outputs.shape == (8, 3, 4)


def test_the_published_decay_goes_down_in_stairs() -> None:
    optimiser = make_optimiser({"learning_rate": 1e-5, "lr_decay_steps": 7500, "lr_decay_rate": 0.95})
    rates = []
    for step in (0, 7499, 7500, 15000):
        optimiser.iterations.assign(step)
        rates.append(float(optimiser.learning_rate))
    np.testing.assert_allclose(rates, [1e-5, 1e-5, 0.95e-5, 0.95**2 * 1e-5], rtol=1e-5)


def test_a_loss_that_is_not_finite_names_epoch_and_batch(audio: tuple[Path, Path], tmp_path: Path) -> None:
    broken, good = tmp_path / "features.h5", store.open_features(audio[0])
    write_store(broken, np.full(good.frames.shape, np.inf), good.clip_start, good.clips, good.about)
    with pytest.raises(InputError, match="it became nan in epoch 1, train batch 1"):
        trained((broken, audio[1]), tmp_path, SETTINGS)
    assert not (tmp_path / "embedder.weights.h5").exists()


def test_an_unknown_test_fold_is_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split.test_fold must be one of .* \(a, b\); got 'fold1'"):
        train(*audio, "fold1", SETTINGS, 1, *(tmp_path / name for name in "abc"), code="code")


def test_a_manifest_of_other_clips_is_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "clips.tsv"
    other.write_text(audio[1].read_text().replace("clip3", "clip99"))
    with pytest.raises(InputError, match="must list the clips of the feature store in its order"):
        trained((audio[0], other), tmp_path, SETTINGS)
