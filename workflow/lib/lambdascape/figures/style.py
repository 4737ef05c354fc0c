"""How every figure looks: colours, type, labels that do not overlap, and the writing of SVG and PNG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from lambdascape.core.files import atomic_path

INK, QUIET, FAINT = "#1f2328", "#59636e", "#d8dde3"
REFERENCE_COLOURS = {"untrained": "#8c6d46", "mean_logmel": "#4f6d7a"}
OWN_COLOURS = ("#1b7f5c", "#9a4f7b", "#5b6abf", "#7a7a2e")  # of the spaces that the user brings, in their order
NO_LABELS = "No labels: the probes were left out."
PNG_DPI = 160
COLUMNS = 3  # panels beside each other
LIGHT = 0.408  # luminance from which a text on it is dark
# Brightness changes steadily along the map, so the order survives colour blindness and grey print.
COLOUR_MAP, LIGHTEST, DARKEST = "plasma", 0.76, 0.0

RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "text.parse_math": False,  # a label may hold dollar signs
    "axes.edgecolor": "#8b949e",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e9ed",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.major.size": 4,
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    # Glyphs as paths look the same in every viewer; a fixed salt makes equal figures equal files.
    "svg.fonttype": "path",
    "svg.hashsalt": "lambdascape",
}

styled = mpl.rc_context(RC)
"""Decorator of functions that build a figure."""


def reference_colours(kinds: Iterable[str]) -> dict[str, str]:
    """A colour for each kind of baseline, see `run_table.Sweep.kinds`; colours repeat if there are too few."""
    own = [kind for kind in kinds if kind not in REFERENCE_COLOURS]
    return REFERENCE_COLOURS | {kind: OWN_COLOURS[place % len(OWN_COLOURS)] for place, kind in enumerate(own)}


def figure(width: float, height: float) -> Figure:
    """An empty figure, width and height in inches."""
    made = Figure(figsize=(width, height))
    FigureCanvasAgg(made)
    return made


@dataclass(frozen=True)
class Margins:
    """Room around and between panels, in inches; `column` and `row` are the gaps between them."""

    left: float
    right: float
    top: float
    bottom: float
    column: float
    row: float


def panels(
    count: int, width: float, height: float, margins: Margins, columns: int = COLUMNS
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of panels of equal size.

    Args:
        count: how many panels.
        width: of a panel, in inches.
        height: of a panel, in inches.
        margins: room around and between them.
        columns: most panels beside each other.

    Returns:
        The figure; its panels row by row.
    """
    rows = -(-count // columns)
    columns = min(columns, count)
    total_width = margins.left + columns * width + (columns - 1) * margins.column + margins.right
    total_height = margins.top + rows * height + (rows - 1) * margins.row + margins.bottom
    made = figure(total_width, total_height)
    axes = []
    for row, column in (divmod(i, columns) for i in range(count)):
        left = margins.left + column * (width + margins.column)
        bottom = total_height - margins.top - height - row * (height + margins.row)
        box = (left / total_width, bottom / total_height, width / total_width, height / total_height)
        axes.append(made.add_axes(box))
    return made, axes


def mean_and_range(axes: Axes, rows: pd.DataFrame, x: str, y: str, alpha: float, **look: Any) -> tuple[float, float]:
    """Draw the mean of several values at each x as a line, over a band from the lowest to the highest.

    Args:
        axes: the axes; their labels are left to the caller.
        rows: one row per value.
        x: column of the place.
        y: column of the value.
        alpha: opacity of the band; 0 for none.
        look: of the line.

    Returns:
        Where the line ends, in data units.
    """
    import seaborn as sns  # half a second, which not every figure needs

    band = {"lw": 0, "alpha": alpha, "zorder": 1.2}
    twice = pd.concat([rows, rows])  # Seaborn's band has a gap where there is one value; the mean stays
    sns.lineplot(twice, x=x, y=y, errorbar=("pi", 100) if alpha else None, err_kws=band, legend=False, ax=axes, **look)
    last = rows[rows[x] == rows[x].max()]
    return float(last[x].iloc[0]), float(last[y].mean())


def heat_map(
    axes: Axes, values: npt.NDArray[np.float64], highest: float, bar: Axes, texts: npt.NDArray[Any] | None, size: float
) -> QuadMesh:
    """Draw a matrix in shades from 0 to `highest`; cells that are not known stay empty.

    Seaborn's draws the whole figure each time, only to see whether its labels overlap.

    Args:
        axes: takes the matrix; its ticks are left to the caller.
        values: shape (row, column), the first row on top.
        highest: value of the darkest shade.
        bar: takes the scale of the shades.
        texts: shape (row, column), text of the cells; None for none.
        size: of the texts, in points.
    """
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), vmin=0, vmax=highest, cmap="Blues")
    axes.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0), xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if texts is not None:
        for (row, column), words in np.ndenumerate(np.where(np.isfinite(values), texts, "")):
            ink = "white" if _luminance(mesh.to_rgba(values[row, column])) < LIGHT else INK
            axes.text(column + 0.5, row + 0.5, words, ha="center", va="center", fontsize=size, color=ink)
    if not bar.has_data():
        axes.figure.colorbar(mesh, cax=bar).outline.set_linewidth(0)
    return mesh


def _luminance(colour: Any) -> float:
    """Relative luminance of a colour, 0 to 1 (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def colours(values: Sequence[Any]) -> dict[Any, str]:
    """One colour for each value of the axis, darker for larger ones.

    The place on the colour map is the mean of the place on a logarithmic scale and the place in the order, so
    that neighbours stay apart; on an evenly spaced logarithmic grid both are the same. Zero stands one step
    below the rest.

    Args:
        values: all different values of the axis of the study, numbers or text, in any order.

    Returns:
        Colour as `#rrggbb` for each value.
    """
    ordered = sorted(values, key=lambda v: (isinstance(v, str), v))
    rank = np.linspace(0, 1, len(ordered)) if len(ordered) > 1 else np.ones(1)
    place = places(ordered)
    span = place.max() - place.min()
    position = (rank + (place - place.min()) / span) / 2 if span > 0 else rank
    colour_map = mpl.colormaps[COLOUR_MAP]
    return {v: to_hex(colour_map(LIGHTEST + (DARKEST - LIGHTEST) * p)) for v, p in zip(ordered, position, strict=True)}


def places(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Positions of values, in order of size, on an axis.

    Returns:
        The logarithm to base 10 of positive numbers, with zero one mean step (at least half a decade) below
        the smallest; 0, 1, 2, ... for text.
    """
    if not all(_is_number(v) and v >= 0 for v in values):
        return np.arange(len(values), dtype=np.float64)
    logs = [math.log10(v) for v in values if v > 0]
    step = max((logs[-1] - logs[0]) / (len(logs) - 1), 0.5) if len(logs) > 1 else 1.0
    return np.array([math.log10(v) if v > 0 else (logs[0] if logs else 0.0) - step for v in values])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def keep_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> npt.NDArray[np.float64]:
    """Positions at least `gap` apart, as near to the wanted ones as can be, and inside [low, high].

    Args:
        wanted: positions in any order.
        gap: least distance.
        low: lower end.
        high: upper end; overstepped when there are too many positions.

    Returns:
        The positions with the least sum of squared shifts, in the order of `wanted`.
    """
    order = np.argsort(wanted, kind="stable")
    offset = np.arange(len(order)) * gap
    sorted_positions = isotonic_regression(np.asarray(wanted, dtype=np.float64)[order] - offset).x
    top = max(low, high - offset[-1]) if len(order) else low
    placed = np.clip(sorted_positions, low, top) + offset
    result = np.empty(len(order))
    result[order] = placed
    return result


@dataclass(frozen=True)
class End:
    """Where a curve ends (data units), its name, its colour, and whether it is one of the main curves."""

    x: float
    y: float
    words: str
    colour: str
    main: bool = True


def label_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Write the names of curves beside their ends, kept apart, each tied to its end by a thin line.

    Call it when the limits of the axes are final: an end at the right limit is labelled outside the axes.

    Args:
        axes: the axes.
        ends: the end of each curve.
    """
    height = axes.get_position().height * float(axes.get_figure(root=True).get_figheight())  # type: ignore[union-attr]
    low, high = axes.get_ylim()
    line = 0.165 / height * (high - low)  # a line of text is about 0.165 inches high
    step = 0.012 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    backing = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}
    for x in sorted({end.x for end in ends}):
        here = [end for end in ends if end.x == x]
        for end, y in zip(here, keep_apart([end.y for end in here], line, low, high), strict=True):
            look: Any = {
                "color": end.colour,
                "lw": 0.9,
                "alpha": 0.8,
                "clip_on": False,
                "zorder": 4,
                "label": "_leader",
            }
            axes.plot([x + 0.3 * step, x + step, x + 2.6 * step], [end.y, end.y, y], **look)
            size, ink = (10, INK) if end.main else (8.8, QUIET)
            axes.text(x + 3.2 * step, y, end.words, va="center", fontsize=size, color=ink, zorder=5, bbox=backing)


def title(axes: Axes, main: str, detail: str, above: float = 0) -> None:
    """Title of a figure over its first axes, and a quieter line below it; `above` lifts both, in points."""
    place: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(main, (0, 1), (0, above + 24), fontsize=13, fontweight="bold", **place)
    axes.annotate(detail, (0, 1), (0, above + 9), fontsize=9.5, color=QUIET, **place)


def shorten(name: str, most: int = 22) -> str:
    """A name cut to at most `most` characters, the last of them `…` where it was cut."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def sentence(words: str) -> Figure:
    """A figure that holds one sentence in place of axes."""
    made = figure(8, 1.6)
    made.text(0.5, 0.5, words, ha="center", va="center", fontsize=13, color=QUIET)
    return made


def write(build: Callable[[], Figure], svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Build a figure and write it as SVG and PNG; the same figure gives the same bytes.

    Args:
        build: makes the figure.
        svg: path of the SVG.
        png: path of the PNG, 160 dots per inch.
        synthetic: mark the figure as showing synthetic data.
    """
    with mpl.rc_context(RC):
        made = build()
        if synthetic:
            made.text(
                0.995,
                0.008,
                "synthetic data",
                ha="right",
                va="bottom",
                fontsize=8.5,
                style="italic",
                color=QUIET,
            )
        with atomic_path(svg) as temporary:
            made.savefig(temporary, format="svg", metadata={"Date": None})
        with atomic_path(png) as temporary:
            made.savefig(temporary, format="png", dpi=PNG_DPI)
