"""Training one embedder by a loss of triplets, and its history."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
from keras import ops

from lambdascape.config.settings import RunSettings, Training
from lambdascape.core.files import file_digest
from lambdascape.core.tsv import write_table
from lambdascape.features.store import Features, open_features
from lambdascape.features.tile_grid import Ints, Tiles
from lambdascape.jobs import devices
from lambdascape.jobs.call import find
from lambdascape.jobs.provenance import settings_digest
from lambdascape.models import batch_statistics, checkpoints
from lambdascape.models.batch_statistics import BETWEEN_EPOCHS, FINAL, BatchMoments, Statistics, spread_batches
from lambdascape.models.batches import Batches, TileSource
from lambdascape.models.collapse import FLAGS, flags_of
from lambdascape.models.layer_diagnostics import (
    LAYERS,
    MOVING_RATIO,
    STORED_RATIO,
    WatchLayers,
    groups_of,
    sampled_step,
)
from lambdascape.models.network import build_embedder, save_embedder
from lambdascape.models.normalisation import PARTS
from lambdascape.models.run_triplets import (
    FIXED_EPOCH,
    FIXED_SEED,
    FIXED_SPLITS,
    SPLITS,
    TRAIN,
    epoch_triplets,
    fixed_triplets,
    split_tiles,
)
from lambdascape.models.tensorboard import Board
from lambdascape.models.triplet_model import Progress, StopWhenNotFinite, TripletModel
from lambdascape.models.triplets import STREAMS
from lambdascape.study.catalogue import RECOMPUTED, WITH_RECOMPUTED
from lambdascape.study.choices import Choices, Chosen

Rows = list[dict[str, Any]]
TEXT_COLUMNS = ("split", "device")
# Settings that change nothing that a checkpoint holds.
NOT_IN_KEY = frozenset({"epochs", "device", "tensorboard"})


def history_columns(measures: Sequence[str]) -> list[str]:
    """Columns of history.tsv, with what is measured of each epoch."""
    return ["epoch", "split", *measures, "learning_rate", *FLAGS, "device", "seconds"]


def make_optimiser(options: Training, steps: int) -> keras.optimizers.Optimizer:
    """Adam, or AdamW where there is weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).

    Args:
        options: of the training. `exponential` has the published study's stairs: a factor of `lr_decay_rate` after
            every `lr_decay_steps`. `weight_decay` is that of all kernels but of no bias and nothing of batch
            normalisation.
        steps: of the whole training.
    """
    rate = options.learning_rate
    if options.lr_schedule == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, options.lr_decay_steps, options.lr_decay_rate, staircase=True
        )
    elif options.lr_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    if not options.weight_decay:
        return keras.optimizers.Adam(rate)
    optimiser = keras.optimizers.AdamW(rate, weight_decay=options.weight_decay)
    optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimiser


@dataclass(frozen=True)
class Run:
    """One training: its tiles, its model, and the triplets that stay the same over epochs and seeds.

    Attributes:
        features: see `store.open_features`.
        tiles: of `train` and `test`, see `split_tiles`.
        settings: of the run.
        measures: names of what is measured of each epoch.
        seed: of the initial weights, of the triplets and of dropout.
        model: compiled.
        moments: see `BatchMoments`.
        fixed: split of the history to the first frames of its triplets, see `fixed_triplets`.
        device: what it computes on, see `devices.start`.
    """

    features: Features
    tiles: dict[str, Tiles]
    settings: RunSettings
    measures: Sequence[str]
    seed: int
    model: TripletModel
    moments: BatchMoments
    fixed: dict[str, Ints]
    device: str

    @classmethod
    def prepare(
        cls,
        features: Features,
        tiles: dict[str, Tiles],
        settings: RunSettings,
        seed: int,
        loss: Chosen,
        network: Chosen,
    ) -> "Run":
        """A run before its first epoch."""
        device = devices.start(settings.training.device, settings.training.deterministic)
        steps = _steps(len(epoch_triplets(features, tiles, settings.triplets, seed, 1, "train")), settings.training)
        source = tile_source(features, tiles["train"].frames)
        shape = tiles["train"].frames, features.frames.shape[1]
        model = compiled_model(*shape, settings, seed, steps, loss, network, source)
        moments = BatchMoments(model.embedder, source, devices.compiles(settings.training.deterministic))
        fixed = fixed_triplets(features, tiles, settings.triplets)
        return cls(features, tiles, settings, list(model.trackers), seed, model, moments, fixed, device)

    @property
    def recomputes(self) -> bool:
        """Whether inference uses the statistics of the weights at hand, and not the moving averages."""
        return bool(self.settings.training.batch_statistics == RECOMPUTED)

    def epoch(self, number: int) -> tuple[Rows, Rows]:
        """Learn for one epoch.

        Returns:
            Its rows of the history, one for each of `SPLITS`; and one for each group of layers, see `dynamics`.
        """
        started = time.monotonic()
        _seed_dropout(self.model.embedder, self.seed, number)
        triplets = epoch_triplets(self.features, self.tiles, self.settings.triplets, self.seed, number, "train")
        learned = self._batches(triplets)
        watch = StopWhenNotFinite(number)
        layers = WatchLayers(number, sampled_step(len(triplets), self.settings.training.batch_size))
        with learned.told():
            self.model.fit(
                learned.stream(),
                epochs=number,
                initial_epoch=number - 1,
                shuffle=False,
                verbose=0,
                callbacks=[watch, layers, Progress(number)],
            )
        moving, true = batch_statistics.stored(self.model.embedder), self.statistics(triplets, BETWEEN_EPOCHS)
        trailing = batch_statistics.variance_ratios(moving, true, groups_of(self.model.embedder))
        in_use = np.nan if self.recomputes else 1.0
        for row in layers.rows:
            row |= {MOVING_RATIO: trailing[row["group"]], STORED_RATIO: trailing[row["group"]] * in_use}
        means = {TRAIN: watch.train_means} | self.measure(number, true if self.recomputes else moving)
        rate, seconds = float(ops.convert_to_numpy(self.model.optimizer.learning_rate)), time.monotonic() - started
        known = {"learning_rate": rate, "device": self.device, "seconds": seconds}
        rows = [self._row(number, split, means[split], layers.rows) | known for split in SPLITS]
        self._report(rows)
        return rows, layers.rows

    def finish(self, history: Rows, layers: Rows) -> tuple[Rows, Rows]:
        """Give the weights the statistics that they are saved with, and measure the last epoch with just these.

        Returns:
            The history and the rows of the layers. Where the moving averages are saved, the history gains the rows that
            the statistics of the weights would have given, their splits ending in `WITH_RECOMPUTED`.
        """
        last = history[-1]["epoch"]
        known = {name: history[-1][name] for name in ("learning_rate", "device", "seconds")}
        fixed = epoch_triplets(self.features, self.tiles, self.settings.triplets, FIXED_SEED, FIXED_EPOCH, "train")
        recomputed = self.statistics(fixed, FINAL)
        means = self.measure(last, recomputed)
        if not self.recomputes:
            rows = [self._row(last, split + WITH_RECOMPUTED, means[split], []) | known for split in FIXED_SPLITS]
            return history + rows, layers
        batch_statistics.assign(self.model.embedder, recomputed)
        learned = epoch_triplets(self.features, self.tiles, self.settings.triplets, self.seed, last, "train")
        own = self.statistics(learned, BETWEEN_EPOCHS)
        ratios = batch_statistics.variance_ratios(recomputed, own, groups_of(self.model.embedder))
        layers = [row | ({STORED_RATIO: ratios[row["group"]]} if row["epoch"] == last else {}) for row in layers]
        kept = [row for row in history if row["epoch"] < last or row["split"] == TRAIN]
        of_last = [row for row in layers if row["epoch"] == last]
        rows = [self._row(last, split, means[split], of_last) | known for split in FIXED_SPLITS]
        return kept + rows, layers

    def statistics(self, triplets: Ints, most: int) -> Statistics:
        """The statistics of the weights at hand, over at most so many batches spread over the training tiles."""
        return self.moments.statistics(self._batches(spread_batches(triplets, self.settings.training.batch_size, most)))

    def measure(self, epoch: int, statistics: Statistics) -> dict[str, dict[str, float]]:
        """Split to the means over its fixed triplets, in inference mode with some statistics."""
        found = {}
        with batch_statistics.using(self.model.embedder, statistics):
            for split, starts in self.fixed.items():
                batches = self._batches(starts)
                with batches.told():
                    found[split] = self.model.evaluate(
                        batches.stream(), verbose=0, return_dict=True, callbacks=[StopWhenNotFinite(epoch)]
                    )
        return found

    def _row(self, epoch: int, split: str, means: Mapping[str, float], layers: Rows) -> dict[str, Any]:
        row = {"epoch": epoch, "split": split} | {name: float(means[name]) for name in self.measures}
        return row | flags_of(row, [layer[STORED_RATIO] for layer in layers])

    def _batches(self, starts: Ints) -> Batches:
        size, resident = self.settings.training.batch_size, self.model.source.frames is not None
        return Batches(self.features, starts, self.tiles["train"].frames, size, resident)

    def _report(self, rows: Rows) -> None:
        """One line for the log."""
        learned, held_out = rows[0], rows[-1]
        number, epochs, seconds = learned["epoch"], self.settings.training.epochs, learned["seconds"]
        wrong = "".join(f"; {words}" for name, words in FLAGS.items() if held_out[name])
        end = datetime.now().astimezone() + timedelta(seconds=seconds * (epochs - number))
        print(
            f"epoch {number} of {epochs}: loss {learned['loss']:.4f}, held out {held_out['loss']:.4f}, "
            f"penalty {learned['penalty']:.4g}, {seconds:.1f} s; ends about {end:%H:%M}"
            f"{wrong}",
            flush=True,
        )


def stalled(history: Rows, patience: int | None) -> bool:
    """Whether the mean loss over all training triplets has reached no new low for `patience` epochs; None: never.

    The held-out triplets have no say: they are of the fold on which the spaces are judged.
    """
    means = [row["loss_all"] for row in history if row["split"] == TRAIN]
    return patience is not None and len(means) - 1 - int(np.argmin(means or [0])) >= patience


def train(
    features_path: str | Path,
    clips_path: str | Path,
    test_fold: str,
    settings: RunSettings,
    seed: int,
    weights_path: str | Path,
    history_path: str | Path,
    layers_path: str | Path,
    checkpoint_path: str | Path,
    code: str,
    loss: Chosen | None = None,
    network: Chosen | None = None,
) -> None:
    """Train one embedder, from where an earlier call was ended; write its weights, its history and its layers.

    Args:
        features_path: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        test_fold: the fold whose clips are never learned from; their triplets are scored after each epoch.
        settings: of the run.
        seed: of the initial weights, of the triplets and of dropout.
        weights_path: weights of the embedder after the last epoch, see `network.save_embedder`.
        history_path: table with one row per epoch and split, see `SPLITS`, `MEASURES` and the measures of the loss. The
            last epoch is measured with the weights and statistics as they are saved.
        layers_path: table with one row per epoch and group of layers, see `layer_diagnostics.measure`.
        checkpoint_path: the state after the last epoch that was finished, see `checkpoints`; it stays, so that more
            epochs of the same run cost only those.
        code: fingerprint of the code that trains; a state that other code has reached is not used.
        loss: see `study.choices.Choices.of_loss`; None for one of the package.
        network: see `study.choices.Choices.of_network`; None for one of the package.

    Raises:
        InputError: the settings do not fit the data, the loss stops being finite (the epoch and batch are named), or
            another process trains the run.
    """
    loss = loss or Choices().of_loss(settings.training.plain())
    network = network or Choices().of_network(settings.network.plain())
    with checkpoints.owned(checkpoint_path, (weights_path, history_path, layers_path)):
        features = open_features(features_path)
        tiles = split_tiles(features, clips_path, test_fold, settings.triplets.tile_s)
        run = Run.prepare(features, tiles, settings, seed, loss, network)
        key = _key(
            features,
            clips_path,
            test_fold,
            settings,
            {"loss": loss.plain(), "architecture": network.plain()},
            seed,
            code,
        )
        history, layers = _go_on(run.model, checkpoint_path, key, settings.training.epochs)
        board = Board(Path(history_path).parent / "tensorboard") if settings.training.tensorboard else None
        for epoch in range(len(history) // len(SPLITS) + 1, settings.training.epochs + 1):
            if stalled(history, settings.training.early_stopping):
                print(f"stopped before epoch {epoch}: no new low of the loss", flush=True)
                break
            learned, measured = run.epoch(epoch)
            history, layers = history + learned, layers + measured
            checkpoints.save(checkpoint_path, key, checkpoints.State(epoch, history, layers, _arrays(run.model)))
            if board:
                board.show(history[: -len(SPLITS)])  # the last epoch follows as it is measured in the end
        history, layers = run.finish(history, layers)
        if board:
            board.show(history)
        save_embedder(run.model.embedder, {"settings": settings.plain(), "seed": seed}, weights_path)
        write_table(pd.DataFrame(history, columns=history_columns(run.measures)), history_path)
        write_table(pd.DataFrame(layers, columns=list(LAYERS)), layers_path)


def _key(
    features: Features,
    clips_path: str | Path,
    test_fold: str,
    settings: RunSettings,
    chosen: dict[str, Any],
    seed: int,
    code: str,
) -> str:
    """Digest of all that decides how a training goes on; how many epochs are wanted does so in a cosine only."""
    free = NOT_IN_KEY - {"epochs"} if settings.training.lr_schedule == "cosine" else NOT_IN_KEY
    options = {name: value for name, value in settings.training.plain().items() if name not in free}
    run = {"training": options, "seed": seed, "test_fold": test_fold, "code": code}
    parts = settings.plain() | chosen | run
    versions = {name: metadata.version(name) for name in ("keras", keras.backend.backend())}
    return settings_digest(parts | versions | {"features": features.about, "clips": file_digest(clips_path)})


def _variables(model: TripletModel) -> list[keras.Variable]:
    return [*model.embedder.variables, *model.optimizer.variables]


def _arrays(model: TripletModel) -> list[npt.NDArray[Any]]:
    return [ops.convert_to_numpy(variable.value) for variable in _variables(model)]


def _go_on(model: TripletModel, checkpoint_path: str | Path, key: str, epochs: int) -> tuple[Rows, Rows]:
    """Put the model where an earlier call left it; the rows of history and layers so far, none at the beginning."""
    like = [(tuple(variable.shape), str(variable.dtype)) for variable in _variables(model)]
    state = checkpoints.load(checkpoint_path, key, epochs, like)
    if state is None:
        return [], []
    for variable, array in zip(_variables(model), state.arrays, strict=True):
        variable.assign(array)
    return state.history, state.layers


def _steps(triplets: int, options: Training) -> int:
    """Steps of the whole training."""
    return int(-(-triplets // options.batch_size) * options.epochs)


def tile_source(features: Features, length: int) -> TileSource:
    """The store on the accelerator where there is one that holds it, so that the host sends indices only."""
    size = features.frames.nbytes
    if not devices.holds(size):
        return TileSource()
    features.check_all()
    print(f"the accelerator holds all {size / 1e9:.1f} GB of features", flush=True)
    return TileSource(features.frames, length)


def compiled_model(
    frames: int,
    mels: int,
    settings: RunSettings,
    seed: int,
    steps: int,
    loss: Chosen | None = None,
    network: Chosen | None = None,
    source: TileSource | None = None,
) -> TripletModel:
    """The model of a run, ready for its first step.

    Args:
        frames: frames of a tile.
        mels: mel bands.
        settings: of the run.
        seed: see `network.build_embedder`.
        steps: of the whole training.
        loss: see `train`.
        network: see `train`.
        source: see `TripletModel`.
    """
    options = settings.training
    embedder = build_embedder(frames, mels, settings.network, seed, PARTS[options.passes], options.precision, network)
    loss = loss or Choices().of_loss(settings.training.plain())
    model = TripletModel(embedder, partial(find(loss.task["name"]), **loss.keys), loss.measures, source)
    model.compile(optimizer=make_optimiser(options, steps), jit_compile=devices.compiles(options.deterministic))
    # With its variables made first, TensorFlow traces the step once instead of twice. A model that has seen no batch
    # takes one from the first epoch on JAX, to see its shape, and puts those that wait behind it out of order.
    model.optimizer.build(embedder.trainable_variables)
    model(keras.KerasTensor(*_batch_of(model.source, frames, mels)))
    return model


def _batch_of(source: TileSource, frames: int, mels: int) -> tuple[tuple[int, ...], str]:
    """Shape and kind of a batch of one triplet, see `batches.Batches`."""
    return ((1, 3, frames, mels), "float16") if source.frames is None else ((1, 3), "int32")


def _seed_dropout(embedder: keras.Model, seed: int, epoch: int) -> None:
    """Give dropout a state that follows from seed and epoch alone, as the triplets have."""
    dropout = embedder.get_layer("dropout")
    if not dropout.rate:
        return  # it draws nothing then, and has no state
    state = dropout.seed_generator.state
    drawn = np.random.default_rng([seed, epoch, STREAMS["dropout"]]).integers(2**31, size=tuple(state.shape))
    state.assign(drawn.astype(state.dtype))
