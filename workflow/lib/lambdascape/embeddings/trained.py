"""Every tile of every clip as a point in a space: the trained network's, and the baselines beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from lambdascape.config.settings import RunSettings
from lambdascape.core.errors import InputError
from lambdascape.embeddings.space_file import TILE_COLUMNS, write_embeddings
from lambdascape.features.store import Features, open_features, read_manifest
from lambdascape.features.tile_grid import Tiles, lay_tiles, seconds_to_frames, tile_frames
from lambdascape.jobs import devices
from lambdascape.study.choices import Chosen

if TYPE_CHECKING:
    import keras

BATCH = 128


def embed_trained(
    features_path: str | Path,
    clips_path: str | Path,
    weights_path: str | Path,
    settings: RunSettings,
    seed: int,
    output: str | Path,
    network: Chosen | None = None,
) -> None:
    """Embed every tile by the trained network in inference mode.

    Args:
        features_path: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        weights_path: see `network.save_embedder`.
        settings: of the run.
        seed: of the run.
        output: see `space_file.write_embeddings`.
        network: see `training.train`.

    Raises:
        InputError: no clip holds a tile, or the weights belong to another run.
    """
    embed_by_network("trained", features_path, clips_path, weights_path, settings, seed, output, network)


def embed_mean_logmel(features_path: str | Path, clips_path: str | Path, tile_s: float, output: str | Path) -> None:
    """Take the mean log-mel frame of each tile as its embedding, shape (tile, mel): the baseline without a network."""
    features = open_features(features_path)
    tiles, table = _all_tiles(features, clips_path, tile_s)
    parts = [features.tiles(starts, tiles.frames).mean(axis=-2, dtype=np.float32) for starts in _batches(tiles)]
    write_embeddings(output, np.concatenate(parts), table, {"kind": "mean_logmel"})


def embed_by_network(
    kind: str,
    features_path: str | Path,
    clips_path: str | Path,
    weights_path: str | Path | None,
    settings: RunSettings,
    seed: int,
    output: str | Path,
    network: Chosen | None = None,
    prepare: Callable[["keras.Model", Features], None] | None = None,
) -> None:
    """Embed every tile by a network in inference mode.

    Args:
        kind: of the space, as runs.tsv has it.
        features_path: see `store.open_features`.
        clips_path: the manifest, in the store's order.
        weights_path: see `network.save_embedder`; None for the initial weights.
        settings: of the run.
        seed: of the run.
        output: see `space_file.write_embeddings`.
        network: see `training.train`.
        prepare: is given the network with its weights, before anything is embedded.
    """
    from lambdascape.models.network import build_embedder, load_embedder
    from lambdascape.models.normalisation import PARTS

    devices.start(settings.training.device, settings.training.deterministic)
    features = open_features(features_path)
    tiles, table = _all_tiles(features, clips_path, settings.triplets.tile_s)
    parts = PARTS[settings.training.passes]
    embedder = build_embedder(tiles.frames, features.frames.shape[1], settings.network, seed, parts, network=network)
    if weights_path:
        load_embedder(embedder, {"settings": settings.plain(), "seed": seed}, weights_path)
    if prepare:
        prepare(embedder, features)
    found = [
        np.asarray(embedder.predict_on_batch(features.tiles(starts, tiles.frames)[..., None].astype(np.float32)))
        for starts in _batches(tiles)
    ]
    write_embeddings(output, np.concatenate(found), table, {"kind": kind, "settings": settings.plain(), "seed": seed})


def _all_tiles(features: Features, clips_path: str | Path, tile_s: float) -> tuple[Tiles, pd.DataFrame]:
    """Every tile of every clip, and what the manifest says of each."""
    clips = read_manifest(clips_path, features)
    recipe = features.recipe
    frames, step = tile_frames(tile_s, recipe), seconds_to_frames(tile_s, recipe)
    tiles = lay_tiles(features.clip_start, clips["session"].tolist(), np.arange(len(clips)), frames, step)
    if not len(tiles.clip):
        raise InputError(f"embeddings need a clip of at least one tile ({tile_s} s); all {len(clips)} are shorter")
    table = clips[list(TILE_COLUMNS)].iloc[tiles.row[tiles.clip]].reset_index(drop=True)
    return tiles, table.assign(start_s=tiles.start / features.frames_per_second)


def _batches(tiles: Tiles) -> tqdm:
    """First frames in the store, in batches, with a progress bar on a terminal."""
    starts = tiles.offset[tiles.clip] + tiles.start
    return tqdm(np.split(starts, range(BATCH, len(starts), BATCH)), desc="embedding", disable=None)
