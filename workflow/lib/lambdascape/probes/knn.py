"""Nearest neighbours by cosine: what the space groups without any training."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lambdascape.probes.scoring import Posterior, Sheet, all_classes, validation_score
from lambdascape.splits import LabelledSpace, Mask, draw_validation, read_labelled

QUERIES = 1 << 14  # tiles whose neighbours are looked for at once


def fit_knn(
    embeddings_path: str | Path,
    test_fold: str,
    settings: dict[str, Any],
    seed: int,
    scores_path: str | Path,
    counts_path: str | Path,
) -> None:
    """Let each tile's nearest training tiles by cosine vote for its class, and score it per tile and per clip.

    The embeddings are taken as they are, brought to length 1. The posterior of a class is its share of the k
    neighbours; k is chosen by macro-F1 per clip on validation sessions, the smallest of equals, with the other training
    tiles as neighbours; the test tiles then have the whole training split. The training split is not scored: its tiles
    would find themselves.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others are neighbours.
        settings: `k_grid`, numbers of neighbours; those above the number of tiles are left out, but for one.
            `max_tiles`: training tiles that can be neighbours, at most; more are thinned out at random.
            `validation_fraction`: see `splits.draw_validation`.
        seed: seed of the draw of validation sessions and of the thinning.
        scores_path: table `scoring.SCORE_COLUMNS`: split (validation | test), unit, measure (those of
            `converged.fit_converged`, with k in place of c), class, draw, value.
        counts_path: table `scoring.COUNT_COLUMNS` of the test split. Both header only without labels.

    Raises:
        InputError: see `splits.read_labelled` and `splits.draw_validation`.
    """
    space = read_labelled(embeddings_path, test_fold)
    sheet = Sheet(space, "knn")
    if space is not None:
        validation = draw_validation(space, settings["validation_fraction"], seed)
        votes = _votes(space, ~space.test & ~validation, validation, settings, seed)
        scores = {k: validation_score(space, validation, posterior) for k, posterior in votes.items()}
        k = max(scores, key=lambda one: (scores[one], -one))
        sheet.note("validation", "k", k)
        sheet.add("validation", validation, votes[k])
        (posterior,) = _votes(space, ~space.test, space.test, settings | {"k_grid": [k]}, seed).values()
        sheet.add("test", space.test, posterior, counted=True)
    sheet.write(scores_path, counts_path)


def _votes(space: LabelledSpace, known: Mask, asked: Mask, settings: dict[str, Any], seed: int) -> dict[int, Posterior]:
    """For each k the share of each class among the k nearest tiles of `known`: shape (tile of `asked`, class)."""
    from sklearn.neighbors import NearestNeighbors

    neighbours = np.flatnonzero(known)
    if len(neighbours) > settings["max_tiles"]:
        neighbours = np.sort(np.random.default_rng([seed]).permutation(neighbours)[: settings["max_tiles"]])
    grid = sorted({min(k, len(neighbours)) for k in settings["k_grid"]})
    # Between vectors of length 1 the order by distance is the order by cosine.
    search = NearestNeighbors(n_neighbors=grid[-1], algorithm="brute").fit(_unit(space.embedding[neighbours]))
    label, places = space.label[neighbours], np.flatnonzero(asked)
    parts: dict[int, list[Posterior]] = {k: [] for k in grid}
    for chunk in np.split(places, range(QUERIES, len(places), QUERIES)):
        found = label[search.kneighbors(_unit(space.embedding[chunk]), return_distance=False)]  # (tile, neighbour)
        for k in grid:
            shares = [np.count_nonzero(found[:, :k] == one, axis=1) / k for one in range(space.n_known)]
            parts[k].append(all_classes(space, np.arange(space.n_known), np.column_stack(shares)))
    return {k: np.concatenate(part) for k, part in parts.items()}


def _unit(embedding: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Embeddings of length 1, shape (tile, dim); a zero vector stays one."""
    norm = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.maximum(norm, np.finfo(np.float32).tiny)
