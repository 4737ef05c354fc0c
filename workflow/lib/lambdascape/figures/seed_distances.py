"""What changes a space: pairs that differ only in the seed, in the value, or in being trained at all."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lambdascape.core.declarations import declared, figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.similarity.layout import PAIRS_TEXT
from lambdascape.similarity.seed_test import RELATIONS, dissimilarity, relate
from lambdascape.study.run_table import REFERENCES, Sweep, read_sweep

COLOURS = {"seed": "#1f2328", "axis": "#7e03a8", "both": "#e16462"} | style.REFERENCE_COLOURS
STEP = 0.15  # from one kind of pair to the next; a measure has 1
MOST_POINTS = 400  # plotted of one kind of pair


@figure(
    "moves",
    title="What changes a space: what varies, or the seed",
    label="what changes a space: what varies, or the seed",
    category="Spaces",
    caption="""\
**What changes a space: λ or the seed?** Every point is a pair of spaces, placed by their similarity; bars are
means. Black: only the seed differs. This is the noise floor; its range is in grey behind the other kinds of
pair. Purple: only λ (or what else varies) differs; the seed, and with it initial weights and triplets, is the
same. Red: both differ. If purple is left of black, λ changes the space more than the seed does in these runs;
no test in the table shows this for other runs. If red is left of black, λ leaves an effect beyond that of the
seeds; the p of the gap states whether it is significant. Brown and blue: a trained space and one without
training, which shows how different spaces are that share only the audio. The table has the CKA of spaces that
share only their classes (null). At most 400 pairs of a kind are plotted. From ``similarity/pairs.tsv``; means
and test in ``similarity/moves.tsv``.
""",
)
def plot_moves(
    runs: str | Path,
    pairs: str | Path,
    measures: Mapping[str, Mapping[str, Any]],
    svg: str | Path,
    png: str | Path,
    synthetic: bool,
) -> None:
    """Plot the similarity of two spaces, by what differs between them.

    Args:
        runs: runs.tsv.
        pairs: pairs.tsv: first, second, measure, is_distance, value.
        measures: name to `label` of each measure.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(pairs, PAIRS_TEXT)
    labels = {name: str(options["label"]) for name, options in measures.items()}
    style.write(lambda: moves_figure(sweep, table, labels), svg, png, synthetic)


def relations_in_words(sweep: Sweep) -> dict[str, str]:
    """What differs between the two spaces of a pair, in words."""
    return {
        "seed": "the seed alone differs: the noise floor",
        "axis": f"{sweep.symbol} alone differs",
        "both": f"{sweep.symbol} and seed differ",
    } | {kind: f"trained and {words}: a baseline" for kind, words in REFERENCES.items()}


def _label(words: str, is_distance: bool) -> str:
    """A measure in two lines; a distance is shown as 1 less it."""
    return textwrap.fill(f"1 − {words}" if is_distance else words, 17)


@style.styled
def moves_figure(sweep: Sweep, pairs: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Figure:
    """The figure that `plot_moves` writes; points carry `<measure>:<relation>` as labels.

    `labels`: what to call measures of the user.
    """
    related = relate(pairs, sweep)
    related = related[related["relation"].isin(RELATIONS) & related["value"].notna()]
    if related.empty:
        return style.sentence("No two spaces can be compared.")
    measures: list[str] = list(related["measure"].unique())
    known = {name: str(one.options["label"]) for name, one in declared("similarity_measure").items()}
    known |= dict(labels or {})
    figure = style.figure(8.6, 2.2 + 0.95 * len(measures))
    top = 0.75 / figure.get_figheight()
    low = 1.45 / figure.get_figheight()
    axes = figure.add_axes((0.15, low, 0.82, 1 - top - low))
    drawn = [relation for relation in RELATIONS if (related["relation"] == relation).any()]
    for place, measure in enumerate(measures):
        here = related[related["measure"] == measure]
        for row, relation in enumerate(drawn):
            values = 1 - dissimilarity(here[here["relation"] == relation])
            y = place + (row - (len(drawn) - 1) / 2) * STEP
            _pairs(axes, values, y, place, relation, f"{measure}:{relation}")
    axes.set_ylim(len(measures) - 0.5, -0.5)
    distances = set(related.loc[related["is_distance"].astype(bool), "measure"])
    words = [_label(known.get(measure, measure), measure in distances) for measure in measures]
    axes.set_yticks(range(len(measures)), words)
    axes.set_xlabel("similarity of two spaces (1: equal)", labelpad=6)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    kinds = relations_in_words(sweep)
    handles = [Line2D([], [], ls="", marker="o", ms=6, color=COLOURS[r], label=kinds[r]) for r in drawn]
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.14, 0.01), ncols=2, columnspacing=2.5)
    detail = "a point is a pair of spaces, a bar their mean; grey: only the seed differs"
    asked = f"{sweep.symbol} or the seed?" if sweep.key else "the seed"
    style.title(axes, f"What changes a space: {asked}", detail)
    return figure


def _pairs(axes: Axes, values: "np.ndarray[Any, Any]", y: float, place: int, relation: str, label: str) -> None:
    """The pairs of one kind, their mean, and for the noise floor its range behind all kinds of the measure."""
    if not len(values):
        return
    if relation == "seed":
        axes.fill_between([values.min(), values.max()], place - 0.46, place + 0.46, color="#e3e6ea", lw=0, zorder=0.5)
    rng = np.random.default_rng([len(values)])
    shown = rng.permutation(values)[:MOST_POINTS]
    shifts = rng.uniform(-0.3, 0.3, len(shown)) * STEP
    look: Any = {"color": COLOURS[relation], "clip_on": False}
    axes.plot(shown, y + shifts, ls="", marker="o", ms=3.6, mec="white", mew=0.3, alpha=0.7, label=label, **look)
    axes.plot([values.mean()] * 2, [y - 0.45 * STEP, y + 0.45 * STEP], lw=2.2, label="_mean", **look)
