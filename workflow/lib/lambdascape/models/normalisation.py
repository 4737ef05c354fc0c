"""Normalisation: of a batch made of parts, such as the roles of triplets, and of embeddings to length 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

Tensor = Any
Floats = npt.NDArray[Any]
# Below this squared length a row is only scaled, as in TensorFlow's l2_normalize: a zero row has a finite gradient.
SHORTEST_SQUARED = 1e-12
# `separate` normalises anchors, neighbours and distant tiles by their own batch statistics, as three passes through
# the network do in the published study; `joint` normalises them together.
PARTS = {"separate": 3, "joint": 1}
_RECORD: ContextVar[dict[str, Tensor] | None] = ContextVar("record", default=None)  # see `recorded_moments`


class UnitLength(keras.layers.Layer):
    """Bring rows to length 1; the layer of Keras gives no finite gradient for a row of zeros, as dropout may leave."""

    def call(self, inputs: Tensor) -> Tensor:
        """Scale rows: shape (item, dim) to the same shape."""
        squared = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * ops.rsqrt(ops.maximum(squared, SHORTEST_SQUARED))


class PartwiseNormalization(keras.layers.BatchNormalization):
    """Ioffe and Szegedy 2015 (arXiv 1502.03167), in training over each of `parts` equal parts of the batch alone.

    Gives the numbers of as many passes of `keras.layers.BatchNormalization` one after the other, moving averages
    included, so that everything around it runs once on the whole batch. On TensorFlow it is one fused kernel per
    part: the layer of Keras took 45 % of a training step on a CPU.

    Args:
        parts: the size of a batch must be a multiple of it in training.
        options: see `keras.layers.BatchNormalization`.
    """

    def __init__(self, parts: int = 1, **options: Any) -> None:
        super().__init__(autocast=False, **options)  # γ, β and the moving averages stay float32 over narrower inputs
        self.parts = parts

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Normalise: shape (part · item, height, width, channel) to the same shape."""
        if not training:
            return super().call(inputs, training=False, mask=mask)
        normalise = _fused if keras.backend.backend() == "tensorflow" else _plain
        outputs, means, variances = zip(
            *(normalise(part, self.gamma, self.beta, self.epsilon) for part in ops.split(inputs, self.parts)),
            strict=True,
        )
        record = _RECORD.get()
        if record is None:
            self._average(self.moving_mean, means)
            self._average(self.moving_variance, variances)
        else:
            record[self.name] = ops.stack([ops.stack(means), ops.stack(variances)])
        return ops.concatenate(outputs)

    def _average(self, moving: keras.Variable, found: tuple[Tensor, ...]) -> None:
        """Take the parts into the moving average, one after the other."""
        share = (1 - self.momentum) * self.momentum ** np.arange(self.parts - 1, -1, -1)
        moving.assign(moving * self.momentum**self.parts + ops.sum(ops.stack(found) * share[:, None], axis=0))

    def variance_of_step(self, before: Floats, after: Floats) -> Floats:
        """The variance over the batch that one training step has taken into the moving one: mean over the parts.

        Args:
            before: moving variance before the step, shape (channel,).
            after: moving variance after it.

        Returns:
            Shape (channel,), at least 0; known to about 1e-5 of `before`, which is float32.
        """
        kept = self.momentum**self.parts
        return np.maximum((after.astype(np.float64) - kept * before) / (1 - kept), 0)


@contextmanager
def recorded_moments() -> Iterator[dict[str, Tensor]]:
    """Let layers that are called in training mode inside the block leave their moving averages as they are.

    Yields:
        Name of each layer that was called to the moments of its batch: means and variances over the items of each part,
        shape (2, part, channel).
    """
    found: dict[str, Tensor] = {}
    before = _RECORD.set(found)
    try:
        yield found
    finally:
        _RECORD.reset(before)


def _fused(part: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """TensorFlow's kernel; it gives the variance of a sample (n - 1), Keras averages that of the batch (n)."""
    import tensorflow as tf

    found = tf.raw_ops.FusedBatchNormV3(
        x=part, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = ops.cast(ops.size(part) / part.shape[-1], "float32")
    return found.y, found.batch_mean, found.batch_variance * ((count - 1) / count)


def _plain(part: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance = ops.moments(ops.cast(part, "float32"), axes=(0, 1, 2))
    scale = gamma * ops.rsqrt(variance + epsilon)
    return ops.cast(part * scale + (beta - mean * scale), part.dtype), mean, variance
