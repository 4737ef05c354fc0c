"""The tables of the report that set the probes side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lambdascape.core.declarations import declared
from lambdascape.report.formatting import NOTHING, Table, number, pick, spaces
from lambdascape.statistics.metrics import FEW_SHOT
from lambdascape.study.run_table import Sweep

BY_EPOCH = {
    "by_epoch": "By epoch",
    "by_epoch_single": "By epoch, one softmax",
    "by_epoch_double": "By epoch, two softmaxes",
}
NOT_BESIDE = ("few_shot", "folds")  # shown in columns and a table of their own


def probe_names(plugins: Sequence[str] = ()) -> dict[str, str]:
    """Name of each probe in the tables to its name in the report, but for those fitted several times over."""
    known = [one for name, one in declared("probe", plugins).items() if name not in NOT_BESIDE]
    found = {one.name: {one.name: str(one.options["label"])} | (one.options["variants"] or {}) for one in known}
    return {name: label for variants in found.values() for name, label in variants.items()} | BY_EPOCH


def probe_summary(sweep: Sweep, scores: pd.DataFrame, plugins: Sequence[str] = ()) -> Table:
    """Macro-F1 per held-out clip, a row for each arm and each baseline, a column for each probe."""
    names = probe_names(plugins)
    probes = _probes(scores, names)
    values = {
        name: [_mean(scores, runs, probe=probe, measure="macro_f1") for probe in probes] for name, runs in spaces(sweep)
    }
    return Table(
        "Macro-F1 per held-out clip of every probe, means over seeds",
        ["Space", *(_in_words(probe, names) for probe in probes)],
        [[name, *map(number, row)] for name, row in values.items()],
        note=f"Highest by {_highest(values, [_in_words(probe, names) for probe in probes])}. Converged: logistic "
        "regression. Sessions: the same, fitted on this number of sessions of each class, mean over random samples; of "
        "a class with fewer, all (see the figure). Nearest neighbours: by cosine about the mean of the training tiles; "
        "uncentred: about the origin. By epoch: the published probe after its last epoch.",
    )


def _probes(scores: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """The probes of the table of scores: few shots by their number, after the probes of all sessions."""
    found = set(scores["probe"])
    shots = sorted(probe for probe in found if probe.startswith(FEW_SHOT))
    shots.sort(key=lambda probe: int(probe.removeprefix(FEW_SHOT)))
    known = [probe for probe in names if probe in found]
    return [*(p for p in known if "epoch" not in p), *shots, *(p for p in known if "epoch" in p)]


def _in_words(probe: str, names: Mapping[str, str]) -> str:
    if probe.startswith(FEW_SHOT):
        shots = probe.removeprefix(FEW_SHOT)
        return "1 session" if shots == "1" else f"{shots} sessions"
    return names[probe]


def _mean(scores: pd.DataFrame, runs: list[str], split: str = "test", unit: str = "clip", **wanted: str) -> float:
    return float(pick(scores, runs, split=split, unit=unit, class_="", **wanted)["value"].mean())


def _highest(values: dict[str, list[float]], probes: list[str]) -> str:
    """Which spaces each probe ranks first, to show disagreement of the probes."""
    groups: dict[str, list[str]] = {}
    for probe, scores in pd.DataFrame(values, index=probes).dropna(how="all").iterrows():
        groups.setdefault(" and ".join(scores.index[scores == scores.max()]), []).append(str(probe))
    return "; ".join(f"{', '.join(names)}: {first}" for first, names in groups.items()) or NOTHING


def calibration_summary(sweep: Sweep, scores: pd.DataFrame, plugins: Sequence[str] = ()) -> Table:
    """Expected calibration error of the probes that are fitted on all sessions, per clip and per tile."""
    names = probe_names(plugins)
    declared_names = [name for name in declared("probe", plugins) if name not in NOT_BESIDE]
    probes = [probe for probe in declared_names if probe in set(scores["probe"])]
    columns = [(probe, unit) for probe in probes for unit in ("clip", "tile")]
    return Table(
        "Expected calibration error on held-out sessions, means over seeds",
        ["Space", *(f"{_in_words(probe, names)}, per {unit}" for probe, unit in columns)],
        [
            [name, *(number(_mean(scores, runs, unit=unit, probe=p, measure="ece")) for p, unit in columns)]
            for name, runs in spaces(sweep)
        ],
        note="Confidence less the share of correct predictions, over 15 bins of confidence: 0 is calibrated. "
        "A clip's probabilities are the mean of its tiles', which is less confident than adding up their evidence.",
    )


def folds_summary(sweep: Sweep, scores: pd.DataFrame, test_fold: str) -> Table | None:
    """Macro-F1 of every fold and their mean; None where the study scores the held-out fold alone."""
    rows = pick(scores, scores["run"].unique(), probe="folds", unit="segment", measure="macro_f1", class_="")
    if rows.empty:
        return None
    folds = sorted(set(rows["split"]) - {"mean"})
    cells = []
    for name, runs in spaces(sweep):
        here = rows[rows["run"].isin(runs)]
        values = [here.loc[here["split"] == split, "value"].mean() for split in [*folds, "mean"]]
        clean = np.mean([value for fold, value in zip(folds, values, strict=False) if fold == test_fold])
        cells.append([name, *map(number, values), number(values[-1] - clean)])
    names = [f"{fold}, {'held out' if fold == test_fold else 'trained on'}" for fold in folds]
    return Table(
        "Macro-F1 over folds, converged probe, probabilities averaged over the channels of a segment, means over seeds",
        ["Space", *names, "Mean", "Mean less held out"],
        cells,
        note=f"The sessions of a fold are in no fit of its own score. But every network was trained on the audio, "
        f"without labels, of all folds but {test_fold}: scores of those folds, and so of the mean, are for new labels "
        "of known audio, and only the held-out fold is for new audio. The official score of a data set trains a model "
        "for each fold. The last column shows the possible effect of training on a fold's audio; folds also differ by "
        "themselves, as the baselines show, which were not trained.",
    )
