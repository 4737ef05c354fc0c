"""Which tiles the published study's probe sees in an epoch: each one as often as the others, or those of triplets."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lambdascape.config.settings import Triplets
from lambdascape.core.errors import InputError
from lambdascape.embeddings.space_file import read_places
from lambdascape.embeddings.splits import Integers, LabelledSpace, Mask
from lambdascape.features.tile_grid import lay_tiles
from lambdascape.models.triplets import sample_triplets

PASSES = 3  # over the tiles in an epoch; as anchor, as neighbour and, on average, as distant tile
# Of an epoch (from 1): the tiles to train on, in their order, or those of a split to score, as positions in the space.
Draw = Callable[[int], Integers]


def even_draws(space: LabelledSpace, seed: int) -> tuple[Draw, dict[str, Draw]]:
    """Every tile three times, in three random orders, to train on; every tile once to score.

    Args:
        space: the labelled tiles.
        seed: with the epoch, of the orders.

    Returns:
        The draw to train on; those to score, by split (train, test).
    """
    train, test = np.flatnonzero(~space.test), np.flatnonzero(space.test)
    return lambda epoch: three_passes(train, seed, epoch), {"train": lambda _: train, "test": lambda _: test}


def three_passes(rows: Integers, seed: int, epoch: int) -> Integers:
    """The tiles `rows` in three random orders, one after the other: a pure function of its arguments."""
    rng = np.random.default_rng([seed, epoch])
    return rows[np.concatenate([rng.permutation(len(rows)) for _ in range(PASSES)])]


def triplet_draws(
    embeddings_path: str | Path, space: LabelledSpace, triplets: Triplets, seed: int
) -> tuple[Draw, dict[str, Draw]]:
    """The tiles of triplets that are drawn anew in every epoch, to train on and to score, as the published code does.

    The rule is that of training, on the tiles that have an embedding: every tile with a neighbour is an anchor once,
    the neighbour is a tile of the same clip, the distant tile one of another. So a tile counts once as anchor, about
    once as neighbour, and as often as chance has it as distant tile.

    Args:
        embeddings_path: the file that `space` was read from.
        space: the labelled tiles.
        triplets: which tiles make a triplet.
        seed: with the epoch and the split, of the triplets.

    Returns:
        The draw to train on, one triplet after the other: anchor, neighbour, distant; those to score, by split
        (train, test): the former are the tiles that the epoch trained on.

    Raises:
        InputError: no clip of a split has two tiles, or a split has one clip (or session) only.
    """
    clip, start_s = read_places(embeddings_path)
    clip, start_s = clip[space.row], start_s[space.row]
    draws = {
        split: _draw(space, rows, clip, start_s, triplets, seed, split)
        for split, rows in (("train", ~space.test), ("test", space.test))
    }
    return draws["train"], draws


def _draw(
    space: LabelledSpace,
    rows: Mask,
    clip: Integers,
    start_s: npt.NDArray[np.float64],
    triplets: Triplets,
    seed: int,
    split: str,
) -> Draw:
    """The draw of one split, by the sampler of training: its unit of time is here the tile in place of the frame."""
    here = np.flatnonzero(rows)
    order = here[np.lexsort((start_s[here], clip[here]))]  # by clip, then time
    first = np.flatnonzero(np.diff(clip[order], prepend=-1))  # (clip,)
    if len(first) == len(order):
        raise InputError(
            f"probes.by_epoch.tiles: triplets needs a labelled clip of two tiles in the {split} split; its "
            f"{len(first)} clips have one each. Take shorter tiles, or tiles: even"
        )
    sessions = [space.sessions[number] for number in space.session[order[first]]]
    tiles = lay_tiles(np.append(first, len(order)), sessions, np.arange(len(first)), frames=1, step=1)
    reach = math.floor(triplets.neighbourhood_s / triplets.tile_s + 1e-9)  # tiles

    def draw(epoch: int) -> Integers:
        starts, _ = sample_triplets(tiles, reach, triplets.distant, seed, epoch, split)  # (triplet, 3)
        return order[starts.ravel()]

    return draw
