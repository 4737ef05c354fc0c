"""Which tiles form a triplet: an anchor, a neighbour near it in time, and a distant tile from elsewhere."""

import numpy as np

from lambdascape.core.errors import InputError
from lambdascape.features.tile_grid import Ints, Tiles

# Streams of random numbers, from 1: numpy takes the keys (seed, epoch) and (seed, epoch, 0) for one.
STREAMS = {"train": 1, "test": 2, "dropout": 3}


def anchors(tiles: Tiles, neighbourhood: int) -> Ints:
    """Positions of the tiles that have a neighbour, each an anchor once an epoch, shape (anchor,), ascending.

    Args:
        tiles: see `lay_tiles`.
        neighbourhood: largest distance between the starts of anchor and neighbour, in frames.
    """
    return np.flatnonzero(_reach(tiles, neighbourhood).sum(axis=1) > 0)


def sample_triplets(
    tiles: Tiles, neighbourhood: int, distant: str, seed: int, epoch: int, split: str
) -> tuple[Ints, Ints]:
    """Draw the triplets of one epoch, in the order in which they are learned: a pure function of its arguments.

    Every tile that has a neighbour is an anchor once. Its neighbour is a tile of the same clip that does not overlap
    it, with its start at most `neighbourhood` frames away, drawn evenly over the possible starts. Its distant tile is
    drawn evenly over the other clips (`other_clip`, the rule of the published study, which may pick the anchor's own
    session and even the same moment on another node) or over the clips of other sessions (`other_session`), then
    evenly over the tiles of that clip.

    Args:
        tiles: see `lay_tiles`.
        neighbourhood: largest distance between the starts of anchor and neighbour, in frames.
        distant: `other_clip` or `other_session`.
        seed: seed of the run.
        epoch: number of the epoch, from 1; 0 for the fixed held-out triplets.
        split: `train` or `test`: each has its own stream of random numbers.

    Returns:
        First frame in the store of each tile, shape (triplet, 3): anchor, neighbour, distant; and the clips' rows in
        the manifest, shape (triplet, 3).

    Raises:
        InputError: no tile has a neighbour, or an anchor has no clip to draw its distant tile from.
    """
    rng = np.random.default_rng([seed, epoch, STREAMS[split]])
    reach = _reach(tiles, neighbourhood)
    anchor = rng.permutation(anchors(tiles, neighbourhood))
    if not len(anchor):
        raise InputError(
            f"triplets need a clip that holds two tiles side by side with starts at most {neighbourhood} frames apart; "
            f"none of the {len(tiles.row)} clips of the {split} split does (a tile has {tiles.frames} frames)"
        )
    neighbour_start = _draw_neighbours(tiles, reach, anchor, neighbourhood, rng)
    other = _draw_other_clips(tiles, anchor, distant, split, rng)
    distant_tile = tiles.first_tile[other] + rng.integers(np.diff(tiles.first_tile)[other])
    own = tiles.clip[anchor]
    rows = np.stack([tiles.row[own], tiles.row[own], tiles.row[other]], axis=1)
    starts = np.stack([tiles.start[anchor], neighbour_start, tiles.start[distant_tile]], axis=1)
    return np.stack([tiles.offset[own], tiles.offset[own], tiles.offset[other]], axis=1) + starts, rows


def check_within(starts: Ints, frames: int, clip_start: Ints, rows: Ints, split: str) -> None:
    """Stop when a tile that is about to be read lies in a clip of another split, or across the end of a clip.

    It looks at where the tiles lie in the store, and not at what the sampler says of them.

    Args:
        starts: first frame in the store of each tile, any shape.
        frames: frames of a tile.
        clip_start: shape (clip of the store + 1,), see `store.Features`.
        rows: the clips of the split, as positions in the store.
        split: `train` or `test`, for the message.

    Raises:
        InputError: such a tile is there: scores of the held-out fold would be worth nothing.
    """
    clip = np.searchsorted(clip_start, starts, side="right") - 1
    within = np.isin(clip, rows) & (starts + frames <= clip_start[clip + 1])
    if not within.all():
        raise InputError(
            f"every tile must lie in one clip of the {split} split; {np.count_nonzero(~within)} of {within.size} do "
            f"not, the first in clip {clip[~within][0]} of the store"
        )


def _reach(tiles: Tiles, neighbourhood: int) -> Ints:
    """Number of possible neighbour starts before and after each tile, shape (tile, 2)."""
    last = tiles.length[tiles.clip] - tiles.frames
    before = np.minimum(tiles.start, neighbourhood) - tiles.step + 1
    after = np.minimum(last - tiles.start, neighbourhood) - tiles.step + 1
    return np.maximum(np.stack([before, after], axis=1), 0)


def _draw_neighbours(tiles: Tiles, reach: Ints, anchor: Ints, neighbourhood: int, rng: np.random.Generator) -> Ints:
    """Start of one neighbour for each anchor, in frames of its clip, shape (triplet,)."""
    before, after = reach[anchor].T
    drawn = rng.integers(before + after)
    start = tiles.start[anchor]
    earliest = np.maximum(start - neighbourhood, 0)
    return np.where(drawn < before, earliest + drawn, start + tiles.step + drawn - before)


def _draw_other_clips(tiles: Tiles, anchor: Ints, distant: str, split: str, rng: np.random.Generator) -> Ints:
    """One clip outside the anchor's own block of clips (itself, or its session) for each anchor, shape (triplet,)."""
    own = tiles.clip[anchor]
    block = np.stack([own, own + 1], axis=1) if distant == "other_clip" else tiles.session_block[own]
    first, end = block.T
    candidates = len(tiles.row) - (end - first)
    if (candidates < 1).any():
        outside = {"other_clip": "clip", "other_session": "session"}[distant]
        raise InputError(
            f"distant: {distant} needs a second {outside} in the {split} split; its {len(tiles.row)} clips are of one. "
            "Take another split.test_fold, or fewer and so larger folds"
        )
    drawn = rng.integers(candidates)
    return np.where(drawn < first, drawn, drawn + end - first)
