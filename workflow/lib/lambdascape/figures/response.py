"""The main figure: what the converged probe scores at each value of the axis, beside the reference spaces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lambdascape.figures import style
from lambdascape.figures.sweep import REFERENCES, Sweep, read_sweep, text
from lambdascape.files import read_table


@dataclass(frozen=True)
class Look:
    """How the points of a unit look, and how far they stand beside the tick, in steps of the axis."""

    marker: str
    line: str
    size: float
    bar: float
    alpha: float
    shift: float


LOOKS = {"tile": Look("D", "--", 3.6, 0.8, 0.45, 0.17), "clip": Look("o", "-", 6, 1.3, 0.95, -0.06)}


def draw_response(runs: str | Path, scores: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw held-out macro-F1 of the converged probe against the axis of the study.

    Args:
        runs: runs.tsv.
        scores: scores.tsv: run, probe, split, unit, measure, class, value, low, high.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(scores, text=("run", "probe", "split", "unit", "measure", "class"))
    style.write(lambda: response_figure(sweep, table), svg, png, synthetic)


@style.styled
def response_figure(sweep: Sweep, scores: pd.DataFrame) -> Figure:
    """The figure that `draw_response` writes; lines carry `<unit>`, points `<unit>:<setting>` as labels."""
    rows = scores[(scores["probe"] == "converged") & (scores["split"] == "test") & (scores["measure"] == "macro_f1")]
    trained = rows.merge(sweep.trained, on="run")
    if trained.empty:
        return style.sentence(style.NO_LABELS)
    figure = style.figure(8.6, 5.2)
    axes = figure.add_axes((0.085, 0.125, 0.70, 0.735))
    place = style.places(sweep.values)
    step = float(np.diff(place).min()) if len(place) > 1 else 1.0
    axes.set_xlim(place[0] - 0.45 * step, place[-1] + 0.45 * step)
    ends = [
        _unit(axes, sweep, trained[trained["unit"] == unit], unit, place, step)
        for unit in LOOKS
        if (trained["unit"] == unit).any()
    ]
    ends += _references(axes, sweep, rows[rows["unit"] == "clip"])
    _frame(axes, sweep, place, step)
    by = f", by {sweep.symbol}" if sweep.key else ""
    style.title(axes, f"What a probe scores on held-out sessions{by}", _detail(sweep))
    style.label_ends(axes, ends)
    return figure


def _unit(
    axes: Axes, sweep: Sweep, rows: pd.DataFrame, unit: str, place: npt.NDArray[np.float64], step: float
) -> style.End:
    """Points with intervals, one per run, and the mean line; returns the line's end for the label."""
    look, colours = LOOKS[unit], style.colours(sweep.values)
    middle = place + look.shift * step
    means: list[float] = []
    for x, setting in zip(middle, sweep.values, strict=True):
        here = rows[rows["setting"] == setting].sort_values(["seed", "arm"])
        n = max(len(here), 1)
        at = x + (np.arange(len(here)) - (n - 1) / 2) * min(0.05, 0.2 / n) * step
        shared: Any = {"color": colours[setting], "alpha": look.alpha}
        axes.vlines(at, here["low"], here["high"], lw=look.bar, zorder=2.4, **shared)
        mark: Any = {"marker": look.marker, "ms": look.size, "mec": "white", "mew": 0.7, "zorder": 3}
        axes.plot(at, here["value"], ls="", label=f"{unit}:{text(setting)}", **mark, **shared)
        means.append(float(here["value"].mean()))
    axes.plot(middle, means, look.line, color=style.INK, lw=look.bar * 1.4, alpha=look.alpha, zorder=2.6, label=unit)
    return style.End(axes.get_xlim()[1], means[-1], f"trained, per {unit}", style.QUIET, unit == "clip")


def _references(axes: Axes, sweep: Sweep, rows: pd.DataFrame) -> list[style.End]:
    """A line with a band for each reference space that has scores; returns the ends for the labels."""
    ends = []
    for kind, words in REFERENCES.items():
        here = rows.merge(sweep.references[sweep.references["kind"] == kind], on="run")
        if here.empty:
            continue
        mean, colour = float(here["value"].mean()), style.REFERENCE_COLOURS[kind]
        axes.axhline(mean, color=colour, lw=1.5, ls=(0, (6, 2)), zorder=1.6, label=kind)
        axes.axhspan(here["low"].min(), here["high"].max(), color=colour, alpha=0.10, lw=0, zorder=0.6)
        ends.append(style.End(axes.get_xlim()[1], mean, words, colour))
    return ends


def _frame(axes: Axes, sweep: Sweep, place: npt.NDArray[np.float64], step: float) -> None:
    """Ticks at the values, the break of the axis behind zero, names."""
    axes.set_xticks(place, [text(value) or "all runs" for value in sweep.values])
    axes.tick_params(axis="x", pad=6)
    scale = " (logarithmic scale)" if sweep.key and not isinstance(sweep.values[-1], str | bool) else ""
    axes.set_xlabel(f"{sweep.axis}{scale}", labelpad=8)
    axes.set_ylabel("macro-F1 on held-out sessions")
    if len(sweep.values) > 1 and not isinstance(sweep.values[0], str) and sweep.values[0] == 0:
        middle = float(place[0] + place[1]) / 2
        gap: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 5}
        axes.plot([middle - 0.02 * step, middle + 0.02 * step], [0, 0], color="white", lw=3, label="_break", **gap)
        for x in (middle - 0.025 * step, middle + 0.025 * step):
            axes.plot(
                [x - 0.012 * step, x + 0.012 * step],
                [-0.018, 0.018],
                color="#8b949e",
                lw=1,
                label="_break",
                **gap,
            )


def _detail(sweep: Sweep) -> str:
    """What the marks are, in one line."""
    points = "one point per seed" if sweep.seeds() > 1 else "one seed"
    if sweep.others:
        points += f" and {sweep.others_in_words}"
    return f"{points}; bars: bootstrap over sessions; dashed with band: reference spaces, per clip"
