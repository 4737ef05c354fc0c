"""The grid of tiles of one length over clips."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError

Ints = npt.NDArray[np.int64]


def tile_frames(tile_s: float, recipe: FeatureRecipe) -> int:
    """Frames in a tile: the windows of the recipe that fit into `tile_s` seconds of waveform.

    Args:
        tile_s: length of a tile in seconds.
        recipe: of the features.

    Raises:
        InputError: a tile holds no window.
    """
    frames = 1 + (round(tile_s * recipe.sr) - recipe.win_length) // recipe.hop_length
    if frames < 1:
        raise InputError(f"tile_s must hold at least one window of {recipe.win_length} samples; got {tile_s} s")
    return int(frames)


def seconds_to_frames(seconds: float, recipe: FeatureRecipe) -> int:
    """Steps of the hop in a span of time, which must be a whole number of them.

    Raises:
        InputError: the span is no whole number of hops.
    """
    hops = seconds * recipe.sr / recipe.hop_length
    if abs(hops - round(hops)) > 1e-6:
        hop_ms = 1000 * recipe.hop_length / recipe.sr
        raise InputError(f"tile_s and neighbourhood_s must be whole numbers of hops of {hop_ms:g} ms; got {seconds} s")
    return round(hops)


@dataclass(frozen=True)
class Tiles:
    """The tiles of some clips, on a grid of one tile length, and what the sampler must know of the clips.

    Clips stand in order of their session, so that the clips of one session are one block.

    Attributes:
        clip: shape (tile,), position of the tile's clip in the arrays below.
        start: shape (tile,), first frame of the tile, counted from its clip's first frame.
        row: shape (clip,), the clip's position in the manifest.
        offset: shape (clip,), the clip's first frame in the store.
        length: shape (clip,), frames of the clip.
        first_tile: shape (clip + 1,), the tiles of clip i are `first_tile[i]:first_tile[i + 1]`.
        session_block: shape (clip, 2), first and one past the last clip of the clip's session.
        frames: frames of a tile.
        step: frames from one tile's start to the next.
    """

    clip: Ints
    start: Ints
    row: Ints
    offset: Ints
    length: Ints
    first_tile: Ints
    session_block: Ints
    frames: int
    step: int


def lay_tiles(clip_start: Ints, sessions: list[str], rows: Ints, frames: int, step: int) -> Tiles:
    """Lay the grid of tiles over some clips; a clip shorter than a tile has none and is left out.

    Args:
        clip_start: shape (clip of the store + 1,), see `store.Features`.
        sessions: session of each clip of the store.
        rows: the clips to use, as positions in the store.
        frames: frames of a tile.
        step: frames from one tile's start to the next, at least `frames`.

    Returns:
        The tiles, in order of session, clip and time.
    """
    lengths = np.diff(clip_start)
    usable = [int(row) for row in rows if lengths[row] >= frames]
    order = np.array(sorted(usable, key=lambda row: (sessions[row], row)), dtype=np.int64)
    length = lengths[order]
    count = (length - frames) // step + 1
    first_tile = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    clip = np.repeat(np.arange(len(order)), count)
    start = (np.arange(len(clip)) - first_tile[clip]) * step
    ordered = np.array([sessions[row] for row in order])
    block = np.stack([np.searchsorted(ordered, ordered, side) for side in ("left", "right")], axis=1)
    return Tiles(clip, start, order, clip_start[order], length, first_tile, block.reshape(-1, 2), frames, step)
