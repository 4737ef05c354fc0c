"""Training one embedder by the triplet loss, and its history."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
from keras import ops

from lambdascape import checkpoints, losses
from lambdascape.errors import InputError
from lambdascape.files import file_digest, write_table
from lambdascape.network import build_embedder, save_embedder
from lambdascape.provenance import settings_digest
from lambdascape.store import Features, open_features, read_manifest
from lambdascape.triplets import (
    STREAMS,
    Ints,
    Tiles,
    lay_tiles,
    sample_triplets,
    seconds_to_frames,
    tile_frames,
)

Tensor = Any
# `separate` normalises anchors, neighbours and distant tiles by their own batch statistics, as three passes through
# the network do in the published study; `joint` normalises them together.
PARTS = {"separate": 3, "joint": 1}
SPLITS = ("train", "test")
MEASURES = (
    "triplet_loss",
    "triplet_loss_nonzero",
    "triplet_loss_all",
    "active_fraction",
    "penalty",
    "total",
    "d_neighbour",
    "d_distant",
)
HISTORY = ("epoch", "split", *MEASURES, "learning_rate", "seconds")  # columns


class TripletModel(keras.Model):
    """An embedder that learns from triplets; keeps the triplet loss and the weight penalty apart.

    Args:
        embedder: see `network.build_embedder`.
        margin: of the hinge, above 0.
        reduction: `nonzero` or `all`, see `losses.reduce_hinges`.
    """

    def __init__(self, embedder: keras.Model, margin: float, reduction: str) -> None:
        super().__init__(name="triplets")
        self.embedder = embedder
        self.margin = margin
        self.reduction = reduction
        self.trackers = {name: keras.metrics.Mean(name=name) for name in MEASURES}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch, in the order of `MEASURES`."""
        return list(self.trackers.values())

    def call(self, tiles: Tensor, training: bool = False) -> Tensor:
        """Embed triplets: shape (triplet, 3, frame, mel) to shape (triplet, 3, dim)."""
        _, roles, frames, mels = tiles.shape
        by_role = ops.reshape(ops.swapaxes(tiles, 0, 1), (-1, frames, mels, 1))
        embedded = self.embedder(by_role, training=training)
        return ops.swapaxes(ops.reshape(embedded, (roles, -1, embedded.shape[-1])), 0, 1)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Triplet loss plus penalty: Keras adds no penalty by itself where this method is overridden."""
        to_neighbour = losses.squared_distance(y_pred[:, 0], y_pred[:, 1])  # (triplet,)
        to_distant = losses.squared_distance(y_pred[:, 0], y_pred[:, 2])  # (triplet,)
        hinges = losses.hinge(to_neighbour, to_distant, self.margin)  # (triplet,)
        active = losses.active(hinges)  # (triplet,)
        triplet_loss = losses.reduce_hinges(hinges, self.reduction)
        penalty = ops.cast(sum(self.losses), "float32")
        count = ops.shape(hinges)[0]
        self._track("triplet_loss_nonzero", hinges, active)
        self._track("triplet_loss", triplet_loss, count)
        self._track("penalty", penalty, count)
        self._track("total", triplet_loss + penalty, count)
        for name, values in (
            ("triplet_loss_all", hinges),
            ("active_fraction", active),
            ("d_neighbour", to_neighbour),
            ("d_distant", to_distant),
        ):
            self._track(name, values)
        return triplet_loss + penalty

    def _track(self, name: str, values: Tensor, weight: Tensor = None) -> None:
        self.trackers[name].update_state(values, sample_weight=weight)


class Batches(keras.utils.PyDataset):
    """The triplets of one epoch in batches, the last one smaller, gathered from the store when they are asked for."""

    def __init__(self, features: Features, starts: Ints, frames: int, size: int) -> None:
        super().__init__()
        self.features = features
        self.starts = starts
        self.frames = frames
        self.size = size

    def __len__(self) -> int:
        return -(-len(self.starts) // self.size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[np.float32]]:
        """Batch `number`: shape (triplet, 3, frame, mel)."""
        chosen = self.starts[number * self.size : (number + 1) * self.size]
        return (self.features.tiles(chosen, self.frames),)


class StopWhenNotFinite(keras.callbacks.Callback):
    """Stop with the epoch and the batch named when a loss is not finite; keep the means over the epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.train_means: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the means since the start of the epoch; check the loss."""
        self.train_means = dict(logs or {})
        self._check("train", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Check the loss."""
        self._check("test", batch, logs)

    def _check(self, split: str, batch: int, logs: dict[str, float] | None) -> None:
        total = (logs or {}).get("total", 0.0)
        if not np.isfinite(total):
            raise InputError(
                f"the loss must stay finite; it became {total} in epoch {self.epoch}, {split} batch {batch + 1}. "
                "Lower the learning rate, or look for broken clips"
            )


def make_optimiser(settings: dict[str, Any]) -> keras.optimizers.Optimizer:
    """Adam with the published study's staircase decay; `lr_decay_rate: 1` keeps the learning rate constant."""
    rate = settings["learning_rate"]
    if settings["lr_decay_rate"] != 1:
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, settings["lr_decay_steps"], settings["lr_decay_rate"], staircase=True
        )
    return keras.optimizers.Adam(rate)


def split_tiles(features: Features, clips_path: str | Path, test_fold: str, tile_s: float) -> dict[str, Tiles]:
    """Lay the tiles of the training clips and of the held-out fold.

    Returns:
        The tiles of `train` and `test`.

    Raises:
        InputError: the manifest and the store disagree, or no clip lies in the test fold or none outside it.
    """
    clips = read_manifest(clips_path, features)
    held_out = (clips["fold"] == test_fold).to_numpy()
    if held_out.all() or not held_out.any():
        folds = ", ".join(sorted(set(clips["fold"])))
        raise InputError(
            f"split.test_fold must be one of at least two folds of the data set ({folds}); got {test_fold!r}"
        )
    recipe = features.about["recipe"]
    frames, step = tile_frames(tile_s, recipe), seconds_to_frames(tile_s, recipe)
    sessions = clips["session"].tolist()
    return {
        split: lay_tiles(features.clip_start, sessions, np.flatnonzero(chosen), frames, step)
        for split, chosen in (("train", ~held_out), ("test", held_out))
    }


@dataclass(frozen=True)
class Run:
    """One training: its tiles, its model, and the held-out triplets, which stay the same over the epochs.

    Attributes:
        features: see `store.open_features`.
        tiles: of `train` and `test`, see `split_tiles`.
        settings: the run's blocks `triplets`, `network` and `training`.
        seed: of the initial weights, of the triplets and of dropout.
        model: compiled.
        held_out: first frames of the held-out triplets, see `sample_triplets`.
    """

    features: Features
    tiles: dict[str, Tiles]
    settings: dict[str, Any]
    seed: int
    model: TripletModel
    held_out: Ints

    @classmethod
    def prepare(cls, features: Features, tiles: dict[str, Tiles], settings: dict[str, Any], seed: int) -> "Run":
        """A run before its first epoch."""
        model = _compiled_model(tiles["train"].frames, features.frames.shape[1], settings, seed)
        return cls(features, tiles, settings, seed, model, _draw(features, tiles, settings, seed, 0, "test"))

    def epoch(self, number: int) -> list[dict[str, Any]]:
        """Learn for one epoch; its rows of the history, one for `train`, one for `test`."""
        started = time.monotonic()
        _seed_dropout(self.model.embedder, self.seed, number)
        learned = self._batches(_draw(self.features, self.tiles, self.settings, self.seed, number, "train"))
        watch = StopWhenNotFinite(number)
        self.model.fit(learned, epochs=number, initial_epoch=number - 1, shuffle=False, verbose=0, callbacks=[watch])
        scored = self.model.evaluate(self._batches(self.held_out), verbose=0, return_dict=True, callbacks=[watch])
        rate, seconds = float(ops.convert_to_numpy(self.model.optimizer.learning_rate)), time.monotonic() - started
        rows = [
            {"epoch": number, "split": split} | {name: float(means[name]) for name in MEASURES}
            for split, means in zip(SPLITS, (watch.train_means, scored), strict=True)
        ]
        self._report(rows, seconds)
        return [row | {"learning_rate": rate, "seconds": seconds} for row in rows]

    def _batches(self, starts: Ints) -> Batches:
        return Batches(self.features, starts, self.tiles["train"].frames, self.settings["training"]["batch_size"])

    def _report(self, rows: list[dict[str, Any]], seconds: float) -> None:
        """One line for the log."""
        number, epochs = rows[0]["epoch"], self.settings["training"]["epochs"]
        end = datetime.now().astimezone() + timedelta(seconds=seconds * (epochs - number))
        print(
            f"epoch {number} of {epochs}: triplet loss {rows[0]['triplet_loss']:.4f}, held out "
            f"{rows[1]['triplet_loss']:.4f}, penalty {rows[0]['penalty']:.4g}, {seconds:.1f} s; ends about {end:%H:%M}",
            flush=True,
        )


def _draw(
    features: Features, tiles: dict[str, Tiles], settings: dict[str, Any], seed: int, epoch: int, split: str
) -> Ints:
    """First frames of the triplets of an epoch."""
    options = settings["triplets"]
    reach = seconds_to_frames(options["neighbourhood_s"], features.about["recipe"])
    return sample_triplets(tiles[split], reach, options["distant"], seed, epoch, split)[0]


def train(
    features_path: str | Path,
    clips_path: str | Path,
    test_fold: str,
    settings: dict[str, Any],
    seed: int,
    weights_path: str | Path,
    history_path: str | Path,
    checkpoint_path: str | Path,
    code: str,
) -> None:
    """Train one embedder, from where an earlier call was ended; write its weights and its history.

    Args:
        features_path: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        test_fold: the fold whose clips are never learned from; their triplets are scored after each epoch.
        settings: the run's blocks `triplets`, `network` and `training`.
        seed: of the initial weights, of the triplets and of dropout.
        weights_path: weights of the embedder after the last epoch, see `network.save_embedder`.
        history_path: table with one row per epoch and split, see `MEASURES`.
        checkpoint_path: the state after the last epoch that was finished, see `checkpoints`; it stays, so that more
            epochs of the same run cost only those.
        code: fingerprint of the code that trains; a state that other code has reached is not used.

    Raises:
        InputError: the settings do not fit the data, the loss stops being finite (the epoch and batch are named), or
            another process trains the run.
    """
    with checkpoints.owned(checkpoint_path, (weights_path, history_path)):
        features = open_features(features_path)
        run = Run.prepare(
            features, split_tiles(features, clips_path, test_fold, settings["triplets"]["tile_s"]), settings, seed
        )
        key = _key(features, clips_path, test_fold, settings, seed, code)
        history = _go_on(run.model, checkpoint_path, key, settings["training"]["epochs"])
        for epoch in range(len(history) // len(SPLITS) + 1, settings["training"]["epochs"] + 1):
            history += run.epoch(epoch)
            checkpoints.save(checkpoint_path, key, checkpoints.State(epoch, history, _arrays(run.model)))
        save_embedder(run.model.embedder, {"settings": settings, "seed": seed}, weights_path)
        write_table(pd.DataFrame(history, columns=list(HISTORY)), history_path)


def _key(
    features: Features, clips_path: str | Path, test_fold: str, settings: dict[str, Any], seed: int, code: str
) -> str:
    """Digest of all that decides how a training goes on; how many epochs are wanted does not."""
    options = {name: value for name, value in settings["training"].items() if name != "epochs"}
    parts: dict[str, Any] = settings | {"training": options, "seed": seed, "test_fold": test_fold, "code": code}
    versions = {name: metadata.version(name) for name in ("keras", keras.backend.backend())}
    return settings_digest(parts | versions | {"features": features.about, "clips": file_digest(clips_path)})


def _variables(model: TripletModel) -> list[keras.Variable]:
    return [*model.embedder.variables, *model.optimizer.variables]


def _arrays(model: TripletModel) -> list[npt.NDArray[Any]]:
    return [ops.convert_to_numpy(variable.value) for variable in _variables(model)]


def _go_on(model: TripletModel, checkpoint_path: str | Path, key: str, epochs: int) -> list[dict[str, Any]]:
    """Put the model where an earlier call left it; its history so far, empty where it starts from the beginning."""
    state = checkpoints.load(checkpoint_path, key, epochs)
    if state is None:
        return []
    for variable, array in zip(_variables(model), state.arrays, strict=True):
        variable.assign(array)
    return state.history


def _compiled_model(frames: int, mels: int, settings: dict[str, Any], seed: int) -> TripletModel:
    options = settings["training"]
    embedder = build_embedder(frames, mels, settings["network"], seed, PARTS[options["passes"]])
    model = TripletModel(embedder, options["margin"], options["reduction"])
    # XLA is slower than TensorFlow's own convolutions on CPUs, and Keras' "auto" does not know.
    model.compile(optimizer=make_optimiser(options), jit_compile=False)
    # With its variables made first, TensorFlow traces the step once instead of twice.
    model.optimizer.build(embedder.trainable_variables)
    return model


def _seed_dropout(embedder: keras.Model, seed: int, epoch: int) -> None:
    """Give dropout a state that follows from seed and epoch alone, as the triplets have."""
    state = embedder.get_layer("dropout").seed_generator.state
    drawn = np.random.default_rng([seed, epoch, STREAMS["dropout"]]).integers(2**31, size=tuple(state.shape))
    state.assign(drawn.astype(state.dtype))
