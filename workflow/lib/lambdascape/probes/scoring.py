"""What every probe is scored by: rows of scores, and counts by session from which intervals are drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import write_table
from lambdascape.embeddings.splits import Integers, LabelledSpace, Mask, read_folds, read_labelled
from lambdascape.statistics.metrics import (
    accuracy,
    calibration_bin,
    calibration_table,
    confusion_matrix,
    cross_entropy,
    expected_calibration_error,
    f1_per_class,
    log_losses,
    macro_f1,
)

Posterior = npt.NDArray[np.floating]
Unit = tuple[str, Posterior, Integers, Integers]  # name, posteriors, labels, sessions

SCORE_COLUMNS = ["probe", "split", "unit", "measure", "class", "draw", "value"]
COUNT_KEYS = ["probe", "split", "draw", "unit", "session", "label", "predicted", "bin"]
COUNT_COLUMNS = [*COUNT_KEYS, "count", "confidence", "loss"]
UNITS = ("tile", "segment", "clip")
SUM = 1e-3  # by which posteriors may miss the sum of 1: they are float32


@dataclass(frozen=True)
class ProbeInput:
    """The space that a probe is fitted to.

    Attributes:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.
    """

    embeddings_path: str | Path
    test_fold: str

    @cached_property
    def space(self) -> LabelledSpace | None:
        """The labelled tiles, split by the test fold; None when no tile has a label.

        Raises:
            InputError: see `splits.read_labelled`.
        """
        return read_labelled(self.embeddings_path, self.test_fold)

    def folds(self) -> dict[str, LabelledSpace | None]:
        """For each fold the labelled tiles, split by it, see `splits.read_folds`."""
        return read_folds(self.embeddings_path)


class ScoreTable:
    """Collects the scores of one space, and writes them.

    Args:
        space: the labelled tiles.
        probe: name of the probe.
    """

    def __init__(self, space: LabelledSpace | None, probe: str) -> None:
        self.space, self.probe = space, probe
        self.scores: list[tuple[Any, ...]] = []
        self.counts: list[pd.DataFrame] = []

    def note(self, split: str, measure: str, value: float, draw: int = 0) -> None:
        """Add a number beside the scores, such as the C that validation clips chose."""
        self.scores.append((self.probe, split, "clip", measure, "", draw, value))

    def add(
        self,
        split: str,
        rows: Mask,
        posterior: Posterior,
        draw: int = 0,
        counted: bool = False,
        likelihood: bool = True,
    ) -> None:
        """Score the tiles of `rows`, and the segments and clips that they make up.

        Args:
            split: name of the split.
            rows: shape (tile,), the tiles of the split.
            posterior: shape (tile of `rows`, class): probabilities of all classes.
            draw: number of the draw of training or validation sessions, where there are several.
            counted: whether the counts by session are kept as well, from which intervals are drawn.
            likelihood: whether the posteriors are a model's probabilities; else there is no cross-entropy, and the
                column loss of the counts is missing.

        Raises:
            InputError: the posteriors are of another shape, are not finite, or do not sum to 1.
        """
        assert self.space is not None
        wanted = (int(rows.sum()), len(self.space.classes))
        if posterior.shape != wanted:
            rule = "posteriors must have the shape (tile of the split, class)"
            raise InputError(f"{self.probe}, {split}: {rule}, {wanted}; got {posterior.shape}")
        if not np.isfinite(posterior).all() or (likelihood and abs(posterior.sum(axis=1) - 1).max(initial=0) > SUM):
            raise InputError(f"{self.probe}, {split}: posteriors must be probabilities that sum to 1 for each tile")
        for unit in units_of(self.space, rows, posterior):
            rows_of_scores = score_rows(self.space.classes, *unit[:3])
            self.scores += [
                (self.probe, split, *keys, draw, value)
                for *keys, value in rows_of_scores
                if likelihood or "cross_entropy" not in keys
            ]
            if counted:
                counts = session_counts(self.space, *unit)
                if not likelihood:
                    counts["loss"] = np.nan
                self.counts.append(counts.assign(probe=self.probe, split=split, draw=draw))

    def write(self, scores_path: str | Path, counts_path: str | Path) -> None:
        """Write the tables `SCORE_COLUMNS` and `COUNT_COLUMNS`; header only where there are no labels."""
        write_table(pd.DataFrame(self.scores, columns=SCORE_COLUMNS), scores_path)
        counts = pd.concat(self.counts)[COUNT_COLUMNS] if self.counts else pd.DataFrame(columns=COUNT_COLUMNS)
        write_table(counts, counts_path)


def all_classes(
    space: LabelledSpace, classes: Integers, posterior: npt.NDArray[Any], dtype: type[np.floating] = np.float32
) -> Posterior:
    """Posteriors of all classes, shape (tile, class): 0 for those that were not fitted.

    Args:
        space: the labelled tiles.
        classes: shape (fitted class,), what the columns of `posterior` stand for.
        posterior: shape (tile, fitted class).
        dtype: of the result.
    """
    every = np.zeros((len(posterior), len(space.classes)), dtype)
    every[:, classes] = posterior
    return every


def pooled(group: Integers, posterior: Posterior) -> tuple[Posterior, Integers]:
    """Average posteriors over groups of tiles.

    Args:
        group: shape (tile,), number of each tile's group.
        posterior: shape (tile, class).

    Returns:
        Posteriors of shape (group, class), in the order of the numbers; a tile of each group, shape (group,).
    """
    _, first, place = np.unique(group, return_index=True, return_inverse=True)
    total = np.column_stack([np.bincount(place, weights=column) for column in posterior.T])
    return (total / np.bincount(place)[:, None]).astype(posterior.dtype), first


def units_of(space: LabelledSpace, rows: Mask, posterior: Posterior, units: tuple[str, ...] = UNITS) -> Iterator[Unit]:
    """Posteriors, labels and sessions of each unit.

    The posteriors of a segment are the mean over the tiles and channels of one node in one moment, the official unit
    of DCASE 2018 Task 5; those of a clip the mean over the tiles of all nodes of its moment. Where each moment has one
    node the two are the same.

    Args:
        space: the labelled tiles.
        rows: shape (tile,); the tiles to take.
        posterior: shape (tile of `rows`, class).
        units: names of units.
    """
    label, session = space.label[rows], space.session[rows]
    for unit in units:
        if unit == "tile":
            yield unit, posterior, label, session
        else:
            probability, first = pooled((space.moment if unit == "clip" else space.segment)[rows], posterior)
            yield unit, probability, label[first], session[first]


def score_rows(
    classes: list[str], unit: str, posterior: Posterior, label: Integers
) -> Iterator[tuple[str, str, str, float]]:
    """Unit, measure, class and value of each score.

    macro_f1 is the mean over the classes that the truth contains; the f1 of a class that it lacks is missing; ece is
    the expected calibration error.
    """
    confusion = confusion_matrix(label, posterior.argmax(axis=1), len(classes))
    yield unit, "macro_f1", "", float(macro_f1(confusion))
    yield unit, "accuracy", "", float(accuracy(confusion))
    yield unit, "cross_entropy", "", cross_entropy(posterior, label)
    yield unit, "ece", "", float(expected_calibration_error(calibration_table(posterior, label)))
    for name, f1 in zip(classes, f1_per_class(confusion), strict=True):
        yield unit, "f1", name, float(f1)


def session_counts(
    space: LabelledSpace, unit: str, posterior: Posterior, label: Integers, session: Integers
) -> pd.DataFrame:
    """Sums over the items of a session, so that intervals can resample sessions.

    Returns:
        Table unit, session, label, predicted, bin (of the calibration), count; and, summed over those items, confidence
        (the highest posterior) and loss (-ln of the posterior of the label).
    """
    predicted, confidence = posterior.argmax(axis=1), posterior.max(axis=1).astype(np.float64)
    items = pd.DataFrame(
        {
            "session": session,
            "label": label,
            "predicted": predicted,
            "bin": calibration_bin(confidence),
            "count": 1,
            "confidence": confidence,
            "loss": log_losses(posterior, label),
        }
    )
    sums = items.groupby(["session", "label", "predicted", "bin"]).sum().reset_index()
    names, sessions = np.array(space.classes, object), np.array(space.sessions, object)
    return sums.assign(
        unit=unit,
        session=sessions[sums["session"]],
        label=names[sums["label"]],
        predicted=names[sums["predicted"]],
    )


def validation_score(space: LabelledSpace, validation: Mask, posterior: Posterior) -> float:
    """Macro-F1 per validation clip, by which every probe chooses its settings."""
    ((_, probability, label, _),) = units_of(space, validation, posterior, ("clip",))
    return float(macro_f1(confusion_matrix(label, probability.argmax(axis=1), len(space.classes))))
