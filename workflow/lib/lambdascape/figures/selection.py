"""Measures that need no label against the probe's score: would one of them have chosen what the labels choose?"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.run_table import Sweep, read_sweep
from lambdascape.tables.comparisons import MEASURE, UNIT
from lambdascape.tables.label_free import NAMES, held_out_measures

MARGINS = style.Margins(left=0.75, right=0.35, top=1.05, bottom=1.1, column=0.8, row=1.05)
NOTHING_TO_CHOOSE = "Nothing to choose between: one arm, or no labels."


@figure(
    "selection",
    title="Measures that need no label, compared with the score",
    label="measures that need no label, with the score",
    category="Answer",
    wide=True,
    caption="""\
**Could λ have been chosen without labels?** (Or what else the study varies.) Each panel is one measure that
needs no label, on held-out triplets after the last epoch (the loss is the mean over all of them) or on held-out
tiles. Large points are the means over seeds of each value, small ones the runs. Upwards is a better score,
macro-F1 of the converged probe per clip on held-out sessions; to the right is better by the measure. A measure
that ranks as the labels do therefore rises. The square marks the value that the measure would choose, the ring
the value that the labels choose on validation sessions. ρ is Spearman’s rank correlation of the means, with its
interval over resampled sessions and seeds. From ``tables/selection.tsv``.
""",
)
def plot_selection(
    runs: str | Path,
    training: str | Path,
    geometry: str | Path,
    scores: str | Path,
    selection: str | Path,
    svg: str | Path,
    png: str | Path,
    synthetic: bool,
) -> None:
    """Draw each criterion of selection.tsv against the score, run by run and in the mean of each arm.

    Args:
        runs: runs.tsv.
        training: training.tsv.
        geometry: geometry.tsv.
        scores: scores.tsv.
        selection: selection.tsv of `label_free.rank_criteria`.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    measured = held_out_measures(training, geometry)
    table = read_table(scores, text=("run", "probe", "split", "unit", "measure", "class"))
    ranked = read_table(selection, text=("criterion", "better", "picks", "labels_pick"))
    style.write(lambda: selection_figure(sweep, measured, table, ranked), svg, png, synthetic)


@style.styled
def selection_figure(
    sweep: Sweep, measured: "pd.Series[float]", scores: pd.DataFrame, selection: pd.DataFrame
) -> Figure:
    """The figure that `plot_selection` writes; points carry `<criterion>:<arm>`, marks `picked` and `chosen`."""
    known = selection[selection["picks"] != ""]
    if known.empty:
        return style.sentence(NOTHING_TO_CHOOSE)
    wanted = {"probe": "converged", "split": "test", "unit": UNIT, "measure": MEASURE}
    rows = scores[(scores[list(wanted)] == pd.Series(wanted)).all(axis=1)].merge(sweep.trained, on="run")
    figure, panels = style.panels(len(known), 3.0, 2.7, MARGINS, columns=2)
    for axes, row in zip(panels, known.to_dict("records"), strict=True):
        values = [measured.get((run, row["criterion"]), np.nan) for run in rows["run"]]
        _panel(axes, sweep, rows.assign(criterion=values), {str(key): value for key, value in row.items()})
    _legend(figure, sweep)
    detail = "large: means over seeds; small: runs; square: it picks; ring: the labels pick, on validation"
    style.title(panels[0], f"Could {sweep.symbol} have been chosen without labels?", detail, above=22)
    return figure


def _legend(figure: Figure, sweep: Sweep) -> None:
    """The colours of the values, below the panels."""
    colours = style.colours(sweep.values)
    look: Any = {"ls": "", "marker": "o", "ms": 7, "mec": "white", "mew": 0.8}
    handles = [Line2D([], [], color=colours[value], label=sweep.label(value), **look) for value in sweep.values]
    below = 0.3 / figure.get_figheight()
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.02, below), ncols=6, handletextpad=0.1)


def _panel(axes: Axes, sweep: Sweep, rows: pd.DataFrame, row: dict[str, Any]) -> None:
    colours = style.colours(sweep.values)
    for arm, here in rows.groupby("arm", sort=False):
        colour = colours[here["axis_value"].iloc[0]]
        axes.plot(here["criterion"], here["value"], ls="", marker="o", ms=3.2, mew=0, alpha=0.55, color=colour)
        x, y = here["criterion"].mean(), here["value"].mean()
        label = f"{row['criterion']}:{arm}"
        axes.plot([x], [y], ls="", marker="o", ms=7, mec="white", mew=0.8, color=colour, label=label, zorder=3)
        for mark, ring, size in (("picked", "s", 15), ("chosen", "o", 13)):
            if arm == row["picks" if mark == "picked" else "labels_pick"]:
                look: Any = {"mfc": "none", "mec": style.INK, "mew": 1.3, "zorder": 3.2}
                axes.plot([x], [y], ls="", marker=ring, ms=size, label=mark, **look)
    axes.margins(x=0.22, y=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if row["better"] == "lower":
        axes.invert_xaxis()
    axes.set_xlabel(f"{NAMES[row['criterion']]} ({row['better']} is better) →", fontsize=9.5)
    axes.set_ylabel("macro-F1 per clip", fontsize=9.5)
    axes.set_title(_correlation(row), fontsize=9.5, loc="left", color=style.QUIET)


def _correlation(row: dict[str, Any]) -> str:
    if np.isnan(row["correlation"]):
        return "it ranks nothing"
    ends = "" if np.isnan(row["low"]) else f" ({row['low']:.2f} to {row['high']:.2f})"
    return f"ρ = {row['correlation']:.2f}{ends}"
