"""A map of all runs: the nearer two points, the more similar are their spaces, apart from a rotation."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.run_table import Sweep, read_sweep, text

PARTS = {"all": "with the baselines", "trained": "only the trained spaces"}
SEED_MARKERS = ("o", "s", "^", "D", "v", "<", ">", "p", "h", "d")
REFERENCE_MARKERS = {"untrained": "X", "mean_logmel": "P"}
OWN_MARKER = "*"


@figure(
    "run_map",
    title="A map of all runs",
    label="map of all runs",
    category="Spaces",
    caption="""\
**A map of all runs.** Each point is a whole space. The more similar two spaces are, apart from a rotation and a
scale, the nearer are their points: classical scaling of the Procrustes distances, scored on sessions on which
the rotation was not fitted. Colour shows λ (or what else varies), shape the seed; on the left with the
baselines, on the right only the trained spaces. If the colours form groups, λ determines the space; if they
mix, the seed does. The axes state how much of the spread they show: other directions may look different. From
``similarity/map.tsv``.
""",
)
def plot_run_map(runs: str | Path, map: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw the map of all runs.

    Args:
        runs: runs.tsv.
        map: map.tsv: part, run, x, y, x_share, y_share.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(map, text=("part", "run"))
    style.write(lambda: run_map_figure(sweep, table), svg, png, synthetic)


@style.styled
def run_map_figure(sweep: Sweep, layout: pd.DataFrame) -> Figure:
    """The figure that `plot_run_map` writes: in each panel the baselines, then the trained spaces."""
    drawn = layout[layout["x"].notna()]
    parts = [part for part in PARTS if (drawn["part"] == part).sum() > 1]
    if not parts:
        return style.sentence("No two spaces can be compared: there is no map.")
    keys = _keys(sweep)
    rows = -(-len(keys) // 5)
    margins = style.Margins(0.35, 0.2, 1.1, 0.75 + 0.24 * rows, 0.5, 0.6)
    figure, panels = style.panels(len(parts), 3.9, 3.6, margins)
    for axes, part in zip(panels, parts, strict=True):
        _panel(axes, sweep, drawn[drawn["part"] == part])
        axes.set_title(PARTS[part], loc="left", fontsize=10.5, fontweight="bold", pad=6)
    figure.legend(
        handles=keys, loc="lower left", bbox_to_anchor=(0.02, 0.03), ncols=min(len(keys), 5), handletextpad=0.2
    )
    detail = "laid out so that distances come close to the Procrustes distances of the spaces"
    style.title(panels[0], "A map of all runs", detail, above=22)
    return figure


def _panel(axes: Axes, sweep: Sweep, places: pd.DataFrame) -> None:
    look: Any = {"x": "x", "y": "y", "s": 70, "edgecolor": "white", "linewidth": 0.7, "alpha": 0.9, "legend": False}
    markers = {kind: REFERENCE_MARKERS.get(kind, OWN_MARKER) for kind in sweep.kinds}
    for runs, hue, palette, by, shapes in (
        (sweep.references, "arm", style.reference_colours(sweep.kinds), "arm", markers),
        (sweep.trained, "axis_value", style.colours(sweep.values), "seed", _markers(sweep)),
    ):
        if len(here := runs.merge(places, on="run")):
            sns.scatterplot(here, hue=hue, palette=palette, style=by, markers=shapes, ax=axes, **look)
    axes.set_xlabel(f"1st direction: {places['x_share'].iloc[0]:.0%} of the spread", fontsize=9, color=style.QUIET)
    axes.set_ylabel(f"2nd: {places['y_share'].iloc[0]:.0%}", fontsize=9, color=style.QUIET)
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)
    axes.spines[:].set_color(style.FAINT)


def _markers(sweep: Sweep) -> dict[Any, str]:
    """A marker for each seed; with more seeds than markers they come again."""
    seeds = np.unique(sweep.trained["seed"].to_numpy())
    return {seed: SEED_MARKERS[k % len(SEED_MARKERS)] for k, seed in enumerate(seeds)}


def _keys(sweep: Sweep) -> list[Line2D]:
    """The key: colours of values, markers of seeds while they differ, baselines."""

    def key(words: str, colour: str, marker: str) -> Line2D:
        return Line2D([], [], ls="", color=colour, marker=marker, ms=7, mew=0, label=words)

    markers, colours = _markers(sweep), style.colours(sweep.values)
    values = [key(sweep.label(value), colours[value], "o") for value in sweep.values]
    seeds = [key(f"seed {text(seed)}", style.QUIET, marker) for seed, marker in markers.items()]
    seeds = seeds if 1 < len(seeds) <= len(SEED_MARKERS) else []
    kinds = {kind: words for kind, words in sweep.kinds.items() if (sweep.references["arm"] == kind).any()}
    of_reference = style.reference_colours(sweep.kinds)
    references = [
        key(words, of_reference[kind], REFERENCE_MARKERS.get(kind, OWN_MARKER)) for kind, words in kinds.items()
    ]
    return values + seeds + references
