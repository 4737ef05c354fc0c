"""The main figure: the score of the converged probe at each value of the axis, beside the baselines."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lambdascape.core.declarations import figure
from lambdascape.core.tsv import read_table
from lambdascape.figures import style
from lambdascape.statistics.bootstrap import largest_deviation
from lambdascape.study.run_table import Sweep, read_sweep, text


@dataclass(frozen=True)
class Appearance:
    """Style of the marks of a unit; means and seeds are beside the tick by these shifts, in steps of the axis."""

    marker: str
    line: str
    size: float
    width: float
    alpha: float
    mean_shift: float
    seed_shift: float


LOOKS = {
    "tile": Appearance("D", "--", 3.2, 1.1, 0.45, 0.19, 0.19),
    "clip": Appearance("o", "-", 6.5, 1.8, 0.95, -0.05, 0.05),
}
SEED_SIZE = 3.6  # of the points of single runs
CONFIDENCE = 0.95  # of the noise floor
NOISE = "#aeb6bf"


@figure(
    "response",
    title="Score of the converged probe on held-out sessions",
    label="score against what varies",
    category="Answer",
    caption="""\
**The score of each value of λ** (or of what else varies): macro-F1 of the converged probe on held-out sessions.
Large points are means over the seeds, per clip; their bars are bootstrap intervals over sessions: they are
about the same runs on other sessions. Small points are the runs, one per seed, on the same sessions: they show
the spread between seeds. These are two kinds of uncertainty and are shown separately. Diamonds, to the right,
are the runs per tile. The ring marks the value that the validation sessions choose; their labels were unseen,
but the networks were trained on their audio. Points of one value are placed side by side only so that they can
be seen. The axis is logarithmic; zero has no logarithm and is left of the break.

The grey band is the noise floor: if λ has no effect, the means of all values lie inside it in 95 % of studies.
It treats the seeds as paired: an effect of a seed on all values alike does not widen it. It holds for these
sessions only. A mean outside it differs from the mean of all values by more than the seeds explain. Whether two
values differ from each other, even if both are inside the band, and whether they would on new sessions, is in
``tables/comparisons.tsv``. The band needs two seeds. Dashed lines are baselines that need no training, per
clip: the untrained network (mean over seeds) and the mean log-mel spectrum. The bars at their right end reach
from the lowest to the highest end of their intervals. Whether training scores above them on the same sessions
is in ``tables/comparisons.tsv``. From ``tables/scores.tsv`` and ``tables/choice.tsv``.
""",
)
def plot_response(
    runs: str | Path, scores: str | Path, choice: str | Path, svg: str | Path, png: str | Path, synthetic: bool
) -> None:
    """Draw held-out macro-F1 of the converged probe against the axis of the study.

    Args:
        runs: runs.tsv.
        scores: scores.tsv: run, probe, split, unit, measure, class, value, low, high.
        choice: choice.tsv: the intervals of the means, and which arm validation chooses.
        svg: path of the SVG to write.
        png: path of the PNG to write.
        synthetic: mark the figure as showing synthetic data.
    """
    sweep = read_sweep(runs)
    table = read_table(scores, text=("run", "probe", "split", "unit", "measure", "class"))
    chosen = read_table(choice, text=("arm",))
    style.write(lambda: response_figure(sweep, table, chosen), svg, png, synthetic)


@style.styled
def response_figure(sweep: Sweep, scores: pd.DataFrame, choice: pd.DataFrame) -> Figure:
    """The figure that `plot_response` writes.

    Labels of its marks: the line through the means `<unit>`, the runs `<unit>:<setting>`, the means of the arms
    `mean:<arm>`, the ring around the chosen one `chosen`, the noise floor `noise`, the baselines by their kind.
    """
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
        _unit(axes, sweep, trained[trained["unit"] == unit], unit, place, step, choice)
        for unit in LOOKS
        if (trained["unit"] == unit).any()
    ]
    ends += _noise(axes, trained[trained["unit"] == "clip"])
    ends += _references(axes, sweep, rows[rows["unit"] == "clip"], step)
    _frame(axes, sweep, place, step)
    by = f", by {sweep.symbol}" if sweep.key else ""
    style.title(axes, f"What a probe scores on held-out sessions{by}", _detail(sweep))
    style.label_ends(axes, ends)
    return figure


def _unit(
    axes: Axes,
    sweep: Sweep,
    rows: pd.DataFrame,
    unit: str,
    place: npt.NDArray[np.float64],
    step: float,
    choice: pd.DataFrame,
) -> style.End:
    """Points of the runs, means with intervals, and the line through the means; returns its end for the label."""
    look, colours = LOOKS[unit], style.colours(sweep.values)
    means: list[float] = []
    for x, setting in zip(place, sweep.values, strict=True):
        here = rows[rows["axis_value"] == setting].sort_values(["other_settings", "seed"])
        arms = [*dict.fromkeys(here["arm"])]
        shared: Any = {"color": colours[setting], "alpha": look.alpha}
        n = max(len(here), 1)
        at = x + step * (look.seed_shift + (np.arange(len(here)) - (n - 1) / 2) * min(0.02, 0.12 / n))
        mark: Any = {"marker": look.marker, "ms": SEED_SIZE, "mew": 0, "zorder": 2.8}
        axes.plot(at, here["value"], ls="", label=f"{unit}:{text(setting)}", **mark, **shared)
        if unit == "clip":
            for number, arm in enumerate(arms):
                beside = (number - (len(arms) - 1) / 2) * min(0.07, 0.3 / len(arms))
                _mean(axes, choice[choice["arm"] == arm], x + step * (look.mean_shift + beside), look, shared)
        means.append(float(here["value"].mean()))
    middle = place + look.mean_shift * step
    axes.plot(middle, means, look.line, color=style.INK, lw=look.width, alpha=look.alpha, zorder=2.6, label=unit)
    return style.End(axes.get_xlim()[1], means[-1], f"trained, per {unit}", style.QUIET, unit == "clip")


def _mean(axes: Axes, row: pd.DataFrame, x: float, look: Appearance, shared: dict[str, Any]) -> None:
    """Mean of an arm over its seeds with its interval over sessions; a ring around the chosen one."""
    for arm, value, low, high, chosen in row[["arm", "test_mean", "test_low", "test_high", "chosen"]].to_numpy():
        axes.vlines(x, low, high, lw=2.0, zorder=2.9, **shared)
        mark: Any = {"ls": "", "marker": look.marker, "ms": look.size, "mec": "white", "mew": 0.8, "zorder": 3.1}
        axes.plot([x], [value], label=f"mean:{arm}", **mark, **shared)
        if chosen:
            ring: Any = {"marker": "o", "ms": 2.1 * look.size, "mfc": "none", "mec": style.INK, "mew": 1.4}
            axes.plot([x], [value], ls="", label="chosen", zorder=3.2, **ring)


def noise_floor(rows: pd.DataFrame) -> tuple[float, float]:
    """The range of the means of all arms in 95 % of studies whose arms do not differ.

    The decision lines of an analysis of means (Ott 1967; Nelson 1982) of the table arm by seed. For k arms and r seeds:
    the common mean ± h · s · √((k - 1) / (k r)). s² is the variance of the scores less the mean of their arm and that
    of their seed, (k - 1)(r - 1) degrees of freedom: the effect of a seed on all arms changes none against the others.
    h is `bootstrap.largest_deviation`, so that the lines hold for all means together.

    Args:
        rows: arm, seed and value of each trained run.

    Returns:
        Low and high end, inside 0 and 1; NaN with fewer than two arms or seeds.
    """
    table = rows.pivot_table(index="arm", columns="seed", values="value")
    scores = table.dropna(axis=1).to_numpy(float)  # (arm, seed)
    arms, seeds = scores.shape
    if arms < 2 or seeds < 2:
        return float("nan"), float("nan")
    rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    freedom = (arms - 1) * (seeds - 1)
    error = float(np.sqrt((rest**2).sum() / freedom * (arms - 1) / (arms * seeds)))
    half, middle = largest_deviation(arms, freedom, CONFIDENCE) * error, float(scores.mean())
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _noise(axes: Axes, rows: pd.DataFrame) -> list[style.End]:
    """The noise floor as a band; returns its label's place."""
    low, high = noise_floor(rows)
    if np.isnan(low):
        return []
    axes.axhspan(low, high, color=NOISE, alpha=0.30, lw=0, zorder=0.6, label="noise")
    return [style.End(axes.get_xlim()[1], high, "noise floor: seeds", NOISE, main=False)]


def _references(axes: Axes, sweep: Sweep, rows: pd.DataFrame, step: float) -> list[style.End]:
    """A line for each scored baseline, its interval at the right end; returns the ends for the labels."""
    ends, right, colours = [], axes.get_xlim()[1], style.reference_colours(sweep.kinds)
    for place, (kind, words) in enumerate(sweep.kinds.items()):
        here = rows.merge(sweep.references[sweep.references["arm"] == kind], on="run")
        if here.empty:
            continue
        mean, colour = float(here["value"].mean()), colours[kind]
        axes.axhline(mean, color=colour, lw=1.5, ls=(0, (6, 2)), zorder=1.6, label=kind)
        bar = right - (0.04 + 0.05 * place) * step
        axes.vlines(
            bar,
            here["low"].min(),
            here["high"].max(),
            color=colour,
            lw=1.6,
            alpha=0.75,
            zorder=1.7,
            label=f"interval:{kind}",
        )
        ends.append(style.End(right, mean, words, colour))
    return ends


def _frame(axes: Axes, sweep: Sweep, place: npt.NDArray[np.float64], step: float) -> None:
    """Ticks at the values, the break of the axis after zero, names."""
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
    points = "small: one point per seed" if sweep.seeds() > 1 else "one seed"
    if sweep.others:
        points += f" and {sweep.others_in_words}"
    return f"large: mean, bar: sessions; {points}; ring: chosen on validation; dashed: baselines"
