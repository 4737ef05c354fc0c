"""What there is to learn from: clips and sessions of each class, how long clips are, which files were rejected."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_text_table
from lambdascape.figures import style

MOST_CLASSES = 60
MOST_RULES = 8
BAR, LIGHT = "#3b6ea5", "#9dbbdb"
LINE = 0.235  # height of a bar with its room, in inches
WIDTH, LEFT, GAP, RIGHT = 10.4, 2.0, 0.75, 0.45  # of the figure, its margins and the gap between panels, in inches
TOP, MIDDLE, BOTTOM, LOWER = 1.15, 0.75, 0.7, 1.75  # margins, gap of the rows and height of the lower row, in inches


@figure(
    "dataset",
    title="Clips and sessions of each class, lengths of clips, rejected files",
    label="clips and sessions of each class",
    category="Data",
    wide=True,
    caption="""\
**The data set.** Clips and sessions of each class. A session is one recording occasion, and its clips are never
split between training and test, so the precision of a score depends on the number of sessions, not of clips.
Below: the lengths of clips, and how many files were rejected, by reason; ``rejected.tsv`` beside the manifest
names each of them, with what was found. From ``clips.tsv`` and ``rejected.tsv`` of the data set.
""",
)
def plot_dataset(clips: str | Path, rejected: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Draw the data set.

    Args:
        clips: the manifest: label, session, frames, rate.
        rejected: the files that cannot be used: path, rule.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    used, refused = read_text_table(clips), read_text_table(rejected)
    style.write(lambda: dataset_figure(used, refused), svg, png, synthetic)


def by_class(clips: pd.DataFrame) -> pd.DataFrame:
    """Clips and sessions of each class, in order of the names; clips without a label come last as `no label`."""
    label = clips["label"].where(clips["label"] != "", "no label")
    counted = clips.groupby(label)["session"].agg(clips="size", sessions="nunique").sort_index()
    last = counted.index == "no label"
    return pd.concat([counted[~last], counted[last]])


def in_words(clips: pd.DataFrame) -> str:
    """How many clips and sessions there are, and how long they are together."""
    hours = seconds(clips).sum() / 3600
    total = f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    return f"{len(clips):,} clips, {clips['session'].nunique():,} sessions, {total}"


def seconds(clips: pd.DataFrame) -> pd.Series:
    """Length of each clip in seconds."""
    return clips["frames"].astype(float) / clips["rate"].astype(float)


@style.styled
def dataset_figure(clips: pd.DataFrame, rejected: pd.DataFrame) -> Figure:
    """The figure that `plot_dataset` writes."""
    counted = by_class(clips)
    shown = counted.nlargest(MOST_CLASSES, "clips").sort_index() if len(counted) > MOST_CLASSES else counted
    upper = LINE * max(len(shown), 3)
    total = TOP + upper + MIDDLE + LOWER + BOTTOM
    figure = style.figure(WIDTH, total)
    half = (WIDTH - LEFT - GAP - RIGHT) / 2

    def panel(left: float, bottom: float, width: float, height: float) -> Axes:
        return figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, height / total))

    above = BOTTOM + LOWER + MIDDLE
    left, right = panel(LEFT, above, half, upper), panel(LEFT + half + GAP, above, half, upper)
    _bars(left, shown["clips"], "Clips", BAR)
    _bars(right, shown["sessions"], "Sessions", LIGHT)
    right.set_yticklabels([])
    _durations(panel(LEFT, BOTTOM, half, LOWER), seconds(clips))
    wide_names = 1.9  # the rules' names are inside the right half
    place = LEFT + half + GAP + wide_names
    _rejects(panel(place, BOTTOM, WIDTH - RIGHT - place, LOWER), rejected["rule"], len(clips), wide_names)
    cut = f"; the {len(shown)} largest of {len(counted)} classes" if len(shown) < len(counted) else ""
    style.title(left, "The data set", in_words(clips) + cut, above=22)
    return figure


def _bars(axes: Axes, counts: pd.Series, title: str, colour: str) -> None:
    """Horizontal bars from the top down, each with its number."""
    places = np.arange(len(counts))
    bars = axes.barh(places, counts, height=0.72, color=colour)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=4, fontsize=8.8, color=style.QUIET)
    axes.set_yticks(places, [style.shorten(str(name), 26) for name in counts.index])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * max(counts, default=1))
    _plain(axes, title)


def _plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=6)
    axes.grid(False)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _durations(axes: Axes, lengths: "pd.Series[float]") -> None:
    axes.set_title("Length of clips", loc="left", fontsize=10.5, fontweight="bold", pad=6)
    axes.set_xlabel("seconds")
    axes.set_ylabel("clips", color=style.QUIET, fontsize=9.5)
    if lengths.nunique() > 1:
        axes.hist(lengths, bins=min(30, 5 + lengths.nunique()), color=BAR)
        axes.set_xlim(left=0)
    else:
        middle = float(lengths.iloc[0])
        axes.bar([middle], [len(lengths)], width=0.04 * middle, color=BAR)
        axes.set_xlim(0.5 * middle, 1.5 * middle)
        axes.annotate(
            f"all {middle:g} s", (middle, len(lengths) / 2), (14, 0), textcoords="offset points", fontsize=9.5
        )


def _rejects(axes: Axes, rules: pd.Series, used: int, room: float) -> None:
    """Rejected files by the rule that they broke, the most frequent first."""
    counts = rules.value_counts()
    if len(counts) > MOST_RULES:
        rest = pd.Series({"other rules": counts.iloc[MOST_RULES - 1 :].sum()})
        counts = pd.concat([counts.iloc[: MOST_RULES - 1], rest])
    share = len(rules) / max(len(rules) + used, 1)
    title = f"Rejected files: {len(rules):,} ({share:.1%})" if len(rules) else "Rejected files: none"
    _bars(axes, counts, "", style.QUIET)
    axes.set_ylim(max(len(counts), MOST_RULES) - 0.4, -0.6)
    axes.annotate(title, (0, 1), (-72 * room, 6), "axes fraction", "offset points", fontsize=10.5, fontweight="bold")
    axes.spines["left"].set_visible(bool(len(counts)))
