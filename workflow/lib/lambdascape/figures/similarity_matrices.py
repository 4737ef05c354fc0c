"""Similarity of every two spaces: heat maps with the noise floor and the baselines marked."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.similarity.layout import PAIRS_TEXT, matrix
from lambdascape.study.run_table import Sweep, read_sweep

PANELS = {
    "procrustes": "1 − Procrustes distance",
    "cka": "linear CKA across sessions",
    "jaccard_10": "Jaccard index of 10 neighbours",
}
MOST_NUMBERED = 10  # with more spaces the numbers in the cells cannot be read


@figure(
    "similarity",
    title="Similarity of every two spaces",
    label="similarity of every two spaces",
    category="Spaces",
    wide=True,
    caption="""\
**How similar every two spaces are**, on the same held-out tiles, by three measures that ignore rotation and
scale. Procrustes: the rotation of one space onto the other is fitted on the tiles of one half of the sessions
and scored on the other half; it is missing if fewer than two classes have sessions in both halves. CKA compares
products of tiles of different sessions. It is debiased for independent sessions, not for independent tiles:
spaces that share neither classes nor anything else have 0 on average, however tiles are nested in sessions, and
values can be below 0. Spaces that both separate the same classes have more than 0: the table has that null,
with sessions of one class exchanged. The Jaccard index measures whether a tile has the same ten nearest
neighbours in both spaces, without tiles of the same moment.

Inside an orange outline only the seed differs: this is the similarity by chance, the noise floor. If the cells
of one seed between two outlines are paler than those inside, λ changes the space more than the seed does in
these runs; this is an observation, not a test. Dark diagonals between the outlines belong to runs of one seed
that λ has hardly changed. The baselines are beyond the black line. If a study sweeps the length of tiles,
spaces of different tiles cannot be compared and their cells are empty. From ``similarity/pairs.tsv``, which has
the reason of every missing value.
""",
)
def plot_similarity(runs: str | Path, pairs: str | Path, svg: str | Path, png: str | Path, synthetic: bool) -> None:
    """Plot the similarity of every two spaces.

    Args:
        runs: runs.tsv.
        pairs: pairs.tsv: first, second, measure, value.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(pairs, PAIRS_TEXT)
    style.write(lambda: similarity_figure(sweep, table), svg, png, synthetic)


def ordered(sweep: Sweep) -> list[tuple[str, str]]:
    """Run and words of its group, the groups one after the other: the arms in order of the axis, then baselines."""
    trained = [
        (str(row["run"]), sweep.arms[row["arm"]])
        for value in sweep.values
        for _, row in sweep.trained[sweep.trained["axis_value"] == value]
        .sort_values(["other_settings", "seed"])
        .iterrows()
    ]
    references = [
        (str(row["run"]), words)
        for kind, words in sweep.kinds.items()
        for _, row in sweep.references[sweep.references["arm"] == kind].sort_values("seed").iterrows()
    ]
    return trained + references


@style.styled
def similarity_figure(sweep: Sweep, pairs: pd.DataFrame) -> Figure:
    """The figure that `plot_similarity` writes, one panel per measure."""
    spaces = ordered(sweep)
    side = float(np.clip(0.3 * len(spaces), 2.5, 3.4))
    names = 0.3 + 0.075 * min(max(len(words) for _, words in spaces), 22)
    margins = style.Margins(left=names, right=0.75, top=1.15, bottom=names, column=0.25, row=0.5)
    figure, panels = style.panels(len(PANELS), side, side, margins)
    box = panels[-1].get_position()
    bar = figure.add_axes((box.x1 + 0.12 / figure.get_figwidth(), box.y0, 0.12 / figure.get_figwidth(), box.height))
    for axes, (measure, words) in zip(panels, PANELS.items(), strict=True):
        values = matrix(pairs, measure, [run for run, _ in spaces])
        is_distance = pairs.loc[pairs["measure"] == measure, "is_distance"].astype(bool).any()
        values = 1 - values if is_distance else values
        _panel(axes, values, bar, len(spaces) <= MOST_NUMBERED)
        _groups(axes, [words for _, words in spaces], len(sweep.trained), axes is panels[0])
        axes.set_title(words, loc="left", fontsize=10.5, fontweight="bold", pad=6)
    detail = "1: equal; outlined: only the seed differs (noise floor); beyond the line: baselines"
    style.title(panels[0], "Similarity of the spaces", detail, above=22)
    return figure


def _panel(axes: Axes, values: npt.NDArray[np.float64], bar: Axes, numbered: bool) -> None:
    """One matrix; the diagonal, and pairs that cannot be compared, stay empty."""
    texts = np.char.mod("%.2f", np.nan_to_num(values)) if numbered else None
    style.heat_map(axes, values, 1.0, bar, texts, 6.5).set_rasterized(not numbered)
    axes.set_facecolor("#f0f1f3")
    axes.set_aspect("equal")


def _groups(axes: Axes, words: Sequence[str], trained: int, named: bool) -> None:
    """Names of the groups, an outline around the runs of one arm, a line before the baselines."""
    starts, labels, start = [], [], 0
    for name, rows in groupby(words):
        size = len(list(rows))
        if start < trained and size > 1:
            axes.add_patch(Rectangle((start, start), size, size, fill=False, ec="#c2410c", lw=1.6, zorder=4))
        starts.append(start + size / 2)
        labels.append(style.shorten(name))
        start += size
    line: Any = {"color": style.INK, "lw": 1.2, "zorder": 3}
    axes.plot([0, start], [trained, trained], **line)
    axes.plot([trained, trained], [0, start], **line)
    axes.set_xticks(starts, labels, rotation=90, fontsize=9)
    axes.set_yticks(starts, labels if named else [], rotation=0, fontsize=9)
    axes.tick_params(length=0)
