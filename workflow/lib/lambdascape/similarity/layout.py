"""A map of all spaces, laid out so that their Procrustes distances show."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.tsv import read_table, write_table
from lambdascape.study.catalogue import RECOMPUTED
from lambdascape.study.run_table import read_runs

Floats = npt.NDArray[np.float64]
PAIRS_TEXT = ("first", "second", "measure")


def map_spaces(runs_path: str | Path, pairs_path: str | Path, output: str | Path) -> None:
    """Lay out the spaces in the plane by classical scaling of their Procrustes distances.

    Once all of them, and once the trained ones alone, since the references, often far off, take up the first map.

    Args:
        runs_path: runs.tsv.
        pairs_path: table of `pairs.compare_spaces`.
        output: table part (all | trained), run, x, y, x_share, y_share; coordinates are missing for spaces that cannot
            be compared with the others, shares are those of `classical_scaling`, the same in every row of a part.
    """
    runs, pairs = read_runs(runs_path), read_table(pairs_path, PAIRS_TEXT)
    trained = runs.loc[runs["kind"] == "trained", "run"]
    shown = runs.loc[runs["kind"] != RECOMPUTED, "run"]  # a second space of a run would lie beside its first
    parts = [_lay_out(pairs, names).assign(part=part) for part, names in (("all", shown), ("trained", trained))]
    write_table(pd.concat(parts)[["part", "run", "x", "y", "x_share", "y_share"]], output)


def _lay_out(pairs: pd.DataFrame, names: "pd.Series[str]") -> pd.DataFrame:
    distance = matrix(pairs, "procrustes", names.tolist())
    np.fill_diagonal(distance, 0)
    kept = comparable(distance)
    place, share = classical_scaling(2 * distance[np.ix_(kept, kept)])  # twice the measure is the squared distance
    table = pd.DataFrame({"run": names.tolist(), "x": np.nan, "y": np.nan, "x_share": share[0], "y_share": share[1]})
    table.loc[kept, ["x", "y"]] = place
    return table


def matrix(pairs: pd.DataFrame, measure: str, names: Sequence[str]) -> Floats:
    """Values of a measure between all pairs of spaces, shape (space, space); missing on the diagonal.

    Args:
        pairs: first, second, measure, value.
        measure: which.
        names: the spaces, in the order of rows and columns.
    """
    here = pairs[pairs["measure"] == measure]
    wide = here.pivot(index="first", columns="second", values="value").reindex(index=list(names), columns=list(names))
    upper = wide.to_numpy(np.float64)
    return np.where(np.isnan(upper), upper.T, upper)


def comparable(distance: Floats) -> list[int]:
    """Numbers of the spaces left when those with the most missing distances go, until none is missing."""
    kept = list(range(len(distance)))
    while np.isnan(distance[np.ix_(kept, kept)]).any():
        kept.pop(int(np.isnan(distance[np.ix_(kept, kept)]).sum(axis=1).argmax()))
    return kept


def classical_scaling(squared: Floats) -> tuple[Floats, tuple[float, float]]:
    """Points in the plane whose distances come close to given ones (Torgerson 1952).

    Args:
        squared: squared distances, shape (space, space).

    Returns:
        Coordinates of shape (space, 2), each direction with the sign that makes its largest value positive; the share
        of each direction in the sum of the positive eigenvalues, 0 where there is none.
    """
    from sklearn.manifold import ClassicalMDS

    n = len(squared)
    place, share = np.zeros((n, 2)), np.zeros(2)
    if n < 2:
        return place, (0.0, 0.0)
    with np.errstate(invalid="ignore"):  # directions of negative eigenvalues have no length
        scaling = ClassicalMDS(n, metric="precomputed").fit(np.sqrt(np.clip(squared, 0, None)))
    positive = np.clip(scaling.eigenvalues_, 0, None)
    for k in range(2):
        direction = np.nan_to_num(scaling.embedding_[:, k])
        place[:, k] = direction * np.sign(direction[np.abs(direction).argmax()])
        share[k] = positive[k] / positive.sum() if positive.sum() > 0 else 0
    return place, (float(share[0]), float(share[1]))
