"""Curves by epoch: the loss, and the scores of the published study's probe."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from lambdascape.study.catalogue import PUBLISHED
from lambdascape.study.run_table import Sweep, read_sweep, text

SPLITS = {"train": "training", "test": "held-out"}


@dataclass(frozen=True)
class Curve:
    """What one of the figures of curves shows: its words, and its name in the published curves."""

    title: str
    x: str
    y: str
    published: str


KINDS = {
    "loss": Curve("Loss by epoch", "epoch", "loss", "triplet_loss"),
    "macro_f1": Curve(
        "Macro-F1 by epoch of the published study's probe",
        "probe epoch",
        "macro-F1 per tile",
        "classifier_f1",
    ),
    "cross_entropy": Curve(
        "Cross-entropy by epoch of the published study's probe",
        "probe epoch",
        "cross-entropy (nats)",
        "classifier_loss",
    ),
}


@figure(
    "loss",
    title="Loss by epoch",
    label="loss by epoch",
    category="Training",
    caption="""\
**Loss after each epoch**, one colour for each value of λ (or of what else varies), darker for larger
ones. Solid: training triplets, the mean over the epoch in training mode, with dropout and changing weights;
dashed: triplets of held-out sessions, after the epoch and in inference mode. Their difference is not the
generalisation gap: that is between fixed training triplets and held-out ones in the same mode, in the table
below. Lines are means over seeds, and bands reach from the lowest to the highest seed; if several things vary,
thin lines show each of them instead. The loss is the one that is minimised: of the triplet loss, by default,
the mean over active triplets, which can stay constant while fewer and fewer triplets are active. Runs are
compared by the mean over all triplets. The penalty is not included. Dotted, if the data set is the published one:
the curves of Gröger (2020), read off its figure 1; their epoch 0 is epoch 1 here, and the text does not say on
which triplets they were measured. From ``tables/training.tsv``.
""",
)
def plot_loss(
    runs: str | Path, training: str | Path, published: Sequence[str], svg: str | Path, png: str | Path, synthetic: bool
) -> None:
    """Draw it, see `plot_curves`."""
    plot_curves(runs, training, "loss", published, svg, png, synthetic)


@figure(
    "probe_f1",
    title="Macro-F1 of the published study's probe by epoch",
    label="macro-F1 of the published probe by epoch",
    category="Probes",
    caption="""\
**Macro-F1 per tile of the published study's probe** after each of its epochs: a logistic layer on frozen
embeddings, trained by Adam. Colours, lines and bands as in the figure of the loss; solid: tiles it was
trained on, dashed: tiles of held-out sessions. If a curve still rises at the end, the probe has not converged,
and the curve shows the probe as much as the space. Dotted, if the data set is the published one: figure 2 of
Gröger (2020), shifted to epochs that count from 1. From ``tables/probe_epochs.tsv``.
""",
)
def plot_probe_f1(
    runs: str | Path,
    probe_epochs: str | Path,
    published: Sequence[str],
    svg: str | Path,
    png: str | Path,
    synthetic: bool,
) -> None:
    """Draw it, see `plot_curves`."""
    plot_curves(runs, probe_epochs, "macro_f1", published, svg, png, synthetic)


@figure(
    "probe_cross_entropy",
    title="Cross-entropy of the published study's probe by epoch",
    label="cross-entropy of the published probe by epoch",
    category="Probes",
    caption="""\
**Cross-entropy of the published study's probe** after each of its epochs, in nats; lower is better. Colours,
lines and bands as in the figure of the loss. With the published double softmax the loss treats
probabilities as logits and can never come near zero: with nine classes it stays between 1.37 and 2.37. Dotted,
if the data set is the published one: figure 3 of Gröger (2020), shifted to epochs that count from 1. From
``tables/probe_epochs.tsv``.
""",
)
def plot_probe_cross_entropy(
    runs: str | Path,
    probe_epochs: str | Path,
    published: Sequence[str],
    svg: str | Path,
    png: str | Path,
    synthetic: bool,
) -> None:
    """Draw it, see `plot_curves`."""
    plot_curves(runs, probe_epochs, "cross_entropy", published, svg, png, synthetic)


def plot_curves(
    runs: str | Path,
    table: str | Path,
    measure: str,
    published: Sequence[str],
    svg: str | Path,
    png: str | Path,
    synthetic: bool,
) -> None:
    """Draw one measure by epoch, one colour per value of the axis.

    Args:
        runs: runs.tsv.
        table: training.tsv or probe_epochs.tsv: run, epoch, split, measure, value.
        measure: `loss`, `macro_f1` or `cross_entropy`.
        published: no path, or the one of the published curves (CSV: figure, l2, epoch from 0, value).
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    values = read_table(table, text=("run", "split", "measure"))
    behind = pd.concat([pd.read_csv(path) for path in published]) if published else None
    style.write(lambda: curves_figure(sweep, values, measure, behind), svg, png, synthetic)


@style.styled
def curves_figure(sweep: Sweep, table: pd.DataFrame, measure: str, published: pd.DataFrame | None) -> Figure:
    """The figure that `plot_curves` writes; its lines carry `<split>:<setting>` as their label."""
    kind = KINDS[measure]
    curves = table[table["measure"] == measure].merge(sweep.trained, on="run")
    if curves.empty:
        return style.sentence(style.NO_LABELS)
    figure = style.figure(8.6, 4.9)
    axes = figure.add_axes((0.085, 0.12, 0.725, 0.735))
    colours = style.colours(sweep.values)
    behind = _published(sweep, kind, published)
    for setting, rows in behind.groupby("setting"):
        axes.plot(
            rows["epoch"],
            rows["value"],
            ls=(0, (1, 1.4)),
            color=colours.get(setting, style.QUIET),
            lw=1.6,
            alpha=0.8,
            zorder=1.8,
            label=f"published:{text(setting)}",
        )
    ends = [
        _curve(axes, sweep, rows, split, setting, colours[setting])
        for split in SPLITS
        for setting in sweep.values
        if len(rows := curves[(curves["split"] == split) & (curves["axis_value"] == setting)])
    ]
    _frame(axes, kind, curves, with_published=not behind.empty)
    style.title(axes, kind.title, _detail(sweep))
    style.label_ends(axes, ends)
    return figure


def _published(sweep: Sweep, kind: Curve, published: pd.DataFrame | None) -> pd.DataFrame:
    """Rows setting, epoch (counted from 1, as here), value; none where λ is not what varies."""
    if published is None or sweep.key != "l2":
        return pd.DataFrame({"setting": [], "epoch": [], "value": []})
    rows = published[published["figure"] == kind.published]
    return pd.DataFrame({"setting": rows["l2"].astype(float), "epoch": rows["epoch"] + 1, "value": rows["value"]})


def _curve(axes: Axes, sweep: Sweep, rows: pd.DataFrame, split: str, setting: Any, colour: str) -> style.End:
    """Draw the mean over runs with its band, or with a thin line for each arm; returns the end to label."""
    main = split == "train"
    line: Any = "-" if main else (0, (4, 1.6))
    look: Any = {"ls": line, "color": colour, "lw": 2.2 if main else 1.5, "label": f"{split}:{text(setting)}"}
    marker = "o" if rows["epoch"].nunique() == 1 else None
    alpha = 0.0 if sweep.others else 0.18 if main else 0.09
    end = style.mean_and_range(axes, rows, "epoch", "value", alpha, marker=marker, ms=5, zorder=2.5, **look)
    if sweep.others:
        look |= {"lw": 0.7, "alpha": 0.6, "zorder": 2.2, "label": "_arm"}
        for _, arm in rows.groupby("arm", sort=False):
            means = arm.groupby("epoch")["value"].mean()
            axes.plot(means.index, means, **look)
    words = sweep.label(setting) if main else f"{text(setting)} {SPLITS[split]}".strip()
    return style.End(*end, words, colour, main)


def _frame(axes: Axes, kind: Curve, curves: pd.DataFrame, with_published: bool) -> None:
    """Limits, names of the axes, and a key of the kinds of line."""
    longest = float(max(np.max(line.get_xdata()) for line in axes.lines))
    axes.set_xlim(min(1.0, longest - 1), longest if longest > 1 else 2)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel(kind.x)
    axes.set_ylabel(kind.y)
    splits = [split for split in SPLITS if (curves["split"] == split).any()]
    key = [
        Line2D(
            [],
            [],
            color=style.QUIET,
            lw=2.2 if split == "train" else 1.5,
            ls="-" if split == "train" else (0, (4, 1.6)),
            label=SPLITS[split],
        )
        for split in splits
    ]
    if with_published:
        key.append(Line2D([], [], color=style.QUIET, lw=1.6, ls=(0, (1, 1.4)), label=f"published: {PUBLISHED}"))
    axes.legend(handles=key, loc="best", handlelength=2.6)


def _detail(sweep: Sweep) -> str:
    """What the lines and bands are, in one line."""
    seeds = sweep.seeds()
    over = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    if sweep.others:
        return f"{over} and over {sweep.others_in_words}; thin lines: each {sweep.others_in_words}"
    return f"{over}; band: lowest to highest seed" if seeds > 1 else over
