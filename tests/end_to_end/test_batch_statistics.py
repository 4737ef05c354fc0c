"""A space is measured as the network that was trained: batch normalisation in inference fits the weights at hand."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import RunSettings
from lambdascape.core import hdf5
from lambdascape.core.tsv import read_table
from lambdascape.embeddings import space_file
from lambdascape.embeddings.recomputed import embed_recomputed, embed_untrained
from lambdascape.embeddings.trained import embed_trained
from lambdascape.exports.saved_model import export_model
from lambdascape.features import store
from lambdascape.models import batch_statistics, training
from lambdascape.models.batch_statistics import (
    BatchMoments,
    normalisations,
    recompute_statistics,
    spread_batches,
    variance_ratios,
)
from lambdascape.models.batches import Batches, TileSource
from lambdascape.models.layer_diagnostics import groups_of
from lambdascape.models.network import build_embedder, load_embedder
from lambdascape.models.run_triplets import fixed_triplets, split_tiles
from lambdascape.models.training import TEXT_COLUMNS, train
from support.networks import NETWORK, TRAINING, shallow
from support.stores import write_clips

pytestmark = [pytest.mark.usefixtures("shallow_network"), pytest.mark.finding("A1")]

# With this λ and learning rate the weights lose most of their length while the moving averages remember 33 steps.
RUN: dict[str, Any] = {
    "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
    "network": NETWORK | {"l2": 1.0, "dropout": 0.0},
    "training": TRAINING | {"epochs": 12, "batch_size": 4, "learning_rate": 0.003},
}
SETTINGS = RunSettings.of(RUN)
MOVING = RunSettings.of(RUN | {"training": RUN["training"] | {"batch_statistics": "moving"}})
FOLD = "b"
PRODUCTS = ("embedder.weights.h5", "history.tsv", "layers.tsv", "checkpoint.h5")


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_clips(tmp_path_factory.mktemp("audio"), 16, held_out=6)


def trained(audio: tuple[Path, Path], folder: Path, settings: RunSettings) -> Path:
    with shallow():
        train(*audio, FOLD, settings, 1, *(folder / name for name in PRODUCTS), code="code")
    return folder


@pytest.fixture(scope="module")
def recomputed(audio: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(audio, tmp_path_factory.mktemp("recomputed"), SETTINGS)


@pytest.fixture(scope="module")
def moving(audio: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(audio, tmp_path_factory.mktemp("moving"), MOVING)


def embedder_of(folder: Path, settings: RunSettings) -> keras.Model:
    embedder = build_embedder(39, 16, settings.network, 1, 3)
    load_embedder(embedder, {"settings": settings.plain(), "seed": 1}, folder / PRODUCTS[0])
    return embedder


def history_of(folder: Path) -> pd.DataFrame:
    return read_table(folder / "history.tsv", text=TEXT_COLUMNS)


def last_of(folder: Path) -> pd.DataFrame:
    history = history_of(folder)
    return history[history["epoch"] == history["epoch"].max()].set_index("split")


def all_tiles(audio: tuple[Path, Path], split: str) -> np.ndarray:
    features = store.open_features(audio[0])
    tiles = split_tiles(features, audio[1], FOLD, 0.4)[split]
    return features.tiles(tiles.offset[tiles.clip] + tiles.start, tiles.frames)[..., None].astype(np.float32)


def plain_ratios(embedder: keras.Model, inputs: np.ndarray) -> list[float]:
    """Stored over true variance of each layer, median over channels, by one pass over all tiles in training mode."""
    norms = normalisations(embedder)
    stored = [norm.moving_variance.numpy() for norm in norms]
    seen = keras.Model(embedder.input, [norm.input for norm in norms])
    values = seen(np.concatenate([inputs] * 3), training=True)  # three equal parts
    return [float(np.median(a / np.asarray(b).var(axis=(0, 1, 2)))) for a, b in zip(stored, values, strict=True)]


def test_the_saved_statistics_are_those_of_the_saved_weights(audio: tuple[Path, Path], recomputed: Path) -> None:
    ratios = plain_ratios(embedder_of(recomputed, SETTINGS), all_tiles(audio, "train"))
    assert max(ratios) < 1.2
    assert min(ratios) > 1 / 1.2


def test_moving_averages_trail_behind_weights_that_shrink_and_are_flagged(
    audio: tuple[Path, Path], moving: Path, recomputed: Path
) -> None:
    """The published behaviour; the layers' table says so for both kinds of statistics."""
    assert max(plain_ratios(embedder_of(moving, MOVING), all_tiles(audio, "train"))) > 1.5
    for folder, stale in ((moving, 1), (recomputed, 0)):
        layers = read_table(folder / "layers.tsv", text=("group",))
        last = layers[layers["epoch"] == 12].set_index("group").drop(index="head")
        assert (last["moving_over_true_variance"] > 1.2).any()
        assert last_of(folder).loc["test", "stale_statistics"] == stale
        assert (
            (last["stored_over_true_variance"] > 1.2) | (last["stored_over_true_variance"] < 1 / 1.2)
        ).any() == stale


def test_the_last_epoch_is_measured_with_the_network_that_is_saved(
    audio: tuple[Path, Path], recomputed: Path, moving: Path
) -> None:
    """By hand: embed the fixed triplets with what was saved, and take the mean hinge over all of them."""
    features = store.open_features(audio[0])
    fixed = fixed_triplets(features, split_tiles(features, audio[1], FOLD, 0.4), SETTINGS.triplets)
    for folder, settings in ((recomputed, SETTINGS), (moving, MOVING)):
        embedder, last = embedder_of(folder, settings), last_of(folder)
        for split, starts in fixed.items():
            anchor, neighbour, distant = (
                np.asarray(embedder(features.tiles(role, 39)[..., None].astype(np.float32), training=False))
                for role in starts.T
            )
            near, far = ((anchor - other) ** 2 for other in (neighbour, distant))
            hinge = np.maximum(0, near.sum(axis=1) - far.sum(axis=1) + 1)
            assert last.loc[split, "loss_all"] == pytest.approx(hinge.mean(), abs=1e-5)


def test_both_kinds_of_statistics_are_shown_where_the_moving_averages_are_kept(
    audio: tuple[Path, Path], recomputed: Path, moving: Path, tmp_path: Path
) -> None:
    """The weights are the same to the bit, so that the second rows and the second space are those of the other run."""
    assert set(history_of(recomputed)["split"]) == {"train", "train_inference", "test"}
    ours, theirs = last_of(recomputed), last_of(moving)
    for split in ("train_inference", "test"):
        assert theirs.loc[f"{split}_recomputed", "loss_all"] == pytest.approx(ours.loc[split, "loss_all"], abs=1e-6)
    assert abs(theirs.loc["test", "loss_all"] - ours.loc["test", "loss_all"]) > 0.01
    embed_trained(*audio, recomputed / PRODUCTS[0], SETTINGS, 1, tmp_path / "ours.h5")
    embed_recomputed(*audio, FOLD, moving / PRODUCTS[0], MOVING, 1, tmp_path / "theirs.h5")
    found = [space_file.read_embeddings(tmp_path / name) for name in ("ours.h5", "theirs.h5")]
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    assert [about["kind"] for _, _, about in found] == ["trained", "recomputed"]


def test_an_export_normalises_as_the_saved_network_does(
    audio: tuple[Path, Path], recomputed: Path, tmp_path: Path
) -> None:
    """And so `embed` and ONNX, which are made of the export; its statistics are not the training's moving averages."""
    facts = {"study": "s", "run": "r", "test_fold": FOLD, "dataset": {"name": "d", "channels": "mean"}}
    export_model(recomputed / PRODUCTS[0], audio[0], SETTINGS, 1, facts, tmp_path / "embedder.keras")
    network = keras.saving.load_model(tmp_path / "embedder.keras", compile=False)
    inputs = all_tiles(audio, "test")
    saved = embedder_of(recomputed, SETTINGS)
    np.testing.assert_allclose(network.predict(inputs, verbose=0), saved(inputs, training=False), atol=1e-5)
    with hdf5.open_checked(recomputed / "checkpoint.h5", "checkpoint") as file:
        kept = [array[()] for array in file.values()]
    for layer in normalisations(saved):
        variance = network.get_layer(layer.name).moving_variance.numpy()
        np.testing.assert_array_equal(variance, layer.moving_variance.numpy())
        assert not any(array.shape == variance.shape and np.array_equal(array, variance) for array in kept)


def test_weights_shortened_by_hand_leave_inference_as_in_training_mode(audio: tuple[Path, Path]) -> None:
    """A known truth: before a normalisation the length of the weights does not count."""
    settings = RunSettings.of(RUN | {"training": RUN["training"] | {"passes": "joint"}})
    embedder, inputs = build_embedder(39, 16, SETTINGS.network, 1, 1), all_tiles(audio, "train")
    features = store.open_features(audio[0])
    outputs = []
    for share in (1.0, 0.3):
        for layer in embedder.layers:
            if isinstance(layer, keras.layers.Conv2D):
                layer.set_weights([share * weights for weights in layer.get_weights()])
        recompute_statistics(embedder, features, audio[1], FOLD, settings)
        outputs.append(np.asarray(embedder(inputs, training=False)))
    held_still = [variable.numpy().copy() for variable in embedder.non_trainable_variables]
    in_training = np.asarray(embedder(inputs, training=True))
    for variable, value in zip(embedder.non_trainable_variables, held_still, strict=True):
        variable.assign(value)
    cosine = [(a * b).sum(axis=1).min() for a, b in ((outputs[1], outputs[0]), (outputs[1], in_training))]
    assert cosine[0] > 0.99  # but for ε
    assert cosine[1] > 0.9  # a batch of training mode is one of several over which the moments are pooled


def test_an_untrained_network_normalises(audio: tuple[Path, Path], tmp_path: Path) -> None:
    """As it is in training mode, and not with the mean 0 and the variance 1 that its layers start from."""
    embed_untrained(*audio, FOLD, SETTINGS, 1, tmp_path / "space.h5")
    found, tiles, _ = space_file.read_embeddings(tmp_path / "space.h5")
    embedder = build_embedder(39, 16, SETTINGS.network, 1, 1)
    inputs = all_tiles(audio, "train")
    mean = np.asarray(embedder(inputs, training=True)).mean(axis=0)
    space = found[(tiles["fold"] != FOLD).to_numpy()]
    assert mean @ space.mean(axis=0) / np.linalg.norm(mean) / np.linalg.norm(space.mean(axis=0)) > 0.95


def test_moments_are_pooled_over_batches_and_parts_as_over_all_tiles_at_once(audio: tuple[Path, Path]) -> None:
    """At the first normalisation, whose inputs do not depend on any other; and nothing is assigned."""
    features = store.open_features(audio[0])
    embedder = build_embedder(39, 16, SETTINGS.network, 1, 3)
    starts = np.random.default_rng(1).integers(0, 1000, size=(12, 3))
    before = [variable.numpy().copy() for variable in embedder.variables]
    found = BatchMoments(embedder, TileSource()).statistics(Batches(features, starts, 39, 4))
    for variable, value in zip(embedder.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    stem = embedder.get_layer("stem_norm")
    inputs = features.tiles(starts.ravel(), 39)[..., None].astype(np.float32)
    values = np.asarray(keras.Model(embedder.input, stem.input)(inputs), np.float64)
    np.testing.assert_allclose(found["stem_norm"].mean, values.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(found["stem_norm"].variance, values.var(axis=(0, 1, 2)), rtol=1e-4)


def test_statistics_are_put_back_to_the_bit(audio: tuple[Path, Path]) -> None:
    embedder = build_embedder(39, 16, SETTINGS.network, 1, 3)
    before = [variable.numpy().copy() for variable in embedder.variables]
    features = store.open_features(audio[0])
    starts = np.arange(12).reshape(4, 3)
    other = BatchMoments(embedder, TileSource()).statistics(Batches(features, starts, 39, 4))
    with batch_statistics.using(embedder, other):
        inside = batch_statistics.stored(embedder)
        assert variance_ratios(inside, other, groups_of(embedder))["stem"] == pytest.approx(1, rel=1e-6)
    for variable, value in zip(embedder.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_batches_are_whole_and_each_is_spread_over_the_store() -> None:
    starts = np.random.default_rng(1).permutation(np.arange(100))[:, None] + np.array([[0, 1, 2]])
    chosen = spread_batches(starts, 8, 4)
    assert chosen.shape == (32, 3)
    assert len(set(chosen[:, 0])) == 32
    for batch in chosen[:, 0].reshape(4, 8):
        assert np.diff(batch).min() > 8  # evenly: 12.5 apart
    assert spread_batches(starts, 8, 100).shape == (96, 3)
    assert sorted(spread_batches(starts[:5], 8, 4)[:, 0]) == sorted(starts[:5, 0])


@pytest.mark.finding("C12")
def test_the_triplets_that_are_measured_are_the_same_for_all_seeds(
    audio: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those that the model really evaluates, in two trainings of different seeds."""
    evaluated: list[np.ndarray] = []
    evaluate = training.TripletModel.evaluate

    def watched(model: Any, batches: Any, **options: Any) -> Any:
        evaluated.extend(np.asarray(tiles) for (tiles,) in batches)
        return evaluate(model, batches, **options)

    monkeypatch.setattr(training.TripletModel, "evaluate", watched)
    settings = RunSettings.of(RUN | {"training": RUN["training"] | {"epochs": 1}})
    of_seed = []
    for seed in (1, 2):
        evaluated.clear()
        folder = tmp_path / str(seed)
        train(*audio, FOLD, settings, seed, *(folder / name for name in PRODUCTS), code="code")
        of_seed.append(np.concatenate(evaluated))
    np.testing.assert_array_equal(*of_seed)
