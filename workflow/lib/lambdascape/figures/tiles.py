"""A few tiles of each class as the store holds them: log-mel frames, one tile a picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.declarations import figure
from lambdascape.features.store import Features, open_features, read_manifest
from lambdascape.features.tile_grid import tile_frames
from lambdascape.figures import style

PER_CLASS = 4
MOST_CLASSES = 12
SEED = 2020
COLOURS = "magma"
UNNAMED = 3  # rows of tiles where nothing has a label
MARGINS = style.Margins(left=1.95, right=0.95, top=1.0, bottom=0.75, column=0.12, row=0.12)
WIDTH, HEIGHT = 1.8, 0.85  # of a tile, in inches


@figure(
    "tiles",
    title="Log-mel frames of a few tiles of each class",
    label="log-mel frames of a few tiles",
    category="Data",
    wide=True,
    caption="""\
**A few tiles of each class** from the feature store, sampled from different sessions if there are any: time to
the right, mel bands upwards, brighter for more energy. The numbers are natural logarithms of mel magnitudes on
one scale for all tiles; the darkest colour also stands for everything below it, such as digital silence. At
most twelve classes are shown, those with the most clips; without labels, tiles of any session. With
``network.input: mfcc`` the network sees these tiles through a cosine transform. From ``features.h5``.
""",
)
def plot_tiles(
    features: str | Path, clips: str | Path, tile_s: float, svg: str | Path, png: str | Path, synthetic: bool
) -> None:
    """Draw a few tiles of each class.

    Args:
        features: see `store.open_features`.
        clips: the manifest, in the store's order.
        tile_s: length of a tile in seconds.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    store = open_features(features)
    rows = choose(read_manifest(clips, store), store, tile_frames(tile_s, store.recipe))
    style.write(lambda: tiles_figure(rows, store, tile_s), svg, png, synthetic)


def choose(clips: pd.DataFrame, features: Features, frames: int) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Draw the tiles to show: the same table gives the same tiles.

    Args:
        clips: one row per clip of the store: label, session.
        features: the store.
        frames: frames of a tile.

    Returns:
        Class and first frames in the store, at most `PER_CLASS`, from as many sessions as there are: the `MOST_CLASSES`
        classes with the most clips, in order of their names. Where nothing has a label, rows without a name.
    """
    rng = np.random.default_rng([SEED])
    first, spare = features.clip_start[:-1], np.diff(features.clip_start) - frames
    table = clips.assign(start=first + rng.integers(np.maximum(spare, 0) + 1)).iloc[rng.permutation(len(clips))]
    table = table[spare[table.index] >= 0]
    table = table.iloc[
        table.groupby(["label", "session"]).cumcount().argsort(kind="stable")
    ]  # one of each session first
    labelled = table[table["label"] != ""]
    if labelled.empty:
        starts = table["start"].to_numpy(np.int64)
        return [("", starts[at : at + PER_CLASS]) for at in range(0, min(len(starts), UNNAMED * PER_CLASS), PER_CLASS)]
    largest = sorted(labelled["label"].value_counts().index[:MOST_CLASSES])
    return [(name, labelled.loc[labelled["label"] == name, "start"].to_numpy(np.int64)[:PER_CLASS]) for name in largest]


@style.styled
def tiles_figure(rows: Sequence[tuple[str, npt.NDArray[np.int64]]], features: Features, tile_s: float) -> Figure:
    """The figure that `plot_tiles` writes.

    Args:
        rows: see `choose`.
        features: the store.
        tile_s: length of a tile in seconds.
    """
    if not rows:
        return style.sentence("No clip is as long as a tile.")
    recipe = features.recipe
    tiles = [features.tiles(starts, tile_frames(tile_s, recipe)).astype(np.float32) for _, starts in rows]
    low, high = _limits(np.concatenate(tiles), recipe.log_offset)
    left = MARGINS.left if rows[0][0] else 0.75
    width = left + PER_CLASS * WIDTH + (PER_CLASS - 1) * MARGINS.column + MARGINS.right
    height = MARGINS.top + len(rows) * HEIGHT + (len(rows) - 1) * MARGINS.row + MARGINS.bottom
    figure = style.figure(width, height)
    panels = []
    for row, column in ((row, column) for row, here in enumerate(tiles) for column in range(len(here))):
        x = left + column * (WIDTH + MARGINS.column)
        y = height - MARGINS.top - HEIGHT - row * (HEIGHT + MARGINS.row)
        axes = figure.add_axes((x / width, y / height, WIDTH / width, HEIGHT / height))
        image = _picture(axes, tiles[row][column], low, high, tile_s)
        panels.append(axes)
        if column == 0:
            _name(axes, rows[row][0], recipe, row == 0)
        if row == len(rows) - 1 and column == 0:
            axes.set_xticks([0, tile_s], ["0", f"{tile_s:g} s"])
    bar = figure.add_axes((1 - (MARGINS.right - 0.2) / width, panels[-1].get_position().y0, 0.12 / width, 1.4 / height))
    figure.colorbar(image, cax=bar)
    bar.set_title("ln", fontsize=9, color=style.QUIET)
    words = f"log-mel frames of {tile_s:g} s, from different sessions where there are; one colour scale, silence black"
    style.title(panels[0], "A few tiles of each class" if rows[0][0] else "A few tiles", words, above=4)
    return figure


def _limits(values: npt.NDArray[np.float32], log_offset: float) -> tuple[float, float]:
    """Ends of the colour scale; digital silence would take up most of it."""
    heard = values[values > math.log(log_offset) + 1]
    low, high = np.percentile(heard if len(heard) else values, [1, 99.8])
    return float(low), float(high)


def _picture(axes: Axes, tile: npt.NDArray[np.float32], low: float, high: float, tile_s: float) -> AxesImage:
    """One tile, shape (frame, mel), low bands below."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    extent = (0, tile_s, 0, tile.shape[1])
    return axes.imshow(
        tile.T, origin="lower", aspect="auto", cmap=COLOURS, vmin=low, vmax=high, extent=extent, interpolation="nearest"
    )


def _name(axes: Axes, name: str, recipe: FeatureRecipe, with_range: bool) -> None:
    """The class at the left of its row; the range of frequencies at the first row only."""
    place: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(style.shorten(name), (0, 0.5), (-8, 0), ha="right", va="center", fontsize=10, **place)
    if with_range:
        look = place | {"ha": "right", "fontsize": 8.5, "color": style.QUIET}
        axes.annotate(f"{recipe.fmax / 1000:g} kHz", (0, 1), (-8, 0), va="top", **look)
        axes.annotate(f"{recipe.fmin:g} Hz", (0, 0), (-8, 0), va="bottom", **look)
