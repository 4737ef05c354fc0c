"""Nearest neighbours by cosine: what the space groups without any training."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lambdascape.config.settings import Knn
from lambdascape.core.declarations import probe
from lambdascape.embeddings.splits import LabelledSpace, Mask, draw_validation
from lambdascape.probes.scoring import Posterior, ProbeInput, ScoreTable, all_classes, validation_score
from lambdascape.probes.standardised import chunks

Floats = npt.NDArray[np.float64]

QUERIES = 1 << 14  # tiles whose neighbours are looked for at once
# What the least similar neighbour's vote lacks to a whole one: enough to decide ties, too little to decide more.
TIE = 1e-4
PROBES = {"knn": True, "knn_uncentred": False}  # whether cosines are about the mean


@probe(
    "knn",
    label="Nearest neighbours",
    variants={"knn_uncentred": "Nearest neighbours, uncentred"},
    chooses="k",
)
def fit_knn(given: ProbeInput, settings: Knn, seeds: Sequence[int]) -> ScoreTable:
    """Let each tile's nearest training tiles by cosine vote for its class, and score it in each of `scoring.UNITS`.

    Cosines are those about the mean of the labelled tiles that can be neighbours, so that a constant offset, which all
    embeddings of a network without training share, hides nothing; the probe `knn_uncentred` takes them about the
    origin. The posterior of a class is its share of the k neighbours. Ties, among the neighbours of a tile and among
    the tiles of a clip, go to the class whose neighbours are nearer: a vote weighs 1 - `TIE` (1 - cosine) / 2. k is
    chosen by macro-F1 per clip on validation sessions, the smallest of equals, with the other training tiles as
    neighbours; the test tiles then have the whole training split. The training split is not scored: its tiles would
    find themselves. There is no cross-entropy, for a class that none of the k neighbours has gets the posterior 0.

    Args:
        given: the space; its test split is scored.
        settings: of `k_grid`, numbers above that of the tiles are left out, but for one; of more training tiles than
            `max_tiles` a random sample can be neighbours.
        seeds: of the samples of validation sessions, see `converged.fit_converged`, and of the thinning.

    Returns:
        Scores: probe (knn | knn_uncentred), split (validation | test), unit,
            measure (those of `converged.fit_converged` but cross_entropy, with k in place of c), class, draw, value.
        Counts of the test split. Both are empty without labels.

    Raises:
        InputError: see `splits.read_labelled` and `splits.draw_validation`.
    """
    space = given.space
    table = ScoreTable(space, "knn")
    if space is not None:
        for probe, centred in PROBES.items():
            table.probe = probe
            for draw, seed in enumerate(seeds):
                _score(table, space, settings, centred, seed, draw)
    return table


def _score(table: ScoreTable, space: LabelledSpace, settings: Knn, centred: bool, seed: int, draw: int) -> None:
    validation = draw_validation(space, settings.validation_fraction, seed)
    votes = _votes(space, ~space.test & ~validation, validation, settings.k_grid, settings.max_tiles, centred, seed)
    scores = {k: validation_score(space, validation, posterior) for k, posterior in votes.items()}
    k = max(scores, key=lambda one: (scores[one], -one))
    table.note("validation", "k", k, draw)
    table.add("validation", validation, votes[k], draw, likelihood=False)
    (posterior,) = _votes(space, ~space.test, space.test, [k], settings.max_tiles, centred, seed).values()
    table.add("test", space.test, posterior, draw, counted=True, likelihood=False)


def _votes(
    space: LabelledSpace, known: Mask, asked: Mask, ks: Sequence[int], most: int, centred: bool, seed: int
) -> dict[int, Posterior]:
    """For each k the votes for each class among the k nearest tiles of `known`: shape (tile of `asked`, class).

    No more than `most` of `known` can be neighbours; `centred`: cosines are about their mean.
    """
    from sklearn.neighbors import NearestNeighbors

    neighbours = np.flatnonzero(known)
    if len(neighbours) > most:
        neighbours = np.sort(np.random.default_rng([seed]).permutation(neighbours)[:most])
    grid = sorted({min(k, len(neighbours)) for k in ks})
    centre = _mean(space, known) if centred else np.zeros(space.embedding.shape[1])
    # Between vectors of length 1 the order by distance is the order by cosine: d² = 2 (1 - cosine).
    search = NearestNeighbors(n_neighbors=grid[-1], algorithm="brute").fit(_unit(space.embedding[neighbours], centre))
    label, places = space.label[neighbours], np.flatnonzero(asked)
    parts: dict[int, list[Posterior]] = {k: [] for k in grid}
    for chunk in np.split(places, range(QUERIES, len(places), QUERIES)):
        distance, near = search.kneighbors(_unit(space.embedding[chunk], centre))  # both (tile, neighbour)
        weight, found = 1 - TIE * distance**2 / 4, label[near]
        for k in grid:
            shares = [np.where(found[:, :k] == one, weight[:, :k], 0.0).sum(axis=1) / k for one in range(space.n_known)]
            parts[k].append(all_classes(space, np.arange(space.n_known), np.column_stack(shares), np.float64))
    return {k: np.concatenate(part) for k, part in parts.items()}


def _mean(space: LabelledSpace, rows: Mask) -> Floats:
    """Mean embedding of the tiles of `rows`, shape (dim,)."""
    total = sum(space.embedding[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks(rows))
    return np.asarray(total / np.count_nonzero(rows))


def _unit(embedding: npt.NDArray[np.float32], centre: Floats) -> npt.NDArray[np.float32]:
    """Embeddings less the centre, at length 1, shape (tile, dim); a zero vector stays one."""
    moved = (embedding - centre).astype(np.float32)
    norm = np.linalg.norm(moved, axis=1, keepdims=True)
    return moved / np.maximum(norm, np.finfo(np.float32).tiny)
