"""A trained embedder outside its study: one `.keras` file of the workflow, and audio files through it.

from lambdascape.exports.embedder import load

embedder = load("results/demo/exports/models/l2~0.01_seed~1/embedder.keras")
start_s, embedding = embedder.embed("file.wav")  # (tile,) in seconds, (tile, dim)
"""

import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import soundfile

from lambdascape.config.settings import FeatureRecipe, Network
from lambdascape.core.errors import InputError
from lambdascape.core.hdf5 import check_own_data
from lambdascape.exports.saved_model import ABOUT, FORMAT, standard
from lambdascape.features.decode import read_mono
from lambdascape.features.logmel import LogMel
from lambdascape.features.tile_grid import seconds_to_frames, tile_frames

BATCH = 128
FILE, WEIGHTS = "embedder.keras", "model.weights.h5"
LONGEST_TEXT = 1 << 20  # bytes of the recipe
DENSEST = 10  # times a file's size; weights hardly compress, so a file that claims more is refused
# What a recipe may ask for, so that a file from a stranger cannot ask for all memory.
MOST = {"sr": 1_000_000, "n_fft": 1 << 20, "win_length": 1 << 20, "hop_length": 1 << 20, "n_mels": 4096}
LONGEST_TILE = 3600.0  # seconds


@dataclass(frozen=True)
class Embedder:
    """A network with the recipe of its input.

    Attributes:
        about: what the export tells: `recipe`, `settings`, `seed`, `study`, `run`, `dataset`, versions.
        network: a Keras model from log-mel tiles, shape (tile, frame, mel, 1), to shape (tile, dim).
    """

    about: dict[str, Any]
    network: Any

    @cached_property
    def recipe(self) -> FeatureRecipe:
        """The settings by which audio becomes frames."""
        return FeatureRecipe.of(self.about["recipe"])

    @property
    def tile_s(self) -> float:
        """Length of a tile in seconds."""
        return float(self.about["settings"]["triplets"]["tile_s"])

    def channels_of(self, path: str | Path) -> list[int | None]:
        """The channels of a file that the study would hear, from 1; None is the mean of all.

        Raises:
            InputError: the file cannot be read.
        """
        heard = self.about["dataset"]["channels"]
        if heard != "each":
            return [1 if heard == "first" else None]
        try:
            return list(range(1, soundfile.info(path).channels + 1))
        except (OSError, TypeError, soundfile.SoundFileError) as error:
            raise InputError(f"{path}: must be audio that libsndfile can decode; {error}") from None

    def embed(
        self, path: str | Path, hop_s: float | None = None, channel: int | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Embed every tile of an audio file, by the same steps as the study did.

        Args:
            path: audio that libsndfile reads; another rate is resampled.
            hop_s: seconds from one tile's start to the next, a whole number of the recipe's hops; None: the length of
                a tile, as in the study.
            channel: of the file, from 1; None for the mean of all, see `channels_of`.

        Returns:
            Starts of the tiles in seconds, shape (tile,); embeddings, shape (tile, dim), float32, rows of length 1.

        Raises:
            InputError: the file is no audio (see `decode.read_mono`) or shorter than a tile; `hop_s` is none.
        """
        recipe = self.recipe
        step = _step(self.tile_s if hop_s is None else hop_s, recipe)
        length, bands = self.network.input_shape[1:3]
        blocks = list(LogMel(recipe).stream(read_mono(path, recipe.sr, channel)))
        frames = np.concatenate([np.empty((0, bands), np.float16), *blocks])  # (frame, mel), as the store has them
        if len(frames) < length:
            seconds = len(frames) * recipe.hop_length / recipe.sr
            raise InputError(f"{path}: must be as long as a tile of {self.tile_s:g} s; it has about {seconds:.2f} s")
        starts = np.arange(0, len(frames) - length + 1, step)
        parts = [
            np.asarray(self.network.predict_on_batch(frames[rows[:, None] + np.arange(length)][..., None].astype("f4")))
            for rows in _batches(starts)
        ]
        return starts * recipe.hop_length / recipe.sr, np.concatenate(parts)


def _step(hop_s: float, recipe: FeatureRecipe) -> int:
    least = recipe.hop_length / recipe.sr
    try:
        step = seconds_to_frames(hop_s, recipe)
    except InputError:
        step = 0
    if step < 1:
        raise InputError(f"the hop must be a whole number of hops of {1000 * least:g} ms; got {hop_s:g} s")
    return step


def _batches(starts: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for first in range(0, len(starts), BATCH):
        yield starts[first : first + BATCH]


def load(path: str | Path) -> Embedder:
    """Load an embedder that `export_model` wrote.

    Nothing in the file is executed, and no network is built from its description: the network follows from its
    settings, as in the study, and takes the file's weights where they fit.

    Args:
        path: an `embedder.keras`, or the folder that holds it.

    Raises:
        InputError: there is no such file, or it is no whole export of this workflow.
    """
    from lambdascape.models.network import build_embedder

    file = _file(Path(path))
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / WEIGHTS
        about = _unpack(file, weights)
        frames, mels, network = _checked(file, about, weights)
        try:
            model = standard(build_embedder(frames, mels, network, 0))
            with warnings.catch_warnings(action="error", category=UserWarning):  # a missing layer only makes one
                model.load_weights(weights)
        except (AttributeError, KeyError, OSError, TypeError, ValueError, UserWarning) as error:
            first = str(error).strip().partition("\n")[0]
            raise InputError(f"{file}: must hold the weights of its network; {first}") from None
    return Embedder(about, model)


def _file(path: Path) -> Path:
    if path.is_dir():
        if (path / FILE).is_file():
            return path / FILE
        trained = "; it holds a trained run, which `make run TARGET=exports` exports"
        hint = trained if (path / "embedder.weights.h5").exists() else ""
        raise InputError(f"{path}: must hold {FILE}{hint}")
    if not path.is_file():
        raise InputError(f"{path}: must be an exported embedder ({FILE}) or its folder; there is none")
    return path


def _unpack(file: Path, weights: Path) -> dict[str, Any]:
    """Write the weights of an export to a file of their own; returns what it tells of itself."""
    rule = f"{file}: must be an embedder that this workflow exported"
    try:
        with zipfile.ZipFile(file) as packed:
            if ABOUT not in packed.namelist() or WEIGHTS not in packed.namelist():
                raise InputError(f"{rule}; it lacks {ABOUT} or {WEIGHTS}")
            if packed.getinfo(ABOUT).file_size > LONGEST_TEXT:
                raise InputError(f"{rule}; its {ABOUT} is too long")
            about = json.loads(packed.read(ABOUT))
            entry = packed.getinfo(WEIGHTS)
            if entry.file_size > DENSEST * max(entry.compress_size, LONGEST_TEXT):
                raise InputError(f"{rule}; its weights would unpack to {entry.file_size:,} bytes")
            with packed.open(entry) as source, weights.open("wb") as target:
                while block := source.read(LONGEST_TEXT):
                    target.write(block)
    except InputError:
        raise
    # Beside what a damaged file gives: zipfile raises NotImplementedError for a compression that it does not know, and
    # RuntimeError for an encrypted file.
    except (OSError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise InputError(f"{rule}; {error}") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{rule}, of format {FORMAT}; its {ABOUT} is of another one")
    return about


def _checked(file: Path, about: dict[str, Any], weights: Path) -> tuple[int, int, Network]:
    """Frames, mel bands and settings of the network, where they are reasonable and the weights' shapes agree."""
    from lambdascape.models.networks.resnet import DEPTHS

    rule = f"{file}: {ABOUT} must tell a recipe and a network"
    try:
        recipe, network = about["recipe"], about["settings"]["network"]
        tile_s, heard = float(about["settings"]["triplets"]["tile_s"]), about["dataset"]["channels"]
        wrong = [key for key, most in MOST.items() if not (type(recipe[key]) is int and 1 <= recipe[key] <= most)]
        if wrong or not 0 < tile_s <= LONGEST_TILE or heard not in ("mean", "first", "each"):
            raise InputError(f"{rule} within reason; {', '.join(wrong) or 'tile_s or channels'} is not")
        if network["architecture"] not in DEPTHS:
            rule = f"{file}: must hold a network of the package ({', '.join(DEPTHS)}); it holds"
            raise InputError(f"{rule} {str(network['architecture'])[:40]!r}, which keras.saving.load_model can load")
        width, dim = network["width"], network["embedding_dim"]
        with h5py.File(weights, "r", locking="best-effort") as stored:
            check_own_data(stored)
            shapes: set[tuple[int, ...]] = set()
            stored.visititems(lambda _, item: shapes.add(item.shape) if isinstance(item, h5py.Dataset) else None)
        # The largest kernels and the embedding: then no more memory is asked for than the file has weights.
        filters = width * 2 ** (len(DEPTHS[network["architecture"]]) - 1)
        if not {(3, 3, filters, filters), (dim,)} <= shapes:
            raise InputError(f"{rule} whose weights are in it; those of width {width} and dimension {dim} are not")
        return tile_frames(tile_s, FeatureRecipe.of(recipe)), recipe["n_mels"], Network.of(network)
    except InputError as error:
        raise InputError(str(error).replace(str(weights), str(file))) from None
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f"{rule}; {type(error).__name__}: {error}") from None
