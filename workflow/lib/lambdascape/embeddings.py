"""Every tile of every clip as a point in a space: the trained network's, and the reference spaces beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from lambdascape.errors import InputError
from lambdascape.files import read_text_table
from lambdascape.store import TILE_COLUMNS, Features, open_features, write_embeddings
from lambdascape.triplets import Tiles, gather, lay_tiles, seconds_to_frames, tile_frames

BATCH = 128


def embed_trained(
    features_path: str | Path,
    clips_path: str | Path,
    weights_path: str | Path,
    settings: dict[str, Any],
    seed: int,
    output: str | Path,
) -> None:
    """Embed every tile by the trained network in inference mode.

    Args:
        features_path: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        weights_path: see `network.save_embedder`.
        settings: the run's blocks `triplets`, `network` and `training`.
        seed: of the run.
        output: see `store.write_embeddings`.

    Raises:
        InputError: no clip holds a tile, or the weights belong to another run.
    """
    _embed_by_network(features_path, clips_path, weights_path, settings, seed, output)


def embed_untrained(
    features_path: str | Path, clips_path: str | Path, settings: dict[str, Any], seed: int, output: str | Path
) -> None:
    """Embed every tile by the network with its initial weights, the reference that training must beat."""
    _embed_by_network(features_path, clips_path, None, settings, seed, output)


def embed_mean_logmel(
    features_path: str | Path, clips_path: str | Path, settings: dict[str, Any], output: str | Path
) -> None:
    """Take the mean log-mel frame of each tile as its embedding, shape (tile, mel): the reference without a network."""
    features = open_features(features_path)
    tiles = _all_tiles(features, clips_path, settings)
    starts = tiles.offset[tiles.clip] + tiles.start
    parts = [gather(features.frames, batch, tiles.frames).mean(axis=-2) for batch in _batches(starts)]
    _write(output, np.concatenate(parts), tiles, features, clips_path, {"kind": "mean_logmel"})


def _embed_by_network(
    features_path: str | Path,
    clips_path: str | Path,
    weights_path: str | Path | None,
    settings: dict[str, Any],
    seed: int,
    output: str | Path,
) -> None:
    from lambdascape.network import build_embedder, load_embedder

    features = open_features(features_path)
    tiles = _all_tiles(features, clips_path, settings)
    embedder = build_embedder(tiles.frames, features.frames.shape[1], settings["network"], seed)
    if weights_path:
        load_embedder(embedder, {"settings": settings, "seed": seed}, weights_path)
    starts = tiles.offset[tiles.clip] + tiles.start
    parts = [
        np.asarray(embedder.predict_on_batch(gather(features.frames, batch, tiles.frames)[..., None]))
        for batch in _batches(starts)
    ]
    kind = "trained" if weights_path else "untrained"
    about = {"kind": kind, "settings": settings, "seed": seed}
    _write(output, np.concatenate(parts), tiles, features, clips_path, about)


def _all_tiles(features: Features, clips_path: str | Path, settings: dict[str, Any]) -> Tiles:
    recipe, tile_s = features.about["recipe"], settings["triplets"]["tile_s"]
    sessions = read_text_table(clips_path)["session"].tolist()
    frames, step = tile_frames(tile_s, recipe), seconds_to_frames(tile_s, recipe)
    tiles = lay_tiles(features.clip_start, sessions, np.arange(len(features.clips)), frames, step)
    if not len(tiles.clip):
        raise InputError(
            f"embeddings need a clip of at least one tile ({tile_s} s); all {len(features.clips)} are shorter"
        )
    return tiles


def _batches(starts: npt.NDArray[np.int64]) -> tqdm:
    return tqdm(np.split(starts, range(BATCH, len(starts), BATCH)), desc="embedding", disable=None)


def _write(
    output: str | Path,
    embedding: npt.NDArray[np.float32],
    tiles: Tiles,
    features: Features,
    clips_path: str | Path,
    about: dict[str, Any],
) -> None:
    clips = read_text_table(clips_path)
    table = clips.iloc[tiles.row[tiles.clip]][list(TILE_COLUMNS)].reset_index(drop=True)
    write_embeddings(
        output, embedding, pd.DataFrame(table).assign(start_s=tiles.start / features.frames_per_second), about
    )
