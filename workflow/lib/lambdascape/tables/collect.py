"""Tidy tables of a study: one row per run and measure, gathered from the files of the runs."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.config.settings import Statistics
from lambdascape.core.tsv import read_table, read_text_table, write_rows, write_table
from lambdascape.features.store import open_features
from lambdascape.features.tile_grid import seconds_to_frames, tile_frames
from lambdascape.statistics.intervals import KEYS, score_intervals
from lambdascape.statistics.metrics import FEW_SHOT

Paths = Sequence[str | Path]

EPOCH_COLUMNS = ["run", "epoch", "split", "measure", "value"]
LAYER_COLUMNS = ["run", "epoch", "group", "measure", "value"]
SCORE_COLUMNS = ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"]
GEOMETRY_COLUMNS = ["run", "split", "measure", "value", "reason"]
SPECTRUM_COLUMNS = ["run", "direction", "variance", "share"]
CENTROID_COLUMNS = ["run", "first", "second", "distance"]
CONFUSION_COLUMNS = ["run", "probe", "unit", "label", "predicted", "count"]
SHOT_COLUMNS = ["run", "shots", "sessions", "draw", "unit", "value"]
UNUSED_COLUMNS = ["clip", "session", "reason"]
SCORE_TEXT = ("probe", "split", "unit", "measure", "class")
COUNT_TEXT = ("probe", "split", "unit", "session", "label", "predicted")


def write_runs(rows: list[dict[str, Any]], output: str | Path) -> None:
    """Write runs.tsv.

    Args:
        rows: one for each space, see `paths.Study.run_rows`.
        output: the table.
    """
    write_rows(rows, output)


def collect_training(
    runs: Sequence[str], histories: Paths, layers: Paths, training_path: str | Path, layers_path: str | Path
) -> None:
    """Gather the histories of the trained runs, and what became of their layers.

    Args:
        runs: names of the trained runs.
        histories: for each its history.tsv, with epoch, split and one column per measure.
        layers: for each its layers.tsv, with epoch, group and one column per measure.
        training_path: table run, epoch, split, measure, value.
        layers_path: table run, epoch, group, measure, value.
    """
    _write([_by_epoch(run, path) for run, path in zip(runs, histories, strict=True)], EPOCH_COLUMNS, training_path)
    _write([_by_epoch(run, path, "group") for run, path in zip(runs, layers, strict=True)], LAYER_COLUMNS, layers_path)


def _by_epoch(run: str, path: str | Path, part: str = "split") -> pd.DataFrame:
    """One row per epoch, split (or whatever `part` is) and measure, in that order."""
    table = read_table(path, text=(part,)).drop(columns="device", errors="ignore")
    keys = [column for column in table.columns if column in ("softmax", "epoch", part)]
    measures = [column for column in table.columns if column not in keys]
    table[measures] = table[measures].astype(float)
    tidy = table.melt(keys, measures, "measure", "value", ignore_index=False)
    return tidy.sort_index(kind="stable").assign(run=run)


def _write(parts: list[pd.DataFrame], columns: list[str], output: str | Path) -> None:
    filled = [part[columns] for part in parts if len(part)]
    write_table(pd.concat(filled) if filled else pd.DataFrame(columns=columns), output)


def collect_probes(
    spaces: Sequence[str],
    probes: Sequence[str],
    by_epoch: Paths,
    scores: Paths,
    counts: Paths,
    settings: Statistics,
    seed: int,
    *,
    scores_path: str | Path,
    probe_epochs_path: str | Path,
    confusion_path: str | Path,
    few_shot_path: str | Path,
) -> None:
    """Gather the probes' scores of all runs and baselines, with intervals.

    The by-epoch probe gives its last epoch to the scores, under the name by_epoch; where both forms of its softmax were
    fitted, the first has that name and the curves, the other is called by_epoch_single or by_epoch_double. Of the other
    probes, values are means over draws where there are several, and all that has counts by session has an interval
    (see `intervals.score_intervals`).

    Args:
        spaces: names of the runs and baselines.
        probes: names of the probes, without by_epoch.
        by_epoch: for each space its by_epoch.tsv.
        scores: for each space, for each probe its <probe>.tsv.
        counts: for each space, for each probe its <probe>_confusion.tsv.
        settings: of the intervals.
        seed: seed of the resamples.
        scores_path: table run, probe, split, unit, measure, class, value, low, high.
        probe_epochs_path: table run, epoch, split, measure, value.
        confusion_path: table run, probe, unit, label, predicted, count: the test split, summed over sessions and draws.
        few_shot_path: table run, shots (sessions asked for of each class), sessions (the mean number drawn), draw,
            unit, value: macro-F1 of each draw on the test split.
    """
    curves = [_by_epoch(run, path) for run, path in zip(spaces, by_epoch, strict=True)]
    last = dict(zip(spaces, map(_last_epoch, curves), strict=True))
    first = [curve[curve["softmax"] == curve["softmax"].iloc[0]] if len(curve) else curve for curve in curves]
    _write(first, EPOCH_COLUMNS, probe_epochs_path)
    gathered: dict[str, list[pd.DataFrame]] = {"scores": [], "confusion": [], "few_shot": []}
    names = list(product(spaces, probes))
    for (run, probe), score_path, count_path in zip(names, scores, counts, strict=True):
        score, count = read_table(score_path, SCORE_TEXT), read_table(count_path, COUNT_TEXT)
        if probe == probes[0]:
            gathered["scores"].append(last[run])
        gathered["scores"].append(_with_intervals(score, count, settings, seed).assign(run=run))
        tested = count[count["split"] == "test"].groupby(CONFUSION_COLUMNS[1:-1])["count"].sum().reset_index()
        gathered["confusion"].append(tested.assign(run=run))
        gathered["few_shot"].append(_shots(score).assign(run=run))
    _write(gathered["scores"], SCORE_COLUMNS, scores_path)
    _write(gathered["confusion"], CONFUSION_COLUMNS, confusion_path)
    _write(gathered["few_shot"], SHOT_COLUMNS, few_shot_path)


def _last_epoch(curves: pd.DataFrame) -> pd.DataFrame:
    """Scores after the last epoch, of both forms of the softmax where both were fitted."""
    last = curves[curves["epoch"] == curves["epoch"].max()]
    first = last["softmax"].iloc[0] if len(last) else ""
    of_clips = last["measure"].str.endswith("_clip")
    return last.assign(
        probe=["by_epoch" if softmax == first else f"by_epoch_{softmax}" for softmax in last["softmax"]],
        unit=np.where(of_clips, "clip", "tile"),
        measure=last["measure"].str.removesuffix("_clip"),
        low=np.nan,
        high=np.nan,
        **{"class": ""},
    )


def _with_intervals(scores: pd.DataFrame, counts: pd.DataFrame, settings: Statistics, seed: int) -> pd.DataFrame:
    means = scores.groupby(KEYS, sort=False)["value"].mean().reset_index()
    scored = counts[counts["split"] != "validation"]  # those are there to choose by
    return means.merge(score_intervals(scored, settings, seed), how="left", on=KEYS)


def _shots(scores: pd.DataFrame) -> pd.DataFrame:
    """Macro-F1 of each draw of the few-shot probe, and how many sessions it had of each class."""
    rows = scores[scores["probe"].str.startswith(FEW_SHOT)]
    sessions = rows[rows["measure"] == "sessions"].set_index(["probe", "draw"])["value"].rename("sessions")
    found = rows[rows["measure"] == "macro_f1"].join(sessions, on=["probe", "draw"])
    return found.assign(shots=found["probe"].str.removeprefix(FEW_SHOT))


def collect_geometry(
    runs: Sequence[str],
    geometries: Paths,
    spectra: Paths,
    centroids: Paths,
    geometry_path: str | Path,
    spectra_path: str | Path,
    centroids_path: str | Path,
) -> None:
    """Gather the geometry of all runs and baselines.

    Args:
        runs: names of the runs and baselines.
        geometries: for each its table split, measure, value, reason.
        spectra: for each its table direction, variance, share.
        centroids: for each its table first, second, distance.
        geometry_path: table run, split, measure, value, reason (why a value is missing, else empty).
        spectra_path: table run, direction, variance, share.
        centroids_path: table run, first, second, distance.
    """
    for paths, text, columns, output in (
        (geometries, ("split", "measure", "reason"), GEOMETRY_COLUMNS, geometry_path),
        (spectra, (), SPECTRUM_COLUMNS, spectra_path),
        (centroids, ("first", "second"), CENTROID_COLUMNS, centroids_path),
    ):
        _write([read_table(path, text).assign(run=run) for run, path in zip(runs, paths, strict=True)], columns, output)


def list_unused(features_path: str | Path, clips_path: str | Path, tile_s: float, output: str | Path) -> None:
    """List the clips that are too short for a tile, or for two: an anchor and its neighbour.

    Args:
        features_path: a feature store.
        clips_path: clips.tsv of the data set.
        tile_s: length of a tile in seconds.
        output: table clip, session, reason.

    Raises:
        InputError: see `tile_grid.tile_frames` and `tile_grid.seconds_to_frames`.
    """
    features = open_features(features_path)
    clips = read_text_table(clips_path).set_index("clip")
    seconds = clips["frames"].astype(int) / clips["rate"].astype(int)
    tile = tile_frames(tile_s, features.recipe)
    two = seconds_to_frames(tile_s, features.recipe) + tile
    rows = []
    for clip, frames in zip(features.clips, np.diff(features.clip_start), strict=True):
        if frames < two:
            length = f"{seconds[clip]:.6g} s"
            lack = (
                f"shorter than one tile of {tile_s:g} s: {length}; it gives no embedding"
                if frames < tile
                else f"shorter than two tiles of {tile_s:g} s: {length}; it anchors no triplet"
            )
            rows.append((clip, clips.loc[clip, "session"], lack))
    write_table(pd.DataFrame(rows, columns=UNUSED_COLUMNS), output)
