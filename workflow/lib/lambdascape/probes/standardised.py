"""Standardised embeddings, and models on them, asked in chunks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lambdascape.embeddings.splits import LabelledSpace, Mask
from lambdascape.probes.scoring import Posterior, all_classes

CHUNK = 1 << 16  # tiles


@dataclass(frozen=True)
class Fit:
    """A fitted classifier of scikit-learn with the scaler of its training tiles."""

    scaler: Any
    model: Any
    space: LabelledSpace

    def posterior(self, rows: Mask) -> Posterior:
        """Posteriors of the tiles of `rows`, shape (tile of `rows`, class)."""
        parts = [
            self.model.predict_proba(self.scaler.transform(self.space.embedding[chunk].astype(np.float64)))
            for chunk in chunks(rows)
        ]
        return all_classes(self.space, self.model.classes_, np.concatenate(parts))


def chunks(rows: Mask) -> list[npt.NDArray[np.intp]]:
    """The row numbers of `rows`, `CHUNK` at a time."""
    places = np.flatnonzero(rows)
    return np.split(places, range(CHUNK, len(places), CHUNK))


def fit_scaler(space: LabelledSpace, rows: Mask) -> Any:
    """Mean and standard deviation of the tiles of `rows`, and of no others, summed in float64."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    for chunk in chunks(rows):
        scaler.partial_fit(space.embedding[chunk].astype(np.float64))
    return scaler


def scaled(space: LabelledSpace, rows: Mask, scaler: Any, kind: type = np.float32) -> npt.NDArray[Any]:
    """The standardised tiles of `rows`, shape (tile of `rows`, dim), in float32 or float64."""
    copy: npt.NDArray[Any] = np.empty((np.count_nonzero(rows), space.embedding.shape[1]), kind)
    place = 0
    for chunk in chunks(rows):
        copy[place : place + len(chunk)] = scaler.transform(space.embedding[chunk].astype(np.float64))
        place += len(chunk)
    return copy
