"""Confusion matrices of the converged probe, one per value of the axis."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.run_table import Sweep, read_sweep

MOST_NUMBERED = 15  # with more classes the numbers in the cells cannot be read


@figure(
    "confusion",
    title="Confusion matrices",
    label="confusion matrices",
    category="Probes",
    wide=True,
    caption="""\
**Which classes the converged probe predicted for held-out clips**, one matrix for each value of λ (or of what
else varies), summed over its runs. A row is a true class and sums to 100 %; the diagonal is the share that was
predicted correctly. Shares under half a per cent are not printed. Clips of several nodes that recorded the same
moment count once. From ``tables/confusion.tsv``.
""",
)
def plot_confusion(runs: str | Path, confusion: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw what held-out clips were taken for, in per cent of the clips of each true class.

    Args:
        runs: runs.tsv.
        confusion: confusion.tsv: run, probe, unit, label, predicted, count.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(confusion, text=("run", "probe", "unit", "label", "predicted"))
    table = table[table["probe"] == "converged"]
    style.write(lambda: confusion_figure(sweep, table), svg, png, synthetic)


def counts(sweep: Sweep, table: pd.DataFrame, setting: object, classes: list[str]) -> npt.NDArray[np.float64]:
    """Clips by true and predicted class, shape (class, class), summed over the runs of a value."""
    runs = sweep.trained.loc[sweep.trained["axis_value"] == setting, "run"]
    here = table[(table["unit"] == "clip") & table["run"].isin(runs)]
    matrix = here.pivot_table(index="label", columns="predicted", values="count", aggfunc="sum", fill_value=0)
    return matrix.reindex(index=classes, columns=classes, fill_value=0).to_numpy(np.float64)


@style.styled
def confusion_figure(sweep: Sweep, table: pd.DataFrame) -> Figure:
    """The figure that `plot_confusion` writes, one panel per value of the axis."""
    table = table[(table["unit"] == "clip") & table["run"].isin(sweep.trained["run"])]
    if table.empty:
        return style.sentence(style.NO_LABELS)
    classes = sorted(set(table["label"]) | set(table["predicted"]))
    side = float(np.clip(0.42 * len(classes), 2.3, 5.0))
    names = 0.65 + 0.075 * min(max(map(len, classes)), 22)
    margins = style.Margins(left=names, right=max(0.8, 6.3 - names - side), top=1.15, bottom=names, column=0.2, row=0.5)
    figure, panels = style.panels(len(sweep.values), side, side, margins)
    bar = figure.add_axes(_beside(panels[: style.COLUMNS][-1], 0.12 / figure.get_figwidth()))
    for i, (axes, setting) in enumerate(zip(panels, sweep.values, strict=True)):
        at_edge = (i % style.COLUMNS == 0, i + style.COLUMNS >= len(panels))
        _panel(axes, counts(sweep, table, setting, classes), classes, bar, at_edge)
        axes.set_title(sweep.label(setting), loc="left", fontsize=10.5, fontweight="bold", pad=6)
    bar.set_title("%", fontsize=9, color=style.QUIET)
    over = f"summed over {sweep.seeds()} seeds" if sweep.seeds() > 1 else "one seed"
    over += f" and over {sweep.others_in_words}" if sweep.others else ""
    detail = f"per cent of the clips of each true class; {over}"
    style.title(panels[0], "What held-out clips were taken for", detail, above=22)
    return figure


def _beside(axes: Axes, width: float) -> tuple[float, float, float, float]:
    """A box of the height of some axes, just right of them, `width` wide, as shares of the figure."""
    box = axes.get_position()
    return box.x1 + width, box.y0, width, box.height


def _panel(
    axes: Axes, matrix: npt.NDArray[np.float64], classes: list[str], bar: Axes, at_edge: tuple[bool, bool]
) -> None:
    """One matrix; true classes are named at the left edge of the figure, predicted ones at the lower one."""
    totals = matrix.sum(axis=1, keepdims=True)
    share = np.divide(100 * matrix, totals, out=np.full_like(matrix, np.nan), where=totals > 0)
    numbers = np.where(np.nan_to_num(share) >= 0.5, np.char.mod("%.0f", np.nan_to_num(share)), "")
    mesh = style.heat_map(axes, share, 100.0, bar, numbers if len(classes) <= MOST_NUMBERED else None, 8.5)
    mesh.set(linewidth=0.6, edgecolor="white")
    places, names = np.arange(len(classes)) + 0.5, [style.shorten(name) for name in classes]
    if at_edge[1]:
        axes.set_xticks(places, names)
    if at_edge[0]:
        axes.set_yticks(places, names)
    axes.set_xlabel("taken for" if at_edge[1] else "", color=style.QUIET, fontsize=9.5)
    axes.set_ylabel("true class" if at_edge[0] else "", color=style.QUIET, fontsize=9.5)
    axes.tick_params(axis="x", rotation=90, length=0, labelsize=9)
    axes.tick_params(axis="y", rotation=0, length=0, labelsize=9)
