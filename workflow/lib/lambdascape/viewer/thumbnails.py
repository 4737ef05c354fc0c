"""The log-mel frames of every point as small grey pictures, all on one sheet."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path
from lambdascape.core.tsv import read_table
from lambdascape.features.store import open_features, read_manifest
from lambdascape.features.tile_grid import tile_frames
from lambdascape.viewer.points import TEXT

WIDTH, HEIGHT, COLUMNS = 64, 40, 64  # of a picture, in pixels, and of the sheet, in pictures
QUALITIES = (70, 50, 30, 15, 5, 0)  # of WebP, the best that fits is taken; at the last, 5,000 of pure noise fit
MOST_BYTES = 1_900_000  # of the sheet: 2.5 MB of the page
CHUNK = 256  # tiles read at once


def draw_thumbnails(
    points: str | Path, features: str | Path, clips: str | Path, tile_s: float, output: str | Path
) -> None:
    """Make the sheet: picture i is in row i // `COLUMNS`, column i % `COLUMNS`; time runs right, frequency up.

    Args:
        points: points.tsv.
        features: see `store.open_features`.
        clips: the manifest, in the store's order.
        tile_s: length of a tile in seconds.
        output: a grey WebP of at most `MOST_BYTES`.

    Raises:
        InputError: a point's clip is not in the store, or the sheet is too large at the lowest quality.
    """
    table, store = read_table(points, TEXT), open_features(features)
    number = {clip: place for place, clip in enumerate(read_manifest(clips, store)["clip"])}
    frames = tile_frames(tile_s, store.recipe)
    clip = np.array([number[name] for name in table["clip"]], np.intp)
    starts = store.clip_start[clip] + np.round(table["start_s"].to_numpy(float) * store.frames_per_second).astype(int)
    pictures = [
        shrink(tile)
        for at in range(0, len(starts), CHUNK)
        for tile in store.tiles(starts[at : at + CHUNK], frames).astype(np.float32)
    ]
    encoded = encode(sheet(grey(np.stack(pictures), store.recipe.log_offset)))
    with atomic_path(output) as temporary:
        temporary.write_bytes(encoded)


def shrink(tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A tile, shape (frame, mel), as a picture of shape (`HEIGHT`, `WIDTH`), low bands at the bottom."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(tile.T[::-1]))
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float32)


def grey(pictures: npt.NDArray[np.float32], log_offset: float) -> npt.NDArray[np.uint8]:
    """Levels from 0 to 255 on one scale for all pictures; digital silence would take up most of it."""
    heard = pictures[pictures > math.log(log_offset) + 1]
    low, high = np.percentile(heard if len(heard) else pictures, [1, 99.8])
    return np.asarray(np.clip((pictures - low) / max(high - low, 1e-6) * 255, 0, 255).round(), np.uint8)


def sheet(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures, shape (picture, height, width), in rows of `COLUMNS`, the last one filled up with black."""
    rows = -(-len(pictures) // COLUMNS)
    whole = np.zeros((rows * COLUMNS, *pictures.shape[1:]), np.uint8)
    whole[: len(pictures)] = pictures
    grid = whole.reshape(rows, COLUMNS, *pictures.shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * pictures.shape[1], COLUMNS * pictures.shape[2]))


def encode(image: npt.NDArray[np.uint8], most: int = MOST_BYTES) -> bytes:
    """A grey image as WebP, at the best of `QUALITIES` that needs no more than `most` bytes.

    Raises:
        InputError: none does.
    """
    from PIL import Image

    picture: Any = Image.fromarray(image)
    for quality in QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=quality, method=4)
        if stream.tell() <= most:
            return stream.getvalue()
    raise InputError(f"the pictures of the viewer must fit into {most} bytes; they need {stream.tell()}")
