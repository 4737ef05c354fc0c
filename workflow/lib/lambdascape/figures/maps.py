"""Maps of the spaces: the two directions of greatest variance, the same tiles in every panel."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lambdascape.core.declarations import figure
from lambdascape.core.vectors import project
from lambdascape.embeddings.held_out import sample_tiles
from lambdascape.embeddings.space_file import read_embeddings
from lambdascape.embeddings.splits import in_test_split
from lambdascape.figures import style
from lambdascape.study.run_table import mapped_runs, read_sweep

MAX_TILES = 1500
SAMPLE_SEED = 2020
MOST_GROUPS = 20  # more groups than this cannot be distinguished by colour and shape
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
Space = tuple[str, npt.NDArray[np.float32], pd.DataFrame]


@figure(
    "maps",
    title="Maps of the spaces",
    label="maps of the tiles",
    category="Spaces",
    wide=True,
    caption="""\
**Each space in its two directions of greatest variance** (principal components): for each value of λ (or of
what else varies) the run of the first seed, then the baselines. Every point is a tile of the held-out fold. The
panels show the same tiles, unless tiles of different lengths are compared; they are sampled so that each class
keeps its share. Colour and shape show the class, or the session if there are no labels. The axes state how much
of the variance they show: other directions may look different, and neither the orientation nor the scale of a
panel can be compared with another's. From ``embeddings/``.
""",
)
def plot_maps(
    runs: str | Path,
    embeddings: Sequence[str | Path],
    names: Sequence[str],
    test_fold: str,
    svg: str | Path,
    png: str | Path,
    synthetic: bool,
) -> None:
    """Draw a map of each space: the first run of each value of the axis, and the first of each baseline.

    Args:
        runs: runs.tsv.
        embeddings: HDF5 files of spaces; those of runs that `mapped_runs` does not name are not opened.
        names: the run of each file, in the same order.
        test_fold: the fold held out, whose tiles are shown.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    where = dict(zip(names, embeddings, strict=True))
    spaces: list[Space] = []
    for run, words in mapped_runs(sweep):
        if run in where:
            embedding, tiles, _ = read_embeddings(where[run])
            kept = sample(tiles, test_fold)
            spaces.append((words, embedding[kept], tiles.iloc[kept].reset_index(drop=True)))
    style.write(lambda: maps_figure(spaces), svg, png, synthetic)


def sample(tiles: pd.DataFrame, test_fold: str) -> npt.NDArray[np.intp]:
    """Rows of at most `MAX_TILES` tiles of the held-out fold, each label with its share.

    The same table gives the same rows, so that panels of spaces over the same tiles show the same tiles.

    Args:
        tiles: one row per tile: label, fold.
        test_fold: the fold held out.

    Returns:
        Row numbers, ascending.

    Raises:
        InputError: no tile belongs to the fold.
    """
    test = np.flatnonzero(in_test_split(tiles, test_fold))
    return test[sample_tiles(tiles["label"].to_numpy(object)[test], MAX_TILES, SAMPLE_SEED)]


def groups(tiles: pd.DataFrame) -> tuple["pd.Series[str]", str]:
    """What the tiles are coloured by: label; without labels session; nothing where sessions are too many.

    Returns:
        A name for each tile, and what the names are (`class`, `session`, or '').
    """
    for column, words in (("label", "class"), ("session", "session")):
        names = tiles[column].astype(str)
        if names.ne("").any() and (column == "label" or names.nunique() <= MOST_GROUPS):
            return names.where(names != "", "no label"), words
    return pd.Series("", index=tiles.index), ""


@style.styled
def maps_figure(spaces: Sequence[Space]) -> Figure:
    """The figure that `plot_maps` writes, one panel per space.

    Args:
        spaces: words for the panel, embedding of shape (tile, dim), table with label and session.
    """
    if not spaces or not any(len(embedding) for _, embedding, _ in spaces):
        return style.sentence("No tiles to show.")
    names, by = groups(pd.concat([tiles for _, _, tiles in spaces], ignore_index=True))
    looks = _looks(sorted(set(names)))
    key_rows = math.ceil(len(looks) / 5) if by else 0
    lines = max(words.count("\n") for words, _, _ in spaces)
    margins = style.Margins(0.35, 0.12, 1.0 + 0.18 * lines, 0.6 + 0.24 * key_rows, 0.4, 0.62 + 0.18 * lines)
    figure, panels = style.panels(len(spaces), 2.75, 2.6, margins)
    for axes, (words, embedding, tiles) in zip(panels, spaces, strict=True):
        _panel(axes, words, embedding, groups(tiles)[0], looks)
    if by:
        _key(figure, looks, math.ceil(len(looks) / key_rows))
    detail = f"the two directions of greatest variance; the same {len(spaces[0][1])} held-out tiles" + (
        f", coloured by {by}" if by else ""
    )
    style.title(panels[0], "Maps of the spaces", detail, above=22 + 13 * lines)
    return figure


def _looks(names: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Colour and marker of each group: ten colours safe for colour blindness; the marker differs too."""
    palette = sns.color_palette("colorblind", 10)
    return {name: (palette[i % 10], MARKERS[(i + i // 10) % 10]) for i, name in enumerate(names)}


def _panel(
    axes: Axes,
    words: str,
    embedding: npt.NDArray[np.float32],
    names: "pd.Series[str]",
    looks: dict[str, tuple[Any, str]],
) -> None:
    """One space: points of every group in mixed order, so that no group hides another."""
    coordinates, share = project(embedding.astype(np.float64))
    size = float(np.clip(9000 / max(len(names), 1), 7, 26))
    order = np.random.default_rng(len(names)).permutation(len(names))
    sns.scatterplot(
        x=coordinates[order, 0],
        y=coordinates[order, 1],
        hue=names.to_numpy()[order],
        style=names.to_numpy()[order],
        palette={n: colour for n, (colour, _) in looks.items()},
        markers={n: marker for n, (_, marker) in looks.items()},
        hue_order=list(looks),
        style_order=list(looks),
        s=size,
        alpha=0.75,
        linewidth=0.25,
        ax=axes,
        legend=False,
        rasterized=True,
    )
    axes.set_title(words, loc="left", fontsize=10.5, fontweight="bold", pad=6)
    axes.set_xlabel(f"1st: {share[0]:.0%} of variance", fontsize=9, color=style.QUIET, labelpad=3)
    axes.set_ylabel(f"2nd: {share[1]:.0%}", fontsize=9, color=style.QUIET, labelpad=2)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)
    axes.spines[:].set_color(style.FAINT)


def _key(figure: Figure, looks: dict[str, tuple[Any, str]], columns: int) -> None:
    """Names of the groups below the panels."""
    handles = [
        Line2D([], [], ls="", color=colour, marker=marker, ms=6, mew=0, label=style.shorten(name))
        for name, (colour, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="lower left", ncols=columns, bbox_to_anchor=(0.02, 0.01), handletextpad=0.2)
