"""What λ does to each stage of the network: sizes of one training step in each epoch, measure by stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.run_table import GROUPS, Sweep, read_sweep, text

WIDTH, HEIGHT = 1.32, 0.98  # of a panel, inches
MARGINS = style.Margins(left=2.35, right=0.25, top=0.95, bottom=0.72, column=0.12, row=0.16)
KEY_LINE = 0.2  # inches
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST_TICKS = 4
ABSENT = {"gradient_ratio": "no penalty", "variance_over_epsilon": "no normalisation",
    "moving_over_true_variance": "no normalisation", "gamma": "no normalisation"}  # fmt: skip
KEYS_IN_A_ROW = 6


@dataclass(frozen=True)
class LayerMeasure:
    """A row of panels: its symbol, its meaning, and the value at which that changes; from 0 or in decades."""

    symbol: str
    words: str
    mark: float | None = None
    decades: bool = True


KINDS = {
    "weight_norm": LayerMeasure("‖w‖", "length of the weights"),
    "relative_update": LayerMeasure("‖Δw‖ / ‖w‖", "what a step changes"),
    "angular_update": LayerMeasure("∠(w, w + Δw)", "how far a step turns, rad"),
    "effective_learning_rate": LayerMeasure("learning rate / ‖w‖", "effective learning rate"),
    "gradient_ratio": LayerMeasure("‖∇penalty‖ / ‖∇triplet‖", "above 1 the penalty leads", 1.0),
    "variance_over_epsilon": LayerMeasure("variance / ε", "below 1 the stage fades", 1.0),
    "moving_over_true_variance": LayerMeasure("moving / true variance", "above 1 the averages trail", 1.0),
    "gamma": LayerMeasure("mean |γ|", "scale after normalisation", decades=False),
    "dead_kernels": LayerMeasure("dead kernels", "share that hands on nothing", decades=False),
    "effective_rank": LayerMeasure("effective rank", "directions in the kernels"),
}


@figure(
    "dynamics",
    title="Effect of one training step on each stage of the network, by epoch",
    label="effect of a step on each stage, by epoch",
    category="Training",
    wide=True,
    caption="""\
**The effect of each λ on each stage of the network**, one colour for each value (or for each value of what else
varies), darker for larger ones. Lines are means over seeds, bands reach from the lowest to the highest seed.
Every value comes from one training step of its epoch, the last one on a whole batch. All panels of a row have
the same scale, so that stages can be compared. All but two rows are logarithmic; there a value of 0, such as
the gradient of no penalty, cannot be shown.

w is the vector of the kernels and biases of a stage. Every convolution is normalised, so its output does not
depend on the length of w: λ acts by shortening w, after which the same learning rate turns it further (second
to fourth rows). This ends where the variance before the normalisation falls to its ε (dashed): from there on
the stage fades. The fifth row compares the gradients of the penalty, 2λw, and of the loss; above 1 (dashed) a
step follows λ more than the triplets. Moving / true variance shows how far the moving averages of batch
normalisation trail behind the weights: above 1 (dashed) they belong to earlier, longer weights, and a network
that used them would not normalise as it did in training. A kernel is dead if less than 1 % of its first
standard deviation is left after the normalisation. The effective rank counts the directions in which the
kernels of a stage differ (mean over layers). From ``tables/layers.tsv``.
""",
)
def plot_dynamics(runs: str | Path, layers: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw the measures of each group of layers by epoch, one colour per value of the axis.

    Args:
        runs: runs.tsv.
        layers: layers.tsv: run, epoch, group, measure, value.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(layers, text=("run", "group", "measure"))
    style.write(lambda: dynamics_figure(sweep, table), svg, png, synthetic)


@style.styled
def dynamics_figure(sweep: Sweep, table: pd.DataFrame) -> Figure:
    """The figure that `plot_dynamics` writes; its lines carry `<measure>:<group>:<setting>` as their label."""
    values = table.merge(sweep.trained, on="run")
    groups = list(dict.fromkeys(values["group"]))
    figure, grid = _grid(len(groups), MARGINS.top + KEY_LINE * -(-len(sweep.values) // KEYS_IN_A_ROW))
    last = float(values["epoch"].max())
    for (measure, kind), row in zip(KINDS.items(), grid, strict=True):
        here = values[values["measure"] == measure]
        limits, ticks = _scale(here["value"].to_numpy(float), kind)
        for axes, group in zip(row, groups, strict=True):
            axes.set_yscale("log" if kind.decades else "linear")
            axes.set_ylim(*limits)
            axes.set_yticks(ticks, map(_power if kind.decades else text, ticks) if axes is row[0] else [])
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_xlim(min(1.0, last - 1), max(last, 2.0))
            axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.tick_params(labelbottom=row is grid[-1], labelsize=9)
            _panel(axes, sweep, here[here["group"] == group], measure, group)
            if kind.mark:
                axes.axhline(kind.mark, color=style.QUIET, lw=0.9, ls=(0, (4, 2)), zorder=1.5, label="_mark")
        _name(row[0], kind)
    for axes, group in zip(grid[0], groups, strict=True):
        axes.set_title(GROUPS.get(group, group), loc="left", fontsize=10, fontweight="bold", pad=6)
    for axes in grid[-1]:
        axes.set_xlabel("epoch", fontsize=9.5)
    _head(figure, sweep)
    return figure


def _grid(columns: int, top: float) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a row of panels for each measure, below `top` inches."""
    rows = len(KINDS)
    width = MARGINS.left + columns * WIDTH + (columns - 1) * MARGINS.column + MARGINS.right
    height = top + rows * HEIGHT + (rows - 1) * MARGINS.row + MARGINS.bottom
    figure = style.figure(width, height)

    def panel(row: int, column: int) -> Axes:
        left = MARGINS.left + column * (WIDTH + MARGINS.column)
        bottom = height - top - HEIGHT - row * (HEIGHT + MARGINS.row)
        return figure.add_axes((left / width, bottom / height, WIDTH / width, HEIGHT / height))

    return figure, [[panel(row, column) for column in range(columns)] for row in range(rows)]


def _scale(values: npt.NDArray[np.float64], kind: LayerMeasure) -> tuple[tuple[float, float], Sequence[float]]:
    """Limits and ticks of a row: from 0 to 1 or more, or around the values above 0, with at least two powers of ten."""
    known = values[np.isfinite(values)]
    if not kind.decades:
        top = max(1.0, float(known.max(initial=0)))
        return (-0.04 * top, 1.04 * top), np.arange(0, top + 1e-9, 0.5 if top < 2 else math.ceil(top / 3)).tolist()
    logs = np.log10(np.append(known[known > 0], kind.mark or []))
    low, high = (logs.min() - 0.08, logs.max() + 0.08) if len(logs) else (0.0, 1.0)
    if math.floor(high) <= math.ceil(low):
        low, high = min(low, math.floor(low)), max(high, math.floor(low) + 1.0)
    first, last = math.ceil(low), math.floor(high)
    step = -(-(last - first) // MOST_TICKS) or 1
    return (10.0**low, 10.0**high), [10.0**power for power in range(first, last + 1, step)]


def _power(value: float) -> str:
    """A power of ten: 0.01 to 100 as they are, the others as 10⁻³."""
    exponent = round(math.log10(value))
    return text(value) if abs(exponent) <= 2 else f"10{str(exponent).translate(SUPERSCRIPTS)}"


def _panel(axes: Axes, sweep: Sweep, rows: pd.DataFrame, measure: str, group: str) -> None:
    """The mean over runs of each value with its band, or with a thin line for each arm; words where there is none."""
    if measure in ABSENT and not (rows["value"] > 0).any():
        place: Any = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.4, ABSENT[measure], fontsize=8.5, color=style.QUIET, **place)
    colours = style.colours(sweep.values)
    for setting in sweep.values:
        here = rows[rows["axis_value"] == setting]
        over_runs = here.groupby("epoch")["value"].agg(["mean", "min", "max"])
        look: Any = {"color": colours[setting], "label": f"{measure}:{group}:{text(setting)}"}
        marker = "o" if len(over_runs) == 1 else None
        axes.plot(over_runs.index, over_runs["mean"], lw=1.7, zorder=2.5, marker=marker, ms=4, **look)
        if sweep.others:
            for _, arm in here.groupby("arm", sort=False):
                means = arm.groupby("epoch")["value"].mean()
                axes.plot(means.index, means, lw=0.6, alpha=0.6, zorder=2.2, label="_arm", color=colours[setting])
        else:
            axes.fill_between(
                over_runs.index, over_runs["min"], over_runs["max"], lw=0, alpha=0.18, color=colours[setting]
            )


def _name(axes: Axes, kind: LayerMeasure) -> None:
    """Symbol and words of a row, left of its first panel."""
    place: Any = {"xycoords": ("figure fraction", "axes fraction"), "textcoords": "offset points", "va": "center"}
    left = 0.15 / axes.figure.get_figwidth()  # type: ignore[union-attr]
    axes.annotate(kind.symbol, (left, 0.5), (0, 7), fontsize=10, **place)
    axes.annotate(kind.words, (left, 0.5), (0, -7), fontsize=8.8, color=style.QUIET, **place)


def _head(figure: Figure, sweep: Sweep) -> None:
    """Title, what the lines are, and the key of the colours."""
    width, height = figure.get_size_inches()
    left = 0.15 / width
    seeds = sweep.seeds()
    detail = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    if sweep.others:
        detail += f" and over {sweep.others_in_words}; thin lines: each {sweep.others_in_words}"
    elif seeds > 1:
        detail += "; band: lowest to highest seed"
    figure.text(left, 1 - 0.3 / height, "What one training step does to each stage", fontsize=13, fontweight="bold")
    figure.text(left, 1 - 0.52 / height, f"{detail}; dashed: 1", fontsize=9.5, color=style.QUIET)
    colours = style.colours(sweep.values)
    key = [Line2D([], [], color=colours[value], lw=2.2, label=sweep.label(value)) for value in sweep.values]
    figure.legend(handles=key, loc="upper left", bbox_to_anchor=(left, 1 - 0.6 / height), ncols=KEYS_IN_A_ROW,
        borderpad=0, borderaxespad=0, handlelength=1.8, columnspacing=1.6)  # fmt: skip
