"""How the ranking of the swept value changes from one study to another: a line for each value that both have."""

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.setting_names import setting, symbol
from lambdascape.tables.rankings import MEASURES, TEXT, RankedMeasure, swaps

MARGINS = style.Margins(left=0.75, right=1.75, top=1.15, bottom=0.75, column=2.2, row=1.0)
WIDTH, ALONE = 2.3, 7.0  # of a panel in inches; one alone must carry the title
SHIFT = 0.03  # between the marks of neighbouring values, so that their bars do not hide each other


@figure(
    "protocols",
    title="The ranking in this study and in the one that it is compared with",
    label="ranking here and in the study compared with",
    category="Answer",
    wide=True,
    only_with="compare_with",
    caption="""\
**How the ranking differs between two studies**: the one that ``compare_with`` names on the left, this one on
the right, one line for each value that both have. Where lines cross, the two studies disagree on which value is
better. Each panel has one measure: the loss of training in the last epoch of each run, the mean over
all triplets; macro-F1 per tile of the published study's probe after its last epoch; macro-F1 per clip of the
converged probe. The scores are on held-out sessions. Points are means over the seeds. Bars are Student's
intervals of those means: they are about other seeds on the same sessions. For other sessions see the figure of
the scores. A hollow point has one seed and no interval; crossings there may be chance. Brackets hold the ranks,
left and right, among the shared values. From ``tables/protocols.tsv``.
""",
)
def plot_protocols(protocols: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw what each of two studies says of every value that both have.

    Args:
        protocols: protocols.tsv, see `rankings.compare_protocols`.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    rows = read_table(protocols, text=TEXT)
    style.write(lambda: protocols_figure(rows), svg, png, synthetic)


@style.styled
def protocols_figure(table: pd.DataFrame) -> Figure:
    """The figure that `plot_protocols` writes; the line of a value has the label `<measure>:<value>`."""
    measures = [measure for measure in MEASURES if (table["measure"] == measure.name).any()]
    width = WIDTH if len(measures) > 1 else ALONE
    figure, panels = style.panels(len(measures), width, 3.3, MARGINS)
    for axes, measure in zip(panels, measures, strict=True):
        _panel(axes, table[table["measure"] == measure.name], measure)
    key = str(table["key"].iloc[0])
    detail = (
        "mean over seeds, bar: interval over seeds, hollow: one seed; in brackets: rank left → rank right, 1 is best"
    )
    first, second = table["study"].unique()
    style.title(panels[0], f"The ranking of {symbol(key)} in {first} and in {second}", detail, above=24)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, measure: RankedMeasure) -> None:
    studies = list(rows["study"].unique())
    settings = list(dict.fromkeys(rows["setting"].tolist()))
    colours = style.colours(settings)
    ends = []
    for number, value in enumerate(settings):
        sides = [rows[(rows["study"] == study) & (rows["setting"] == value)].iloc[0] for study in studies]
        shift = (number - (len(settings) - 1) / 2) * SHIFT
        x, y = [shift, 1 + shift], [float(side["mean"]) for side in sides]
        colour: Any = colours[value]
        axes.plot(x, y, color=colour, lw=1.6, alpha=0.8, zorder=2.5, label=f"{measure.name}:{value}")
        for place, side in zip(x, sides, strict=True):
            axes.vlines(place, side["low"], side["high"], color=colour, lw=2.0, alpha=0.6, zorder=2.8)
            face = colour if side["seeds"] > 1 else "white"
            axes.plot([place], [side["mean"]], "o", ms=6.5, mfc=face, mec=colour, mew=1.4, zorder=3, label="_mean")
        ranks = [int(side["rank"]) for side in sides]
        words = f"{setting(str(rows['key'].iloc[0]), value)} ({ranks[0]} → {ranks[1]})"
        ends.append(style.End(1.3, y[1], words, colour))
    axes.set_xlim(-0.3, 1.3)
    axes.set_xticks([0, 1], [textwrap.fill(study, 16) for study in studies])
    axes.set_title(f"{measure.words}\n{_order(rows, measure)}", loc="left", fontsize=9.5, color=style.QUIET)
    style.label_ends(axes, ends)


def _order(rows: pd.DataFrame, measure: RankedMeasure) -> str:
    """Which end is the better one, and what becomes of the order."""
    swapped, pairs = swaps(rows, measure.name)
    change = f"{swapped} of {pairs} pairs swap" if swapped else "the order stays"
    return f"({'lower' if measure.lower else 'higher'} is better; {change})"
