"""What is read off a training step is what the step did, and reading it changes nothing."""

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import Network, RunSettings, Training
from lambdascape.core.tsv import read_table
from lambdascape.models.layer_diagnostics import LAYERS, MEASURES, MOVING_RATIO, STORED_RATIO, WatchLayers
from lambdascape.models.network import build_embedder
from lambdascape.models.training import TEXT_COLUMNS, make_optimiser, train
from support.networks import NETWORK, TRAINING, shallow, triplet_model
from support.stores import write_clips

pytestmark = pytest.mark.usefixtures("shallow_network")

NETWORK_WITH_L2 = NETWORK | {"l2": 0.01, "dropout": 0.0}


class OneStep:
    """One step on given triplets after another one, watched, with what is needed to compute it again."""

    def __init__(self, network: dict[str, Any], parts: int = 3, **training: Any) -> None:
        self.tiles = np.random.default_rng(1).normal(size=(16, 3, 39, 16)).astype(np.float32)
        self.tiles *= np.float32([[[[1]], [[2]], [[5]]]])
        self.embedder = build_embedder(39, 16, Network.of(network), 3, parts)
        self.model = triplet_model(self.embedder)
        self.model.compile(optimizer=make_optimiser(Training.of(TRAINING | training), 2), jit_compile=False)
        self.watch = WatchLayers(7, 0)
        self.model.fit(self.tiles[::-1].copy(), batch_size=16, shuffle=False, verbose=0)
        self.before = {v.path: v.numpy() for v in self.embedder.variables}
        self.model.fit(self.tiles, batch_size=16, shuffle=False, verbose=0, callbacks=[self.watch])

    def row(self, group: str) -> dict[str, Any]:
        (row,) = (row for row in self.watch.rows if row["group"] == group)
        return row

    def vector(self, names: tuple[str, ...], after: bool = False) -> np.ndarray:
        now = {v.path: v.numpy() for v in self.embedder.variables} if after else self.before
        return np.concatenate([now[name].astype(np.float64).ravel() for name in names])

    def gradients_of_the_triplet_loss(self, names: tuple[str, ...]) -> np.ndarray:
        import tensorflow as tf

        for variable in self.embedder.variables:
            variable.assign(self.before[variable.path])
        variables = {v.path: v for v in self.embedder.trainable_variables}
        with tf.GradientTape() as tape:
            embedded = self.model(self.tiles, training=True)
            loss = self.model.compute_loss(x=self.tiles, y_pred=embedded) - sum(self.model.losses)
        found = tape.gradient(loss, [variables[name].value for name in names])
        return np.concatenate([gradient.numpy().astype(np.float64).ravel() for gradient in found])


STEM = ("stem_conv/kernel", "stem_conv/bias")
HEAD = ("embedding/kernel", "embedding/bias")


@pytest.mark.parametrize("l2", [0.01, 10.0])
def test_the_gradients_are_those_of_the_penalty_and_of_the_triplet_loss(l2: float) -> None:
    step = OneStep(NETWORK_WITH_L2 | {"l2": l2})
    penalty = np.linalg.norm(2 * l2 * step.vector(STEM))
    found = step.row("stem")["gradient_ratio"]
    assert step.row("head")["gradient_ratio"] == 0  # λ holds for the convolutions only
    assert found == pytest.approx(penalty / np.linalg.norm(step.gradients_of_the_triplet_loss(STEM)), rel=1e-3)


def test_l2_of_the_head_is_seen_at_the_head() -> None:
    step = OneStep(NETWORK_WITH_L2 | {"l2_scope": "head"})
    assert step.row("stem")["gradient_ratio"] == 0
    expected = np.linalg.norm(0.02 * step.vector(HEAD)) / np.linalg.norm(step.gradients_of_the_triplet_loss(HEAD))
    assert step.watch.rows[-1]["gradient_ratio"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("training", [{}, {"weight_decay": 0.5}], ids=["adam", "adamw"])
def test_norm_and_update_are_those_of_the_step(training: dict[str, float]) -> None:
    step = OneStep(NETWORK_WITH_L2, **training)
    w, after = step.vector(STEM), step.vector(STEM, after=True)
    row = step.row("stem")
    assert row["epoch"] == 7
    assert row["weight_norm"] == pytest.approx(np.linalg.norm(w))
    assert row["relative_update"] == pytest.approx(np.linalg.norm(after - w) / np.linalg.norm(w))
    cosine = w @ after / np.linalg.norm(w) / np.linalg.norm(after)
    assert row["angular_update"] == pytest.approx(np.arccos(cosine), rel=1e-5)
    assert row["effective_learning_rate"] == pytest.approx(TRAINING["learning_rate"] / np.linalg.norm(w), rel=1e-6)


@pytest.mark.parametrize("parts", [1, 3])
def test_variances_are_those_of_the_batch_and_gamma_is_that_of_the_layer(parts: int) -> None:
    step = OneStep(NETWORK_WITH_L2, parts)
    for variable in step.embedder.variables:
        variable.assign(step.before[variable.path])
    stem = keras.Model(step.embedder.input, step.embedder.get_layer("stem_conv").output)
    maps = np.stack([np.asarray(stem(step.tiles[:, role, ..., None])) for role in range(3)])  # (role, triplet, ...)
    variances = maps.reshape(parts, -1, 2).astype(np.float64).var(axis=1)
    share = 0.99 ** np.arange(parts - 1, -1, -1)
    expected = np.median(share @ variances / share.sum()) / step.embedder.get_layer("stem_norm").epsilon
    row = step.row("stem")
    assert row["variance_over_epsilon"] == pytest.approx(expected, rel=1e-3)
    assert row["gamma"] == pytest.approx(np.abs(step.before["stem_norm/gamma"]).mean())


def test_every_group_of_a_deep_network_is_measured() -> None:
    with shallow(1, 1, 1, 1):
        rows = OneStep(NETWORK_WITH_L2).watch.rows
    assert [row["group"] for row in rows] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    assert [tuple(row) for row in rows] == [("epoch", "group", *MEASURES)] * 6


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_clips(tmp_path_factory.mktemp("audio"), 12, held_out=4, tone=0.0)


def trained(audio: tuple[Path, Path], folder: Path) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Every variable of a training of two epochs, the optimiser's too, and its history without the seconds."""
    settings = {
        "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
        "network": NETWORK | {"l2": 0.1},  # with dropout
        "training": TRAINING | {"epochs": 2, "batch_size": 4},
    }
    products = (folder / name for name in ("embedder.weights.h5", "history.tsv", "layers.tsv", "checkpoint.h5"))
    train(*audio, "b", RunSettings.of(settings), 1, *products, code="code")
    with h5py.File(folder / "checkpoint.h5", "r") as file:
        arrays = [file[name][()] for name in sorted(file)]
    return arrays, read_table(folder / "history.tsv", text=TEXT_COLUMNS).drop(columns="seconds")


class Blind(WatchLayers):
    """Looks at nothing."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None: ...


def test_measuring_changes_no_bit_of_the_training(
    audio: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays, history = trained(audio, tmp_path / "measured")
    monkeypatch.setattr("lambdascape.models.training.WatchLayers", Blind)
    blind_arrays, blind_history = trained(audio, tmp_path / "blind")
    assert all(np.array_equal(one, other) for one, other in zip(arrays, blind_arrays, strict=True))
    pd.testing.assert_frame_equal(history, blind_history, check_exact=True)
    layers = read_table(tmp_path / "measured/layers.tsv", text=("group",))
    assert tuple(layers.columns) == LAYERS
    assert layers[["epoch", "group"]].to_numpy().tolist() == [
        [epoch, group] for epoch in (1, 2) for group in ("stem", "stage1", "head")
    ]
    assert layers.drop(columns=["gamma", "variance_over_epsilon", MOVING_RATIO, STORED_RATIO]).notna().all(axis=None)
    assert read_table(tmp_path / "blind/layers.tsv", text=("group",)).empty
