"""The embedder around a network: tiles of log-mel in, points on the unit sphere out."""

import json
import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A file in the user's home may name another backend; the jobs say which one they mean.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import h5py
import keras
from keras import layers, ops

from lambdascape.config.settings import Network
from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path
from lambdascape.core.hdf5 import check_own_data
from lambdascape.features.mfcc import mfcc_matrix
from lambdascape.jobs.call import find
from lambdascape.models.normalisation import PartwiseNormalization, UnitLength
from lambdascape.study.choices import Choices, Chosen

Tensor = Any


def build_embedder(
    frames: int,
    mels: int,
    settings: Network,
    seed: int,
    parts: int = 1,
    precision: str = "float32",
    network: Chosen | None = None,
) -> keras.Model:
    """Build the embedder with fresh weights.

    Args:
        frames: frames of a tile.
        mels: mel bands.
        settings: of the network, with the keys of its architecture. The penalty is λ·Σw² over kernels and biases, never
            over batch normalisation; η · mean of ‖z‖² is over the embeddings before they are brought to length 1.
        seed: of the initial weights and of dropout; the weights do not depend on `l2`.
        parts: equal parts of a training batch that are normalised each for itself, see `PartwiseNormalization`.
        precision: of the layers' arithmetic, `float32` or `bfloat16`; weights, embeddings and penalties are float32.
        network: `task` and `settings` of the network, see `study.choices`; None for one of the package.

    Returns:
        Model from shape (tile, frame, mel, 1) to shape (tile, dim), rows of length 1.

    Raises:
        InputError: the network does not give a map of features.
    """
    network = network or Choices().of_network(settings.plain())
    backbone: Callable[..., Tensor] = find(network.task["name"])
    # Keras' initialisers take their seeds from here; `keras.utils.set_random_seed` would import TensorFlow beside JAX.
    random.seed(seed)
    with _computing_in(precision):
        tiles = keras.Input((frames, mels, 1), name="tiles")
        features = backbone(_seen(tiles, settings), _convolution(settings, parts), **network.keys)
        if len(features.shape) != 4:
            rule = "a network must give a tensor of shape (tile, height, width, channel)"
            raise InputError(f"{settings.architecture}: {rule}; got {features.shape}")
        pooled = layers.GlobalAveragePooling2D(name="pool")(features)
        dropped = layers.Dropout(settings.dropout, seed=seed, name="dropout")(pooled)
        embedding = layers.Dense(
            settings.embedding_dim,
            **_penalties(settings, "head"),
            activity_regularizer=_l2(settings.embedding_norm_penalty),  # Keras divides by the size of the batch
            dtype="float32",
            name="embedding",
        )(dropped)
        unit = UnitLength(dtype="float32", name="unit_length")(embedding)
        return keras.Model(tiles, unit, name="embedder")


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    """Give the layers that are made in the block their arithmetic; mixed: variables stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _penalties(settings: Network, part: str) -> dict[str, Any]:
    """The regularisers of a layer in `convs` or `head`, as its arguments."""
    penalty = _l2(settings.l2) if settings.l2_scope in (part, "all") else None
    return {"kernel_regularizer": penalty, "bias_regularizer": penalty}


def _l2(factor: float) -> keras.regularizers.L2 | None:
    return keras.regularizers.L2(factor) if factor else None


def _seen(tiles: Tensor, settings: Network) -> Tensor:
    """What the convolutions see, shape (tile, frame, mel or coefficient, 1)."""
    if settings.input == "logmel":
        return tiles
    matrix = mfcc_matrix(tiles.shape[2], settings.n_mfcc)
    return ops.expand_dims(ops.matmul(ops.squeeze(tiles, -1), matrix), -1)


def _convolution(settings: Network, parts: int) -> Callable[[Tensor, int, int, int, str], Tensor]:
    def convolution(x: Tensor, filters: int, size: int, stride: int, name: str) -> Tensor:
        x = layers.Conv2D(
            filters,
            size,
            stride,
            padding="same",
            use_bias=settings.conv_biases,
            **_penalties(settings, "convs"),
            name=f"{name}_conv",
        )(x)
        return PartwiseNormalization(parts, name=f"{name}_norm")(x)

    return convolution


def save_embedder(embedder: keras.Model, about: dict[str, Any], path: str | Path) -> None:
    """Save the weights atomically, with what they are stored beside them.

    Args:
        embedder: see `build_embedder`.
        about: plain values: the run's settings and seed, compared when the weights are loaded.
        path: must end in `.weights.h5`, which Keras asks for.
    """
    with atomic_path(path) as temporary:
        embedder.save_weights(temporary)
        with h5py.File(temporary, "r+") as file:
            file.attrs["about"] = json.dumps(about, sort_keys=True)


def load_embedder(embedder: keras.Model, about: dict[str, Any], path: str | Path) -> None:
    """Load weights into an embedder of the same settings.

    Raises:
        InputError: the file is no weights file, its weights are another run's or network's, or it points out of itself.
    """
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            check_own_data(file)
            found = json.loads(str(file.attrs.get("about", "{}")))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: must be a weights file of this study; {error}") from None
    if found != about:
        raise InputError(f"{path}: must hold the weights of {about}; it holds those of {found}. Delete it and rerun.")
    try:
        with warnings.catch_warnings(
            action="error", category=UserWarning
        ):  # Keras only warns where a layer's weights are missing
            embedder.load_weights(path)
    except (KeyError, ValueError, UserWarning) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: must hold the weights of this network; {first}. Delete it and rerun.") from None
