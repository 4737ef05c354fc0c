"""Positions of the points on the map of each space, and the neighbours of each tile in it."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import orthogonal_procrustes
from threadpoolctl import threadpool_limits

from lambdascape.config.settings import Viewer
from lambdascape.core.tsv import read_table, write_table
from lambdascape.core.vectors import Floats, is_one_point, project, unit_norm
from lambdascape.embeddings.neighbours import most_neighbours, nearest
from lambdascape.embeddings.shown import rows_of, shown_spaces
from lambdascape.viewer.points import TEXT

COORDINATE_COLUMNS = ["run", "view", "point", "x", "y", "x_share", "y_share"]
NEIGHBOUR_COLUMNS = ["run", "point", "rank", "neighbour", "distance"]
VIEWS = ("pca", "umap")
MIN_DIST = 0.1  # UMAP's own default
EPOCHS = 200  # UMAP's own for large data; it begins from a map that is there
START_SPREAD = 1e-1  # of UMAP's first layout, which it stretches to its own size
FEWEST = 5  # points, below which UMAP has nothing to lay out
PLACES = 5  # decimals kept


def map_points(
    runs: str | Path,
    points_path: str | Path,
    embeddings: Sequence[str | Path],
    names: Sequence[str],
    settings: Viewer,
    coordinates: str | Path,
    neighbours: str | Path,
) -> None:
    """Lay the points out on two maps of each space, all turned towards the first, and find their neighbours.

    Args:
        runs: runs.tsv.
        points_path: points.tsv.
        embeddings: HDF5 files of spaces.
        names: the space of each file, in the same order.
        settings: `umap_neighbours`: None leaves the second view out; `seed` is that of UMAP.
        coordinates: table `COORDINATE_COLUMNS`: view is `pca` or `umap`; x and y from -1 to 1, the same scale for
            both; x_share and y_share of the variance, missing for `umap`.
        neighbours: table `NEIGHBOUR_COLUMNS`: neighbour is a point of another moment, rank from 1, by cosine distance;
            none where all points of a space are one.
    """
    points = read_table(points_path, TEXT)
    moment = pd.factorize(points["moment"])[0]
    firsts: dict[str, Floats] = {}
    placed, near = [], []
    for space in shown_spaces(runs, embeddings, names):
        embedding, tiles = space.read()
        here = embedding[rows_of(points, tiles)].astype(np.float64)
        flat, share = project(here)
        views = {"pca": align(flat, firsts.setdefault("pca", flat))}
        if settings.umap_neighbours:
            laid = manifold(here, views["pca"], settings.umap_neighbours, settings.seed)
            views["umap"] = align(laid, firsts.setdefault("umap", laid))
        for view, at in views.items():
            shares = share if view == "pca" else np.full(2, np.nan)
            placed.append(_placed(space.run, view, fit(at), shares))
        near.append(_near(space.run, here, moment, settings.neighbours))
    write_table(pd.concat(placed)[COORDINATE_COLUMNS], coordinates)
    write_table(pd.concat(near)[NEIGHBOUR_COLUMNS], neighbours)


def manifold(embedding: Floats, start: Floats, count: int, seed: int) -> Floats:
    """UMAP's two coordinates (McInnes et al. 2018) by cosine, begun from a map that is there: shape (tile, 2).

    Args:
        embedding: shape (tile, dim).
        start: shape (tile, 2): an aligned first layout keeps spaces comparable.
        count: UMAP's n_neighbors; fewer if there are fewer points.
        seed: of its random steps.
    """
    if len(embedding) < FEWEST or is_one_point(embedding):
        return np.zeros((len(embedding), 2))
    each = np.arange(len(embedding))
    near, distance = neighbours_of(embedding, each, count - 1)
    # Given exact neighbours, itself the first, UMAP compiles and runs no search of its own.
    known = np.column_stack([each, near]), np.column_stack([0 * each, distance]).astype(np.float32)
    first = (start - start.mean(axis=0)) / max(start.std(), np.finfo(float).tiny) * START_SPREAD
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", UserWarning)  # a seed keeps it to one thread; new points cannot be added
        reducer = _umap_class()(
            n_neighbors=known[0].shape[1],
            min_dist=MIN_DIST,
            n_epochs=EPOCHS,
            metric="cosine",
            init=first.astype(np.float32),
            precomputed_knn=known,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(embedding.astype(np.float32)), np.float64)


def _umap_class() -> Any:
    """UMAP's class; its package would load TensorFlow, where that is there, for a kind that is not used here."""
    modules: Any = sys.modules
    hidden = "tensorflow" not in modules
    if hidden:
        modules["tensorflow"] = None  # so Python says that it cannot be imported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            from umap import UMAP
    finally:
        if hidden:
            del modules["tensorflow"]
    return UMAP


def align(coordinates: Floats, reference: Floats) -> Floats:
    """Shift, turn and mirror a map so that its points come as near as can be to those of another.

    Args:
        coordinates: shape (point, 2).
        reference: shape (point, 2).

    Returns:
        Shape (point, 2), mean 0; distances between points stay as they are (Schönemann 1966).
    """
    centred = coordinates - coordinates.mean(axis=0)
    turn, _ = orthogonal_procrustes(centred, reference - reference.mean(axis=0))
    return centred @ turn


def fit(coordinates: Floats) -> Floats:
    """Shift and scale a map so that it fills the square from -1 to 1; both directions by the same factor."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    half = (high - low).max() / 2
    return (coordinates - (low + high) / 2) / (half if half > 0 else 1)


def neighbours_of(
    embedding: Floats, moment: npt.NDArray[np.intp], count: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Nearest points of other moments, by cosine: their numbers and distances, shape (point, k).

    k is `count`, less where a moment leaves fewer points, 0 where all points of the space are one.
    """
    count = 0 if is_one_point(embedding) else min(count, most_neighbours(moment))
    if not count:
        return np.zeros((len(embedding), 0), np.int32), np.zeros((len(embedding), 0))
    unit = unit_norm(embedding)
    near = nearest(unit, count, moment)
    return near, np.maximum(1 - np.einsum("pd,pkd->pk", unit, unit[near]), 0)


def _placed(run: str, view: str, at: Floats, share: Floats) -> pd.DataFrame:
    places = np.round(at, PLACES) + 0.0  # no -0
    return pd.DataFrame(
        {"run": run, "view": view, "point": np.arange(len(at)), "x": places[:, 0], "y": places[:, 1]}
    ).assign(x_share=share[0], y_share=share[1])


def _near(run: str, embedding: Floats, moment: npt.NDArray[np.intp], count: int) -> pd.DataFrame:
    near, distance = neighbours_of(embedding, moment, count)
    tiles, ranks = near.shape
    return pd.DataFrame(
        {
            "run": run,
            "point": np.repeat(np.arange(tiles), ranks),
            "rank": np.tile(np.arange(1, ranks + 1), tiles),
            "neighbour": near.ravel(),
            "distance": np.round(distance.ravel(), PLACES),
        }
    )
