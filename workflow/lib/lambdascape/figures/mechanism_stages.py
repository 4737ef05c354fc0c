"""How λ acted in each run: each stage by the numbers that the rules use, and the verdicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.mechanism import rules
from lambdascape.mechanism.judging import TEXT
from lambdascape.mechanism.stages import by_stage
from lambdascape.study.run_table import GROUPS, Sweep, read_sweep, text

WIDTH, LEAST_HEIGHT = 5.0, 3.7  # of the panel, inches
LEFT, TOP, BOTTOM, COLUMN, CARD = 0.8, 0.75, 1.2, 0.4, 4.7  # CARD: the list of verdicts beside it
ROW = 0.62  # inches of the list per setting
KEY, LINE = 0.58, 0.25  # inches from the panel to the key, and of a row of it
SQUARES, SQUARE = 2.3, 0.16  # inches from the left of the list to the first square, and from one to the next
MARKERS = {"stem": "P", "stage1": "o", "stage2": "s", "stage3": "D", "stage4": "^"}
OTHER_MARKER = "X"  # of the layers of networks that are named otherwise
COLOURS = {
    rules.COLLAPSE: "#a4161a",
    rules.ATTENUATION: "#e07a1f",
    rules.LARGER_STEPS: "#2a6fb0",
    rules.REGULARISER: "#2e8b57",
    rules.LITTLE: "#b4bcc5",
}  # fmt: skip
WITHOUT = "λ does not vary in this study."
KEYS_IN_A_ROW = 6


@figure(
    "mechanism",
    title="How λ acted in each run: turn of a step and variance of each stage, and a verdict",
    label="how λ acted in each run",
    category="Training",
    wide=True,
    caption="""\
**How did λ act in each run?** Every run is compared with its reference run: that of the same seed and settings
with the smallest λ of the study. Each point is a normalised stage of one run, late in the training (median over
the last quarter of the epochs that both have, at least three of them). Its colour is λ, its shape the stage; it
is hollow if the weights are not shorter than the reference run’s by a factor of 1.5. Both scales are logarithmic.

To the right normalisation is intact: there the length of the weights does not matter, and with shorter weights
each step only turns them further (upwards), as a higher learning rate would. Left of 1 normalisation no longer
compensates for small weights, and the stage fades. A stage that moves up and to the left along a line shows the
effect of λ; its last position shows which effect. Points near the dashed line turn as the reference run does:
a regulariser shows in the losses only.

Beside it, the verdict on each run by the rules of the report, and medians over the seeds of their evidence:
variance/ε in the stage where it is lowest; turn of a step and length of the weights in the stage where both
have changed most, as ratios to the reference run’s; held-out loss, and its gap to the loss of fixed
training triplets in the same mode, as changes in shares of the reference run’s held-out loss. From
``tables/mechanism.tsv`` and ``tables/layers.tsv``.
""",
)
def plot_mechanism(
    runs: str | Path, layers: str | Path, mechanism: str | Path, svg: str | Path, png: str | Path, synthetic: bool
) -> None:
    """Plot every normalised stage by its two numbers that the rules use, and list the verdicts.

    Args:
        runs: runs.tsv.
        layers: layers.tsv: run, epoch, group, measure, value.
        mechanism: mechanism.tsv of `mechanism.judging.judge_mechanisms`.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(layers, text=("run", "group", "measure"))
    judged = read_table(mechanism, text=TEXT)
    style.write(lambda: mechanism_figure(sweep, table, judged), svg, png, synthetic)


@style.styled
def mechanism_figure(sweep: Sweep, layers: pd.DataFrame, judged: pd.DataFrame) -> Figure:
    """The figure that `plot_mechanism` writes; its points carry `<run>:<group>` as their label."""
    if (judged["verdict"] == rules.NOT_APPLICABLE).all():
        return style.sentence(WITHOUT)
    stages = by_stage(dict(zip(judged["run"], judged["reference"], strict=True)), layers).merge(sweep.trained, on="run")
    known = stages.dropna(subset=["variance_over_epsilon", "angular_update_ratio"])
    cards = _cards(sweep, judged)
    bottom = BOTTOM + LINE * (_key_rows(sweep) - 1)
    height = max(LEAST_HEIGHT, ROW * len(cards))
    width, total = LEFT + WIDTH + COLUMN + CARD, TOP + height + bottom
    figure = style.figure(width, total)
    axes = figure.add_axes((LEFT / width, bottom / total, WIDTH / width, height / total))
    _limits(axes, known)
    _regions(axes)
    _points(axes, sweep, known)
    detail = "each stage of each run, late in the training, against its reference run"
    style.title(axes, "How did λ act in each run?", detail)
    _list(figure, cards, (LEFT + WIDTH + COLUMN) / width, (bottom + height) / total)
    _key(figure, sweep, list(dict.fromkeys(known["group"])), bottom)
    return figure


def _limits(axes: Axes, known: pd.DataFrame) -> None:
    """Both scales in decades, around the bounds of the rules and all points."""
    for name, values, bounds in (
        ("x", known["variance_over_epsilon"], (rules.FADED / 6, rules.INTACT * 10)),
        ("y", known["angular_update_ratio"], (0.5, rules.NOTABLE * 2.5)),
    ):
        within = values[(values > 0) & np.isfinite(values)]
        low, high = min([bounds[0], *within / 1.6]), max([bounds[1], *within * 1.6])
        axes.set(**{f"{name}scale": "log", f"{name}lim": (low, high)})
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, _: text(float(value))))
        axis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low <= tick <= high]
    axes.set_yticks(ticks)
    axes.set_xlabel("variance before normalisation / ε", fontsize=9.5)
    axes.set_ylabel("turn of a step ÷ that of the reference run", fontsize=9.5)


def _regions(axes: Axes) -> None:
    """The areas of the rules, shaded and named."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    areas = [
        (left, rules.FADED, low, high, COLOURS[rules.ATTENUATION], rules.ATTENUATION),
        (rules.FADED, rules.INTACT, rules.NOTABLE, high, style.QUIET, "both at once"),
        (rules.INTACT, right, rules.NOTABLE, high, COLOURS[rules.LARGER_STEPS], rules.LARGER_STEPS),
    ]
    for x0, x1, y0, y1, colour, words in areas:
        axes.fill_between([x0, x1], y0, y1, color=colour, alpha=0.09, lw=0, zorder=0.5)
        if x1 / x0 > 2:
            axes.annotate(words, (x0, y1), (4, -11), textcoords="offset points", fontsize=8.8, color=style.INK)
    words = "turned no further: a regulariser, or little effect"
    axes.annotate(words, (rules.FADED, low), (4, 5), textcoords="offset points", fontsize=8.8, color=style.INK)
    axes.axhline(1.0, color=style.QUIET, lw=0.9, ls=(0, (4, 2)), zorder=1, label="_one")


def _points(axes: Axes, sweep: Sweep, known: pd.DataFrame) -> None:
    """A marker for each stage of each run, hollow where λ has not shortened the weights."""
    colours = style.colours(sweep.values)
    for row in known.to_dict("records"):
        colour = colours[row["axis_value"]]
        shorter = row["weight_norm_ratio"] <= 1 / rules.NOTABLE
        look: Any = {"mec": "white" if shorter else colour, "mfc": colour if shorter else "white", "alpha": 0.9}
        marker = MARKERS.get(row["group"], OTHER_MARKER)
        label = f"{row['run']}:{row['group']}"
        place = [row["variance_over_epsilon"]], [row["angular_update_ratio"]]
        axes.plot(*place, ls="", marker=marker, ms=6.5, mew=0.8 if shorter else 1.1, zorder=3, label=label, **look)
    if known.empty:
        centre: Any = {"transform": axes.transAxes, "ha": "center", "va": "center", "color": style.QUIET}
        axes.text(0.5, 0.4, "no run can be compared with another", **centre)


def _cards(sweep: Sweep, judged: pd.DataFrame) -> list[tuple[str, list[str], str, str]]:
    """For each setting its name, the verdicts of its runs, how often each was reached, and the evidence in words."""
    runs = sweep.trained.merge(judged, on="run")
    cards = []
    for setting in reversed(sweep.values):
        for arm, rows in runs[runs["axis_value"] == setting].groupby("arm", sort=False):
            said = [
                f"{verdict}: {rule}" if verdict == rules.UNDECIDED else verdict
                for verdict, rule in zip(rows["verdict"], rows["rule"], strict=True)
            ]
            counts = pd.Series(said).value_counts(sort=False)
            words = ", ".join(f"{verdict} ({count} of {len(said)})" for verdict, count in counts.items())
            cards.append((sweep.arms[str(arm)], list(rows["verdict"]), words, _evidence(rows)))
    return cards


def _evidence(rows: pd.DataFrame) -> str:
    """Medians over the seeds of what the rules looked at; nothing for a reference run or where there is none."""
    if (rows["reference"] == rows["run"]).all() or (rows["reference"] == "").all():
        return ""
    parts = [
        ("variance_over_epsilon", "variance/ε {}"),
        ("angular_update_ratio", "turn ×{}"),
        ("weight_norm_ratio", "weights ×{}"),
        ("held_out_change", "held-out loss {:+.0%}"),
        ("gap_change", "gap {:+.0%}"),
    ]
    medians = {name: float(rows[name].median()) for name, _ in parts}
    return ", ".join(
        words.format(medians[name] if "%" in words else short(medians[name]))
        for name, words in parts
        if np.isfinite(medians[name])
    )


def short(value: float) -> str:
    """A number to two digits, never in scientific form from 0.001 to 100,000."""
    return text(float(f"{value:.2g}"))


def _list(figure: Figure, cards: list[tuple[str, list[str], str, str]], left: float, top: float) -> None:
    """One entry for each setting: its name, a square for each run, and the verdicts in words."""
    width, height = figure.get_size_inches()
    words = "verdicts, a square for each run; medians over the runs"
    figure.text(left, top + 0.13 / height, words, fontsize=9.5, color=style.QUIET)
    for place, (name, verdicts, words, evidence) in enumerate(cards):
        y = top - (0.1 + ROW * place) / height
        figure.text(left, y, style.shorten(name, 26), fontsize=10, fontweight="bold", va="center")
        figure.text(left, y - 0.17 / height, style.shorten(words, 70), fontsize=8.8, va="center", color=style.INK)
        figure.text(left, y - 0.34 / height, evidence, fontsize=8.2, va="center", color=style.QUIET)
        step = min(SQUARE, (CARD - SQUARES - SQUARE) / len(verdicts))
        for number, verdict in enumerate(verdicts):
            x = left + (SQUARES + step * number) / width
            look: Any = {"mfc": COLOURS.get(verdict, "white"), "mec": COLOURS.get(verdict, style.QUIET), "mew": 0.9}
            mark = "_" if verdict == rules.REFERENCE else "s"
            figure.add_artist(Line2D([x], [y], ls="", marker=mark, ms=8, label=f"_{verdict}", **look))


def _key(figure: Figure, sweep: Sweep, groups: list[str], bottom: float) -> None:
    """The colours of the values and the shapes of the stages, below the panel."""
    width, height = figure.get_size_inches()
    colours = style.colours(sweep.values)
    look: Any = {"ls": "", "ms": 7, "mec": "white", "mew": 0.8}
    values = [Line2D([], [], marker="o", color=colours[v], label=sweep.label(v), **look) for v in sweep.values]
    markers = MARKERS | dict.fromkeys((group for group in groups if group not in MARKERS), OTHER_MARKER)
    shapes = [
        Line2D([], [], marker=marker, color=style.QUIET, label=GROUPS.get(group, group), **look)
        for group, marker in markers.items()
        if group in groups or not groups
    ]
    hollow = {**look, "mec": style.QUIET, "mfc": "white", "mew": 1.1}
    shapes.append(Line2D([], [], marker="o", label="weights not shorter", **hollow))
    for handles, below in ((values, KEY), (shapes, KEY + LINE * _key_rows(sweep))):
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.15 / width, (bottom - below) / height),
            ncols=KEYS_IN_A_ROW, borderpad=0, borderaxespad=0, handletextpad=0.1, columnspacing=1.3)  # fmt: skip


def _key_rows(sweep: Sweep) -> int:
    return -(-len(sweep.values) // KEYS_IN_A_ROW)
