"""How the variance of each space falls off along its principal directions, by value of the axis."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.run_table import Sweep, read_sweep, text

LOWEST = 1e-7  # share of the variance; smaller ones are rounding of float32
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@figure(
    "spectra",
    title="Share of the variance along each principal direction",
    label="variance along each direction",
    category="Spaces",
    caption="""\
**The variance of each space along its principal directions**, on the same held-out tiles for every space. One
line for each value of λ (or of what else varies), the mean over its runs, with a band from the lowest to the
highest; dashed: the baselines. A steep line belongs to a space that uses few of its dimensions; if a line
reaches the bottom early, the space has lost the other dimensions. The axis of shares is logarithmic; shares
under 10⁻⁷, which are rounding, are not plotted. From ``tables/spectra.tsv``.
""",
)
def plot_spectra(runs: str | Path, spectra: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw the share of the variance along each principal direction.

    Args:
        runs: runs.tsv.
        spectra: spectra.tsv: run, direction, variance, share.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(spectra, text=("run",))
    style.write(lambda: spectra_figure(sweep, table), svg, png, synthetic)


@style.styled
def spectra_figure(sweep: Sweep, spectra: pd.DataFrame) -> Figure:
    """The figure that `plot_spectra` writes; lines carry the value, or the kind of the baseline, as labels."""
    shares = spectra[spectra["share"].notna()]
    if shares.empty:
        return style.sentence("Every space is one point: there is no spectrum.")
    figure = style.figure(8.6, 4.9)
    axes = figure.add_axes((0.085, 0.125, 0.69, 0.725))
    colours = style.colours(sweep.values)
    handles = []
    for value in reversed(sweep.values):
        runs = sweep.trained.loc[sweep.trained["axis_value"] == value, "run"]
        handles += _line(axes, shares[shares["run"].isin(runs)], colours[value], "-", text(value), sweep.label(value))
    reference_colours = style.reference_colours(sweep.kinds)
    for kind, words in sweep.kinds.items():
        runs = sweep.references.loc[sweep.references["arm"] == kind, "run"]
        handles += _line(axes, shares[shares["run"].isin(runs)], reference_colours[kind], (0, (6, 2)), kind, words)
    axes.set_yscale("log")
    axes.set_ylim(LOWEST, 1)
    powers = range(round(math.log10(LOWEST)), 1)
    axes.set_yticks([10.0**power for power in powers], [_share(power) for power in powers])
    axes.minorticks_off()
    axes.set_xlim(1, max(shares["direction"].max(), 2))
    axes.set_xlabel("principal direction", labelpad=6)
    axes.set_ylabel("share of the variance")
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
    by = f", by {sweep.symbol}" if sweep.key else ""
    detail = "means over runs; bands: lowest to highest run; the steeper, the fewer directions the space uses"
    style.title(axes, f"How many directions the spaces use{by}", detail)
    return figure


def _line(axes: Axes, shares: pd.DataFrame, colour: str, dash: Any, label: str, words: str) -> list[Any]:
    """Mean and range over runs; returns the handle for the key, none where no run has a spectrum."""
    if shares.empty:
        return []
    shown = shares.assign(share=shares["share"].clip(lower=LOWEST / 10))  # a logarithm has no zero
    style.mean_and_range(axes, shown, "direction", "share", 0.15, ls=dash, color=colour, lw=1.8, label=label)
    return [Line2D([], [], ls=dash, color=colour, lw=1.8, label=words)]


def _share(power: int) -> str:
    """A power of ten as it is written on the axis."""
    return "1" if power == 0 else f"10{str(power).translate(RAISED)}"
