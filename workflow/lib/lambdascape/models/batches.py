"""The tiles of a batch of triplets: gathered by the host while a step runs, or on the accelerator inside the step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lambdascape.core.errors import InputError
from lambdascape.features.store import Features
from lambdascape.features.tile_grid import Ints

Tensor = Any
AHEAD = 2  # batches that wait for the step


class TileSource(keras.layers.Layer):
    """Turn what the host sends into tiles: it sends the tiles themselves, or where they start in frames that are here.

    Args:
        frames: shape (frame, mel), float16, put on the device that computes; none where the host sends tiles.
        length: frames of a tile.
    """

    def __init__(self, frames: npt.NDArray[np.float16] | None = None, length: int = 0) -> None:
        super().__init__(name="tiles")
        self.length = length
        # Without autocast: the whole store would be made float32 at every step.
        self.frames = (
            None if frames is None else keras.Variable(frames, trainable=False, dtype="float16", autocast=False)
        )

    def call(self, batch: Tensor) -> Tensor:
        """Tiles of shape (triplet, 3, frame, mel), float32, of tiles in any precision or of starts (triplet, 3)."""
        if self.frames is None:
            return ops.cast(batch, "float32")
        rows = ops.expand_dims(batch, -1) + ops.arange(self.length, dtype="int32")
        return ops.cast(ops.take(self.frames, rows, axis=0), "float32")


class Batches(keras.utils.PyDataset):
    """The triplets of one epoch in batches, the last one smaller.

    Args:
        features: see `store.open_features`.
        starts: shape (triplet, 3), first frames of the tiles, in order.
        length: frames of a tile.
        size: triplets of a batch.
        resident: whether the frames lie where the step runs, so that a batch is nothing but its starts.
    """

    def __init__(self, features: Features, starts: Ints, length: int, size: int, resident: bool = False) -> None:
        super().__init__(workers=AHEAD, max_queue_size=AHEAD)
        self.features = features
        self.starts = starts
        self.length = length
        self.size = size
        self.resident = resident
        self.failed: InputError | None = None

    def __len__(self) -> int:
        return -(-len(self.starts) // self.size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[Any]]:
        """Batch `number`: shape (triplet, 3, frame, mel), float16; or, resident, (triplet, 3), int32."""
        chosen = self.starts[number * self.size : (number + 1) * self.size]
        return (chosen.astype(np.int32) if self.resident else self.features.tiles(chosen, self.length),)

    def stream(self) -> Any:
        """In the form that the backend takes fastest: Keras itself would make two batches in vain for TensorFlow."""
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        shape, kind = ((None, 3), tf.int32) if self.resident else ((None, 3, self.length, self._bands), tf.float16)
        dataset = tf.data.Dataset.from_generator(self._each, output_signature=(tf.TensorSpec(shape, kind),))
        return dataset.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(AHEAD)

    @property
    def _bands(self) -> int:
        return int(self.features.frames.shape[1])

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let an `InputError` of a batch come out of the block as itself: TensorFlow wraps what a generator raises."""
        try:
            yield
        except Exception:
            if self.failed:
                raise self.failed from None
            raise

    def _each(self) -> Iterator[tuple[npt.NDArray[Any]]]:
        try:
            for number in range(len(self)):
                yield self[number]
        except InputError as error:
            self.failed = error
            raise
