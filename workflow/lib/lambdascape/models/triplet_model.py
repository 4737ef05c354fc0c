"""An embedder that learns from batches of triplets, and what watches it over an epoch."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from lambdascape.core.errors import InputError
from lambdascape.models.batches import TileSource
from lambdascape.models.losses.terms import Loss, squared_distance

Tensor = Any
ROLES = 3  # anchor, neighbour, distant
# Measures of every loss: as minimised, over all triplets, the penalties, loss and penalties, mean squared distances.
MEASURES = ("loss", "loss_all", "penalty", "total", "d_neighbour", "d_distant")


class TripletModel(keras.Model):
    """An embedder that learns from triplets; keeps the loss and the weight penalty apart.

    Args:
        embedder: see `network.build_embedder`.
        loss: of embeddings of anchors, neighbours and distant tiles, see `declarations.loss`.
        measures: names of its further measures.
        source: where the tiles of a batch come from.
    """

    def __init__(
        self, embedder: keras.Model, loss: Loss, measures: Sequence[str] = (), source: TileSource | None = None
    ) -> None:
        super().__init__(name="triplets")
        self.embedder = embedder
        self.source = source or TileSource()
        self.loss_of = loss
        self.trackers = {name: keras.metrics.Mean(name=name) for name in (*MEASURES, *measures)}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch: `MEASURES`, then those of the loss."""
        return list(self.trackers.values())

    def call(self, batch: Tensor, training: bool = False) -> Tensor:
        """Embed triplets, as `batches.Batches` gives them, to shape (triplet, 3, dim)."""
        embedded = self.embedder(by_role(self.source(batch)), training=training)
        return ops.swapaxes(ops.reshape(embedded, (ROLES, -1, embedded.shape[-1])), 0, 1)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Loss plus penalty: Keras adds no penalty by itself where this method is overridden."""
        anchors, neighbours, distants = y_pred[:, 0], y_pred[:, 1], y_pred[:, 2]  # (triplet, dim)
        loss, per_triplet, measures = self.loss_of(anchors, neighbours, distants)
        penalty = ops.cast(sum(self.losses), "float32")
        count = ops.shape(y_pred)[0]
        self._track("loss", loss, count)
        self._track("loss_all", per_triplet)
        self._track("penalty", penalty, count)
        self._track("total", loss + penalty, count)
        self._track("d_neighbour", squared_distance(anchors, neighbours))
        self._track("d_distant", squared_distance(anchors, distants))
        for name, (values, weights) in measures.items():
            self._track(name, values, weights)
        return loss + penalty

    def _track(self, name: str, values: Tensor, weight: Tensor = None) -> None:
        self.trackers[name].update_state(values, sample_weight=weight)


def by_role(tiles: Tensor) -> Tensor:
    """The tiles of triplets, one role after the other: (triplet, 3, frame, mel) to (3 · triplet, frame, mel, 1)."""
    return ops.reshape(ops.swapaxes(tiles, 0, 1), (-1, *tiles.shape[2:], 1))


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


class Progress(keras.callbacks.Callback):
    """A bar over the batches of an epoch, on a terminal only."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.bar = tqdm(disable=True)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Show the bar."""
        self.bar = tqdm(total=self.params["steps"], desc=f"epoch {self.epoch}", disable=None, leave=False)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move it on."""
        self.bar.update()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Take it away."""
        self.bar.close()
