"""The statistics that batch normalisation uses in inference, computed for the weights at hand.

Moving averages trail behind the weights. While λ shortens these, the averages are those of the longer weights of some
steps before: in inference each layer's output is then too small, and the more so the larger λ is. Here the moments of
whole batches are taken with the weights held still, and pooled (Ioffe and Szegedy 2015, arXiv 1502.03167, section 3.1;
Wu and Johnson 2021, arXiv 2105.07576, section 3, "precise BN").
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from lambdascape.config.settings import RunSettings
from lambdascape.features.store import Features
from lambdascape.features.tile_grid import Ints
from lambdascape.jobs import devices
from lambdascape.models.batches import Batches, TileSource
from lambdascape.models.normalisation import PartwiseNormalization, recorded_moments
from lambdascape.models.run_triplets import FIXED_EPOCH, FIXED_SEED, epoch_triplets, split_tiles
from lambdascape.models.triplet_model import by_role

Tensor = Any
Floats = npt.NDArray[np.float64]
# Batches of triplets over which moments are pooled: before weights are saved, and between epochs, where fewer keep
# stored ÷ true variance within 1.05 (benchmarks/batch_statistics.py).
FINAL, BETWEEN_EPOCHS = 20, 4
LAST_NORMALISED = "pool"  # the layer behind which nothing is normalised: dropout and the embedding layer


class Moments(NamedTuple):
    """Mean and variance of what comes into one normalisation, each of shape (channel,)."""

    mean: Floats
    variance: Floats


Statistics = Mapping[str, Moments]  # by the name of the normalisation layer


class BatchMoments(keras.Model):
    """The moments of each part of a batch of triplets at each normalisation, in training mode, with nothing assigned.

    Args:
        embedder: see `network.build_embedder`; its weights are shared.
        source: where the tiles of a batch come from.
        jit_compile: whether XLA compiles the pass.
    """

    def __init__(self, embedder: keras.Model, source: TileSource, jit_compile: bool = False) -> None:
        super().__init__(name="batch_moments")
        self.source = source
        self.normalised = keras.Model(embedder.input, embedder.get_layer(LAST_NORMALISED).output)
        self.compile(jit_compile=jit_compile)

    def call(self, batch: Tensor) -> dict[str, Tensor]:
        """Layer name to means and variances, shape (2, part, channel), of a batch as `batches.Batches` gives it."""
        with recorded_moments() as found:
            self.normalised(by_role(self.source(batch)), training=True)
            return dict(found)

    def statistics(self, batches: Batches) -> Statistics:
        """Pool the moments of batches of one size, the weights held still.

        With m_b and v_b the moments of each batch and part b the population has the mean E[m_b] and the variance
        E[v_b + m_b²] - E[m_b]².
        """
        parts: dict[str, list[Floats]] = {}
        for number in range(len(batches)):
            (batch,) = batches[number]
            for name, moments in self.predict_on_batch(batch).items():
                parts.setdefault(name, []).append(np.asarray(moments, np.float64))
        return {name: _pooled(np.concatenate(moments, axis=1)) for name, moments in parts.items()}


def _pooled(moments: Floats) -> Moments:
    means, variances = moments
    mean = means.mean(axis=0)
    return Moments(mean, np.maximum((variances + means**2).mean(axis=0) - mean**2, 0))  # by rounding only below 0


def spread_batches(starts: Ints, size: int, most: int) -> Ints:
    """Choose whole batches of triplets whose anchors lie evenly over the store.

    The k-th batch takes every n-th triplet in the order of the anchors, from the k-th on: each batch then sees all of
    the training audio, and a few of them give the moments of all of it.

    Args:
        starts: shape (triplet, 3), first frames of the tiles in the store.
        size: triplets of a batch.
        most: batches, at most.

    Returns:
        Shape (chosen triplet, 3), batch after batch; with fewer triplets than a batch holds, all of them.
    """
    ordered = starts[np.argsort(starts[:, 0], kind="stable")]
    count = min(most, len(ordered) // size)
    if count == 0:
        return ordered
    places = ((np.arange(count * size) + 0.5) * len(ordered) / (count * size)).astype(np.int64)
    return ordered[places].reshape(size, count, 3).swapaxes(0, 1).reshape(-1, 3)


def normalisations(embedder: keras.Model) -> list[PartwiseNormalization]:
    """The layers of an embedder that have statistics."""
    return [layer for layer in embedder.layers if isinstance(layer, PartwiseNormalization)]


def stored(embedder: keras.Model) -> Statistics:
    """The statistics that an embedder uses in inference now."""
    return {
        layer.name: Moments(*(_copied(variable) for variable in (layer.moving_mean, layer.moving_variance)))
        for layer in normalisations(embedder)
    }


def assign(embedder: keras.Model, statistics: Statistics) -> None:
    """Let an embedder use statistics in inference."""
    for layer in normalisations(embedder):
        layer.moving_mean.assign(statistics[layer.name].mean.astype(np.float32))
        layer.moving_variance.assign(statistics[layer.name].variance.astype(np.float32))


@contextmanager
def using(embedder: keras.Model, statistics: Statistics) -> Iterator[None]:
    """Let an embedder use statistics inside the block; what it had before is put back behind it, to the bit."""
    before = stored(embedder)
    assign(embedder, statistics)
    try:
        yield
    finally:
        assign(embedder, before)


def variance_ratios(found: Statistics, true: Statistics, groups: Sequence[str]) -> dict[str, float]:
    """Median over the channels of each group of layers of the variance in use over that of the weights at hand.

    Args:
        found: the statistics in use.
        true: those of the weights at hand.
        groups: names of groups; a layer belongs to the one with which its name begins.

    Returns:
        Group to ratio, above 0: 1 where inference normalises as training does; NaN for a group without normalisation.
    """
    ratios: dict[str, list[Floats]] = {group: [] for group in groups}
    for name, moments in true.items():
        variance = np.maximum(moments.variance, np.finfo(np.float32).tiny)
        ratios[name.split("_")[0]].append(found[name].variance / variance)
    return {group: float(np.median(np.concatenate(parts))) if parts else np.nan for group, parts in ratios.items()}


def recompute_statistics(
    embedder: keras.Model, features: Features, clips_path: str | Path, test_fold: str, settings: RunSettings
) -> None:
    """Let an embedder use the statistics of its weights over the training tiles, as a training does before it saves.

    Args:
        embedder: see `network.build_embedder`, with the parts of its `passes`.
        features: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        test_fold: the fold that gives no statistics.
        settings: of the run; of its training, `batch_size` and `deterministic`.

    Raises:
        InputError: see `split_tiles` and `triplets.sample_triplets`.
    """
    tiles = split_tiles(features, clips_path, test_fold, settings.triplets.tile_s)
    size, length = settings.training.batch_size, tiles["train"].frames
    drawn = epoch_triplets(features, tiles, settings.triplets, FIXED_SEED, FIXED_EPOCH, "train")
    batches = Batches(features, spread_batches(drawn, size, FINAL), length, size)
    moments = BatchMoments(embedder, TileSource(), devices.compiles(settings.training.deterministic))
    assign(embedder, moments.statistics(batches))


def _copied(variable: keras.Variable) -> Floats:
    return np.array(keras.ops.convert_to_numpy(variable.value), np.float64)
