"""A run's embedder as one file that Keras alone can load: standard layers, weights, and the recipe of its input."""

import json
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lambdascape.config.settings import RunSettings
from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path, file_digest
from lambdascape.features.store import Features, open_features
from lambdascape.features.tile_grid import tile_frames
from lambdascape.jobs import devices
from lambdascape.study.choices import Chosen

if TYPE_CHECKING:
    import keras

FORMAT = 2
ABOUT = "lambdascape.json"  # in the zip file that a .keras file is
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "h5py")
TILES = 64  # on which an export is compared with the network that it was made from
TOLERANCE, TOLERANCE_ONNX = 1e-5, 1e-4  # of each number of an embedding, whose length is 1
ONNX = ("onnx", "tf2onnx", "onnxruntime")


def export_model(
    weights_path: str | Path,
    features_path: str | Path,
    settings: RunSettings,
    seed: int,
    facts: dict[str, Any],
    output: str | Path,
    network: Chosen | None = None,
) -> None:
    """Write a trained embedder as `.keras`, and hold what Keras loads from it against the network of the run.

    The model takes log-mel tiles, shape (tile, frame, mel, 1), float32, and gives embeddings, shape (tile, dim), of
    length 1. It consists of Keras' own layers, so that `keras.saving.load_model(output)` needs nothing of this
    package. Keras ignores the further member `lambdascape.json`, which says how audio becomes such tiles.

    Args:
        weights_path: see `network.save_embedder`.
        features_path: see `store.open_features`.
        settings: of the run.
        seed: of the run.
        facts: plain values to be told of it: `study`, `run`, `dataset` (`name`, `title`, `licence`, `channels`),
            `test_fold`.
        output: must end in `.keras`.
        network: see `training.train`.

    Raises:
        InputError: the weights are another run's, or the export gives other embeddings than they do.
    """
    from lambdascape.models.network import build_embedder, load_embedder

    devices.start(settings.training.device, settings.training.deterministic)
    features = open_features(features_path)
    recipe, mels = features.recipe, features.frames.shape[1]
    frames = tile_frames(settings.triplets.tile_s, recipe)
    embedder = build_embedder(frames, mels, settings.network, seed, network=network)
    load_embedder(embedder, {"settings": settings.plain(), "seed": seed}, weights_path)
    about = facts | {
        "format": FORMAT,
        "settings": settings.plain(),
        "seed": seed,
        "recipe": recipe.plain(),
        "weights_sha256": file_digest(weights_path),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }
    with atomic_path(output) as temporary:
        standard(embedder).save(temporary)
        with zipfile.ZipFile(temporary, "a") as packed:
            packed.writestr(ABOUT, json.dumps(about, indent=1, sort_keys=True))
        tiles = checked_tiles(features, frames)
        _hold(_loaded(temporary).predict_on_batch(tiles), embedder.predict_on_batch(tiles), TOLERANCE, output)


def read_about(path: str | Path) -> dict[str, Any]:
    """What a file of `export_model` tells of itself, without loading its network."""
    with zipfile.ZipFile(path) as packed:
        return dict(json.loads(packed.read(ABOUT)))


def standard(embedder: "keras.Model") -> "keras.Model":
    """The same embedder, for inference, out of layers that Keras itself has; also a copy of its weights."""
    import keras

    from lambdascape.models.normalisation import PartwiseNormalization, UnitLength

    def in_keras(layer: Any) -> Any:
        options = layer.get_config()
        if isinstance(layer, PartwiseNormalization):
            return keras.layers.BatchNormalization.from_config(options)
        if isinstance(layer, UnitLength):
            return keras.layers.UnitNormalization(name=options["name"], dtype=options["dtype"])
        return type(layer).from_config(options)

    copy = keras.models.clone_model(embedder, clone_function=in_keras)
    copy.set_weights(embedder.get_weights())
    return copy


def checked_tiles(features: Features, frames: int) -> npt.NDArray[np.float32]:
    """The first tiles of clips from all over a data set: shape (tile, frame, mel, 1).

    Raises:
        InputError: no clip holds a tile.
    """
    usable = np.flatnonzero(np.diff(features.clip_start) >= frames)
    if not len(usable):
        raise InputError(f"{features.path}: a clip must hold a tile of {frames} frames; none does")
    clips = usable[np.unique(np.linspace(0, len(usable) - 1, TILES).round().astype(int))]
    return features.tiles(features.clip_start[clips], frames)[..., None].astype(np.float32)


def export_onnx(model_path: str | Path, features_path: str | Path, output: str | Path) -> None:
    """Write an exported embedder as ONNX, and hold what onnxruntime computes from it against what Keras does.

    Args:
        model_path: a file of `export_model`.
        features_path: see `store.open_features`.
        output: must end in `.onnx`. Its input has the shape (tile, frame, mel, 1) with any number of tiles.

    Raises:
        InputError: a package for it is missing, or onnxruntime gives other embeddings than Keras.
    """
    _require_onnx()
    import onnxruntime

    model = _loaded(model_path)
    tiles = checked_tiles(open_features(features_path), model.input_shape[1])
    expected = model.predict_on_batch(tiles)  # Keras 3.15 exports only models that have been called
    with atomic_path(output) as temporary:
        model.export(temporary, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: tiles})
        _hold(found, expected, TOLERANCE_ONNX, output)


def _require_onnx() -> None:
    missing = [name for name in ONNX if not _is_installed(name)]
    if missing:
        raise InputError(
            f"exports.onnx: needs the packages {', '.join(ONNX)}; {', '.join(missing)} missing. "
            "`make env EXTRA=onnx` adds them"
        )


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _loaded(path: str | Path) -> "keras.Model":
    """A file that the workflow has just written, as any user of Keras would load it."""
    import keras

    return keras.saving.load_model(path, compile=False)


def _hold(found: Any, expected: Any, tolerance: float, output: str | Path) -> None:
    """Stop where embeddings differ by more than the tolerance, or are no numbers."""
    apart = float(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)).max())
    if not apart <= tolerance:
        raise InputError(f"{output}: must give the run's own embeddings within {tolerance:g}; they differ by {apart:g}")
    print(
        f"{output}: differs from the run's own network by {apart:.1e} at most, over {len(expected)} tiles", flush=True
    )
