"""Scores against the number of labelled sessions, one curve per value of the axis, the baselines dashed."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.study.run_table import Sweep, read_sweep, text

NOTHING = "No scores of few sessions: the data have no labels, or the study leaves that probe out."


@figure(
    "few_shot",
    title="Scores of a probe when few sessions are labelled",
    label="score with few labelled sessions",
    category="Probes",
    caption="""\
**Scores of a probe when few sessions of each class are labelled.** Macro-F1 per clip on held-out sessions, of a
logistic regression fitted on this number of sessions of each class. A class with fewer sessions gives all that
it has; each point is placed at the mean number. A point is the mean over random samples of sessions, which are
the same for every space, and over seeds; bands reach from the lowest to the highest single sample. One colour
for each value of λ (or of what else the study varies); dashed lines are the baselines. The penalty is fixed,
because one session leaves none for validation. From ``tables/few_shot.tsv``.
""",
)
def plot_few_shot(runs: str | Path, few_shot: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw held-out macro-F1 per clip against the number of sessions of each class that were fitted.

    Args:
        runs: runs.tsv.
        few_shot: few_shot.tsv: run, shots, sessions, draw, unit, value.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(few_shot, text=("run", "unit"))
    style.write(lambda: few_shot_figure(sweep, table), svg, png, synthetic)


@style.styled
def few_shot_figure(sweep: Sweep, shots: pd.DataFrame) -> Figure:
    """The figure that `plot_few_shot` writes; lines carry the setting or the kind of baseline as their label."""
    clips = shots[shots["unit"] == "clip"]
    trained = clips.merge(sweep.trained, on="run")
    if trained.empty:
        return style.sentence(NOTHING)
    figure = style.figure(8.6, 4.9)
    axes = figure.add_axes((0.085, 0.12, 0.725, 0.735))
    colours = style.colours(sweep.values)
    ends = [
        _curve(
            axes, trained[trained["axis_value"] == setting], text(setting), sweep.label(setting), colours[setting], True
        )
        for setting in sweep.values
    ]
    references = clips.merge(sweep.references, on="run")
    reference_colours = style.reference_colours(sweep.kinds)
    ends += [
        _curve(axes, references[references["arm"] == kind], kind, words, reference_colours[kind], False)
        for kind, words in sweep.kinds.items()
        if (references["arm"] == kind).any()
    ]
    _frame(axes, clips)
    over = f"{sweep.seeds()} seeds and random samples" if sweep.seeds() > 1 else "random samples, one seed"
    over += f", and over {sweep.others_in_words}" if sweep.others else ""
    style.title(axes, "Scores of a probe when few sessions are labelled", f"mean over {over}; bands: all samples")
    style.label_ends(axes, ends)
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, label: str, words: str, colour: str, main: bool) -> style.End:
    """Plot the mean over runs and samples with the range of the samples; returns the end of the line to label."""
    placed = rows.assign(sessions=rows.groupby("shots")["sessions"].transform("mean"))
    look: Any = {"color": colour, "label": label, "marker": "o", "ms": 5, "mec": "white"}
    look |= {"lw": 2.2, "zorder": 2.5} if main else {"lw": 1.5, "zorder": 1.8, "ls": (0, (6, 2))}
    end = style.mean_and_range(axes, placed, "sessions", "value", 0.10, **look)
    return style.End(*end, words, colour, main)


def _frame(axes: Axes, clips: pd.DataFrame) -> None:
    """A logarithmic axis with a tick at each number of sessions that was fitted."""
    place = clips.groupby("shots")["sessions"].mean()
    axes.set_xscale("log")
    axes.set_xlim(place.min() / 1.08, place.max() if len(place) > 1 else 1.5 * place.max())
    axes.set_xticks(place, [f"{sessions:.3g}" for sessions in place])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("labelled sessions of each class, mean (logarithmic scale)")
    axes.set_ylabel("macro-F1 per clip on held-out sessions")
