"""ResNet18 as functions of tensors, and the embedder: tiles of log-mel frames in, points on the unit sphere out.

He et al. 2016 (arXiv 1512.03385), basic blocks [2, 2, 2, 2], in the form of the published study: convolutions with
biases where asked, batch normalisation with the defaults of Keras, 1×1 projections where the shape changes.
"""

import json
import os
from pathlib import Path
from typing import Any

# A file in the user's home may name another backend; the jobs say which one they mean.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import h5py
import keras
from keras import layers, ops

from lambdascape.errors import InputError
from lambdascape.files import atomic_path
from lambdascape.mfcc import mfcc_matrix
from lambdascape.normalisation import PartwiseNormalization

Tensor = Any
STAGES = 4
BLOCKS_PER_STAGE = 2


def build_embedder(frames: int, mels: int, settings: dict[str, Any], seed: int, parts: int = 1) -> keras.Model:
    """Build the embedder with fresh weights.

    Args:
        frames: frames of a tile.
        mels: mel bands.
        settings: `input` (`logmel`, or `mfcc`: the first `n_mfcc` cepstral coefficients of a frame), `width` (filters
            of the stem; 64 is ResNet18), `conv_biases`, `dropout` (0 to 1), `embedding_dim`, `l2` (λ: the penalty is
            λ·Σw² over the kernels and biases of every convolution, nothing else).
        seed: of the initial weights and of dropout; the weights do not depend on `l2`.
        parts: equal parts of a training batch that are normalised each for itself, see `PartwiseNormalization`.

    Returns:
        Model from shape (tile, frame, mel, 1) to shape (tile, dim), rows of length 1.
    """
    keras.utils.set_random_seed(seed)
    tiles = keras.Input((frames, mels, 1), name="tiles")
    pooled = layers.GlobalAveragePooling2D(name="pool")(_backbone(_seen(tiles, settings), settings, parts))
    dropped = layers.Dropout(settings["dropout"], seed=seed, name="dropout")(pooled)
    embedding = layers.Dense(settings["embedding_dim"], name="embedding")(dropped)
    return keras.Model(tiles, layers.UnitNormalization(name="unit_norm")(embedding), name="embedder")


def _seen(tiles: Tensor, settings: dict[str, Any]) -> Tensor:
    """What the convolutions see, shape (tile, frame, mel or coefficient, 1)."""
    if settings["input"] == "logmel":
        return tiles
    matrix = mfcc_matrix(tiles.shape[2], settings["n_mfcc"])
    return ops.expand_dims(ops.matmul(ops.squeeze(tiles, -1), matrix), -1)


def _backbone(tiles: Tensor, settings: dict[str, Any], parts: int) -> Tensor:
    x = _normalised_convolution(tiles, settings["width"], 7, 2, settings, parts, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage in range(STAGES):
        for block in range(BLOCKS_PER_STAGE):
            stride = 2 if stage > 0 and block == 0 else 1
            filters, name = settings["width"] * 2**stage, f"stage{stage + 1}_block{block + 1}"
            x = _basic_block(x, filters, stride, settings, parts, name)
    return x


def _basic_block(x: Tensor, filters: int, stride: int, settings: dict[str, Any], parts: int, name: str) -> Tensor:
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _normalised_convolution(x, filters, 1, stride, settings, parts, f"{name}_shortcut")
    y = _normalised_convolution(x, filters, 3, stride, settings, parts, f"{name}_first")
    y = layers.ReLU(name=f"{name}_first_relu")(y)
    y = _normalised_convolution(y, filters, 3, 1, settings, parts, f"{name}_second")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, shortcut]))


def _normalised_convolution(
    x: Tensor, filters: int, size: int, stride: int, settings: dict[str, Any], parts: int, name: str
) -> Tensor:
    penalty = keras.regularizers.L2(settings["l2"]) if settings["l2"] else None
    x = layers.Conv2D(
        filters,
        size,
        stride,
        padding="same",
        use_bias=settings["conv_biases"],
        kernel_regularizer=penalty,
        bias_regularizer=penalty,
        name=f"{name}_conv",
    )(x)
    return PartwiseNormalization(parts, name=f"{name}_norm")(x)


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
        InputError: the file is no weights file, or its weights were made by another run.
    """
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            found = json.loads(str(file.attrs.get("about", "{}")))
    except OSError as error:
        raise InputError(f"{path}: must be a weights file of this study; {error}") from None
    if found != about:
        raise InputError(f"{path}: must hold the weights of {about}; it holds those of {found}. Delete it and rerun.")
    embedder.load_weights(path)
