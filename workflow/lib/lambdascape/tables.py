"""Tidy tables of a study: one row per run and measure, gathered from the files of the runs."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.files import read_table, read_text_table, write_table
from lambdascape.scores import accuracy, f1_per_class, macro_f1
from lambdascape.statistics import session_bootstrap
from lambdascape.store import open_features
from lambdascape.triplets import seconds_to_frames, tile_frames

Paths = Sequence[str | Path]
Keys = tuple[str, str, str]  # unit, measure, class
Interval = tuple[float, float]

EPOCH_COLUMNS = ["run", "epoch", "split", "measure", "value"]
SCORE_COLUMNS = ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"]
GEOMETRY_COLUMNS = ["run", "split", "measure", "value"]
SPECTRUM_COLUMNS = ["run", "direction", "variance", "share"]
CENTROID_COLUMNS = ["run", "first", "second", "distance"]
CONFUSION_COLUMNS = ["run", "unit", "label", "predicted", "count"]
UNUSED_COLUMNS = ["clip", "session", "reason"]


def collect_training(runs: Sequence[str], histories: Paths, output: str | Path) -> None:
    """Gather the histories of the trained runs.

    Args:
        runs: names of the trained runs.
        histories: for each its history.tsv, with epoch, split and one column per measure.
        output: table run, epoch, split, measure, value.
    """
    _write([_by_epoch(run, path) for run, path in zip(runs, histories, strict=True)], EPOCH_COLUMNS, output)


def _by_epoch(run: str, path: str | Path) -> pd.DataFrame:
    """One row per epoch, split and measure, in that order."""
    table = read_table(path, text=("split",)).drop(columns="device", errors="ignore")
    measures = [column for column in table.columns if column not in ("epoch", "split")]
    table[measures] = table[measures].astype(float)
    tidy = table.melt(["epoch", "split"], measures, "measure", "value", ignore_index=False)
    return tidy.sort_index(kind="stable").assign(run=run)


def _write(parts: list[pd.DataFrame], columns: list[str], output: str | Path) -> None:
    filled = [part[columns] for part in parts if len(part)]
    write_table(pd.concat(filled) if filled else pd.DataFrame(columns=columns), output)


def collect_probes(
    runs: Sequence[str],
    by_epoch: Paths,
    converged: Paths,
    confusions: Paths,
    settings: dict[str, Any],
    seed: int,
    scores_path: str | Path,
    probe_epochs_path: str | Path,
    confusion_path: str | Path,
) -> None:
    """Gather the probes' scores of all runs and reference spaces, with intervals.

    The by-epoch probe gives its last epoch to the scores. Intervals stand with macro_f1, accuracy and f1 of
    the converged probe on the test split and come from `statistics.session_bootstrap`; they are missing with
    fewer than two test sessions, and for the f1 of a class that fewer than two test sessions hold.

    Args:
        runs: names of the runs and reference spaces.
        by_epoch: for each its by_epoch.tsv.
        converged: for each its converged.tsv.
        confusions: for each its confusion.tsv.
        settings: `resamples` and `confidence` of the intervals.
        seed: seed of the resamples.
        scores_path: table run, probe (by_epoch | converged), split, unit, measure, class, value, low, high.
        probe_epochs_path: table run, epoch, split, measure, value.
        confusion_path: table run, unit, label, predicted, count: the test split, summed over sessions.
    """
    epochs = [_by_epoch(run, path) for run, path in zip(runs, by_epoch, strict=True)]
    counts = [_read_confusion(run, path) for run, path in zip(runs, confusions, strict=True)]
    scores: list[pd.DataFrame] = []
    for run, path, curve, count in zip(runs, converged, epochs, counts, strict=True):
        scores += [_last_epoch(curve), _with_intervals(run, path, count, settings, seed)]
    _write(epochs, EPOCH_COLUMNS, probe_epochs_path)
    _write(scores, SCORE_COLUMNS, scores_path)
    summed = [count.groupby(CONFUSION_COLUMNS[:-1])[["count"]].sum().reset_index() for count in counts]
    _write(summed, CONFUSION_COLUMNS, confusion_path)


def _read_confusion(run: str, path: str | Path) -> pd.DataFrame:
    return read_table(path, text=("unit", "session", "label", "predicted")).assign(run=run)


def _last_epoch(curve: pd.DataFrame) -> pd.DataFrame:
    last = curve[curve["epoch"] == curve["epoch"].max()]
    return last.assign(probe="by_epoch", unit="tile", low=np.nan, high=np.nan, **{"class": ""})


def _with_intervals(
    run: str, path: str | Path, count: pd.DataFrame, settings: dict[str, Any], seed: int
) -> pd.DataFrame:
    scores = read_table(path, text=("split", "unit", "measure", "class"))
    found = dict(_intervals(count, settings, seed))
    missing = (np.nan, np.nan)
    keys = zip(scores["split"], scores["unit"], scores["measure"], scores["class"], strict=True)
    ends = [
        found.get((unit, measure, name), missing) if split == "test" else missing for split, unit, measure, name in keys
    ]
    low, high = np.array(ends, dtype=float).reshape(-1, 2).T
    return scores.assign(run=run, probe="converged", low=low, high=high)


def _intervals(count: pd.DataFrame, settings: dict[str, Any], seed: int) -> Iterator[tuple[Keys, Interval]]:
    """Intervals of one run's scores on the test split, by unit, measure and class."""
    for unit, part in count.groupby("unit"):
        classes = sorted(set(part["label"]) | set(part["predicted"]))
        confusions = confusions_by_session(part, classes)

        interval = partial(
            session_bootstrap,
            confusions,
            resamples=settings["resamples"],
            confidence=settings["confidence"],
            seed=seed,
        )
        for measure, statistic in (("macro_f1", macro_f1), ("accuracy", accuracy)):
            low, high = interval(statistic=statistic)
            yield (str(unit), measure, ""), (float(low), float(high))
        sessions = (confusions.sum(axis=2) > 0).sum(axis=0)  # (class,) sessions that hold it
        lows, highs = interval(statistic=f1_per_class)
        for name, held, low, high in zip(classes, sessions, lows, highs, strict=True):
            if held > 1:
                yield (str(unit), "f1", name), (float(low), float(high))


def confusions_by_session(count: pd.DataFrame, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Turn a table of counts into one confusion matrix per session.

    Args:
        count: columns session, label, predicted and count.
        classes: names of the classes in the order of the matrices.

    Returns:
        Counts of shape (session, class, class), sessions in alphabetical order.
    """
    session, names = pd.factorize(count["session"], sort=True)
    place = {name: index for index, name in enumerate(classes)}
    confusions = np.zeros((len(names), len(classes), len(classes)), np.int64)
    rows = (session, count["label"].map(place).to_numpy(int), count["predicted"].map(place).to_numpy(int))
    np.add.at(confusions, rows, count["count"].to_numpy(int))
    return confusions


def collect_geometry(
    runs: Sequence[str],
    geometries: Paths,
    spectra: Paths,
    centroids: Paths,
    geometry_path: str | Path,
    spectra_path: str | Path,
    centroids_path: str | Path,
) -> None:
    """Gather the geometry of all runs and reference spaces.

    Args:
        runs: names of the runs and reference spaces.
        geometries: for each its table split, measure, value.
        spectra: for each its table direction, variance, share.
        centroids: for each its table first, second, distance.
        geometry_path: table run, split, measure, value.
        spectra_path: table run, direction, variance, share.
        centroids_path: table run, first, second, distance.
    """
    for paths, text, columns, output in (
        (geometries, ("split", "measure"), GEOMETRY_COLUMNS, geometry_path),
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
        InputError: see `triplets.tile_frames` and `triplets.seconds_to_frames`.
    """
    features = open_features(features_path)
    clips = read_text_table(clips_path).set_index("clip")
    seconds = clips["frames"].astype(int) / clips["rate"].astype(int)
    tile = tile_frames(tile_s, features.about["recipe"])
    two = seconds_to_frames(tile_s, features.about["recipe"]) + tile
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
