"""The triplets of a run: those learned from, epoch by epoch, and those that are measured, the same for all seeds."""

from pathlib import Path

import numpy as np

from lambdascape.config.settings import Triplets
from lambdascape.core.errors import InputError
from lambdascape.features.store import Features, read_manifest
from lambdascape.features.tile_grid import Ints, Tiles, lay_tiles, seconds_to_frames, tile_frames
from lambdascape.models.triplets import check_within, sample_triplets

# What the rows of a history are means of: the triplets learned from, over the epoch and in training mode; and, after it
# and in inference mode, fixed training triplets and the held-out ones, which are the same for all seeds.
TRAIN, TRAIN_INFERENCE, TEST = SPLITS = ("train", "train_inference", "test")
FIXED_SPLITS = {TRAIN_INFERENCE: "train", TEST: "test"}  # to the part of the data that they lie in
FIXED_SEED, FIXED_EPOCH = 0, 0  # of those draws
MOST_FIXED = 1024  # training triplets of them; no more than there are held-out ones


def split_tiles(features: Features, clips_path: str | Path, test_fold: str, tile_s: float) -> dict[str, Tiles]:
    """Lay the tiles of the training clips and of the held-out fold.

    Returns:
        The tiles of `train` and `test`.

    Raises:
        InputError: the manifest and the store disagree, or no clip lies in the test fold or none outside it.
    """
    clips = read_manifest(clips_path, features)
    held_out = (clips["fold"] == test_fold).to_numpy()
    if held_out.all() or not held_out.any():
        folds = ", ".join(sorted(set(clips["fold"])))
        raise InputError(
            f"split.test_fold must be one of at least two folds of the data set ({folds}); got {test_fold!r}"
        )
    recipe = features.recipe
    frames, step = tile_frames(tile_s, recipe), seconds_to_frames(tile_s, recipe)
    sessions = clips["session"].tolist()
    return {
        split: lay_tiles(features.clip_start, sessions, np.flatnonzero(chosen), frames, step)
        for split, chosen in (("train", ~held_out), ("test", held_out))
    }


def epoch_triplets(
    features: Features, tiles: dict[str, Tiles], settings: Triplets, seed: int, epoch: int, split: str
) -> Ints:
    """First frames of the triplets of an epoch, none of which lies in another split.

    Args:
        features: see `store.open_features`.
        tiles: of `train` and `test`, see `split_tiles`.
        settings: which tiles make a triplet.
        seed: of the run, or `FIXED_SEED`.
        epoch: from 1, or `FIXED_EPOCH`.
        split: `train` or `test`.

    Returns:
        Shape (triplet, 3), in the order in which they are learned.

    Raises:
        InputError: see `triplets.sample_triplets`.
    """
    reach = seconds_to_frames(settings.neighbourhood_s, features.recipe)
    starts, _ = sample_triplets(tiles[split], reach, settings.distant, seed, epoch, split)
    check_within(starts, tiles[split].frames, features.clip_start, tiles[split].row, split)
    return starts


def fixed_triplets(features: Features, tiles: dict[str, Tiles], settings: Triplets) -> dict[str, Ints]:
    """First frames of the triplets that are measured in inference mode: one draw, whatever the run's seed.

    Returns:
        `train_inference`: training triplets, as many as held-out ones but at most `MOST_FIXED`; `test`: a triplet for
        each held-out anchor.
    """
    drawn = {
        split: epoch_triplets(features, tiles, settings, FIXED_SEED, FIXED_EPOCH, part)
        for split, part in FIXED_SPLITS.items()
    }
    count = min(len(drawn[TEST]), MOST_FIXED)
    return drawn | {TRAIN_INFERENCE: drawn[TRAIN_INFERENCE][:count]}
