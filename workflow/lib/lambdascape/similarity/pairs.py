"""Every space against every other."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.core.hdf5 import open_checked
from lambdascape.core.tsv import write_table
from lambdascape.core.vectors import is_one_point
from lambdascape.jobs.call import find
from lambdascape.similarity.null_distribution import why_none
from lambdascape.similarity.space_group import NULLS, SHARED, Matrices, SpaceGroup, shared_classes
from lambdascape.similarity.space_summary import SCHEMA, Summary, read_summary

FEW_NEIGHBOURS = "tiles have fewer neighbours of other moments"
WHY_MISSING = {"rsa": "too few groups", "jaccard_10": FEW_NEIGHBOURS, "jaccard_100": FEW_NEIGHBOURS}


def compare_spaces(
    names: Sequence[str],
    summaries: Sequence[str | Path],
    measures: Mapping[str, Mapping[str, str]],
    distances: Sequence[str],
    output: str | Path,
) -> None:
    """Compare every pair of spaces.

    Spaces are compared on the same tiles; between spaces of different tiles, as when the length of a tile is swept,
    every measure is missing.

    Args:
        names: of the spaces.
        summaries: for each its file of `space_summary.summarise_space`.
        measures: name to task of each measure, see `declarations.similarity_measure`.
        distances: names of those that grow as spaces differ.
        output: table first, second, measure, is_distance (1 | 0), value, null_mean and null_95 (of CKA only: mean and
            95th percentile of `null_distribution.null_of_cka`), note (why the value or the null is missing, or what the
            value rests on; empty where there is nothing to say). Each pair once, in the order of `names`.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_checked(path, SCHEMA)) for path in summaries]
        read = [read_summary(file) for file in files]
        found = {name: np.full((len(names), len(names)), np.nan) for name in (*measures, *NULLS)}
        for group in _same_tiles(read):
            for name, values in compare(SpaceGroup([read[i] for i in group]), measures).items():
                found[name][np.ix_(group, group)] = values
        flat = [is_one_point(space.embedding.astype(np.float64)) for space in read]
        rows = [
            [
                *(names[i], names[j], measure, int(measure in distances), found[measure][i, j]),
                *(found[name][i, j] if measure == "cka" else np.nan for name in NULLS),
                note((read[i], read[j]), measure, found[measure][i, j], flat[i] or flat[j]),
            ]
            for i, j in combinations(range(len(names)), 2)
            for measure in measures
        ]
    write_table(
        pd.DataFrame(rows, columns=["first", "second", "measure", "is_distance", "value", *NULLS, "note"]), output
    )


def note(pair: tuple[Summary, Summary], measure: str, value: float, flat: bool) -> str:
    """Why the value of a measure, or its null, is missing, or what the value rests on; empty for nothing to say.

    Args:
        pair: the two spaces.
        measure: its name.
        value: of the measure.
        flat: whether one of the spaces is one point.
    """
    first, second = pair
    missing = bool(np.isnan(value))
    if missing and first.tiles != second.tiles:
        return "the spaces have other tiles"
    if missing and flat:
        return "a space is one point"
    if measure == "cka" and missing:
        few = first.session.max() < 3
        return "fewer than four sessions" if few else "the sessions of a space do not differ enough: its own HSIC is 0"
    if measure == "cka":
        return why_none(first.session, first.label)
    if measure == "procrustes":
        shared, classes = shared_classes(first.first_half, first.label)
        some = f"{shared} of {classes} classes have sessions in both halves"
        if missing and shared >= min(SHARED, classes):
            return "a half is empty or one point"
        return some if shared < classes else ""
    if missing:
        return WHY_MISSING.get(measure, "the measure gives no value")
    return ""


def compare(group: SpaceGroup, measures: Mapping[str, Mapping[str, str]]) -> Matrices:
    """All measures of all pairs of spaces over the same tiles: shape (space, space), the upper triangle filled."""
    found = {name: find(task["name"])(group) for name, task in measures.items()}
    return found | {name: group.linear[name] for name in NULLS if "cka" in measures}


def _same_tiles(read: Sequence[Summary]) -> list[list[int]]:
    """Numbers of the spaces with the same tiles, group by group."""
    groups: dict[str, list[int]] = {}
    for number, summary in enumerate(read):
        groups.setdefault(summary.tiles, []).append(number)
    return list(groups.values())
