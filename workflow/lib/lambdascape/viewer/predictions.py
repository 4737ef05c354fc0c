"""What the converged probe says of each held-out point, in every space that is shown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.core.tsv import read_table, write_table
from lambdascape.embeddings.shown import rows_of, shown_spaces
from lambdascape.embeddings.splits import read_labelled
from lambdascape.probes.logistic import fit
from lambdascape.viewer.points import TEXT

COLUMNS = ["run", "point", "predicted"]


def predict_points(
    runs: str | Path,
    points_path: str | Path,
    embeddings: Sequence[str | Path],
    names: Sequence[str],
    scores: Sequence[str | Path],
    test_fold: str,
    output: str | Path,
) -> None:
    """Fit the converged probe of each space shown again, with the C that it chose, and predict the held-out points.

    Args:
        runs: runs.tsv.
        points_path: points.tsv.
        embeddings: HDF5 files of spaces.
        names: the space of each file, in the same order.
        scores: converged.tsv of each space, in the same order; of a space without a seed, which has a C for each seed
            of the study, that of the first seed (column `draw` 0).
        test_fold: the fold held out.
        output: table `COLUMNS`: predicted is a class; labelled held-out points only, header only without labels.

    Raises:
        InputError: see `splits.read_labelled`.
    """
    points = read_table(points_path, TEXT)
    probe_of = dict(zip(names, scores, strict=True))
    found = [pd.DataFrame(columns=COLUMNS)]
    for space in shown_spaces(runs, embeddings, names):
        labelled = read_labelled(space.path, test_fold)
        if labelled is not None:
            rows = rows_of(points, space.read()[1])
            asked = np.isin(labelled.row, rows) & labelled.test
            posterior = fit(labelled, ~labelled.test, _chosen_c(probe_of[space.run])).posterior(asked)
            names_of = np.array(labelled.classes, object)[posterior.argmax(axis=1)]
            point = pd.Index(rows).get_indexer(pd.Index(labelled.row[asked]))
            found.append(pd.DataFrame({"run": space.run, "point": point, "predicted": names_of}))
    write_table(pd.concat(found)[COLUMNS], output)


def _chosen_c(scores: str | Path) -> float:
    table = read_table(scores, ("probe", "split", "measure"))
    return float(table.loc[(table["measure"] == "c") & (table["draw"] == 0), "value"].iloc[0])
