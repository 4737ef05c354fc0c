"""How well a space keeps groups of points together and apart: classes, and sessions and nodes as nuisances.

Points are compared by their directions from the origin, so the caller centres them: see `shape.measure_geometry`.
"""

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial.distance import cdist

from lambdascape.core.vectors import ROUNDING, Floats, is_one_point, unit_norm
from lambdascape.embeddings.held_out import Texts

Codes = npt.NDArray[np.intp]
RESTARTS = 4  # of k-means


def silhouette(embedding: Floats, group: Texts) -> float:
    """Mean silhouette of the groups under cosine distance (Rousseeuw 1987).

    On the unit sphere the cosine distance is half the squared distance that the triplet loss compares, and the mean
    distance of a tile to a group follows from the group's sum: no matrix tile × tile is needed.

    Args:
        embedding: shape (tile, dim).
        group: shape (tile,), the label or session of each tile.

    Returns:
        -1 to 1, 0 when all tiles are one point; NaN with fewer than two groups, or when every tile is its own
        group.
    """
    if not 2 <= len(set(group)) < len(group):
        return float("nan")
    unit, code, sums, sizes = _grouped(embedding, group)
    rows = np.arange(len(code))
    cosines = unit @ sums.T  # (tile, group), summed over the group
    mean = 1 - cosines / sizes
    others = sizes[code] - 1
    itself = (unit**2).sum(axis=1)
    inside = (others - cosines[rows, code] + itself) / np.maximum(others, 1)
    mean[rows, code] = np.inf
    outside = mean.min(axis=1)
    larger = np.maximum(inside, outside)
    defined = (others > 0) & (larger > ROUNDING**2)
    return float(np.divide(outside - inside, larger, out=np.zeros(len(code)), where=defined).mean())


def intra_inter_ratio(embedding: Floats, group: Texts) -> float:
    """Spread inside the groups as a share of the spread between them.

    The mean squared distance on the unit sphere of two tiles of one group, averaged over the groups with two tiles,
    divided by that of two tiles of two groups, averaged over the pairs of groups. It is the density of Roth et al.
    2002.08473 (section 5), between tiles in place of centroids, so that 1 means that groups say nothing.

    Args:
        embedding: shape (tile, dim).
        group: shape (tile,).

    Returns:
        At least 0 (groups are points); NaN with fewer than two groups, no group of two tiles, or one point.
    """
    if not 2 <= len(set(group)) < len(group) or is_one_point(unit_norm(embedding)):
        return float("nan")
    unit, code, sums, sizes = _grouped(embedding, group)
    squares = np.bincount(code, (unit**2).sum(axis=1))  # (group,)
    several = sizes > 1
    within = 2 * (sizes * squares - (sums**2).sum(axis=1))[several] / (sizes * (sizes - 1))[several]
    mean_square = squares / sizes
    means = sums / sizes[:, None]
    between = mean_square[:, None] + mean_square - 2 * means @ means.T
    return float(within.mean() / between[np.triu_indices(len(sizes), 1)].mean())


def kmeans_agreement(embedding: Floats, group: Texts, seed: int) -> tuple[float, float]:
    """Agreement of the groups with as many clusters that k-means finds on the unit sphere.

    Args:
        embedding: shape (tile, dim).
        group: shape (tile,).
        seed: seed of the starts.

    Returns:
        Adjusted mutual information (Vinh et al. 2010), 0 by chance and 1 when equal, and the normalised one, which
        grows with the number of clusters even by chance; both with the arithmetic mean of the entropies. NaN with
        fewer than two groups, when every tile is its own group, or when the space is one point.
    """
    if not 2 <= len(set(group)) < len(group) or is_one_point(unit_norm(embedding)):
        return float("nan"), float("nan")
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    code = pd.factorize(group)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than clusters
        found = KMeans(len(set(group)), n_init=RESTARTS, random_state=seed).fit_predict(unit_norm(embedding))
    return float(adjusted_mutual_info_score(code, found)), float(normalized_mutual_info_score(code, found))


def centroid_distances(embedding: Floats, group: Texts) -> tuple[list[str], Floats]:
    """Euclidean distances between the mean embeddings of the groups, each tile scaled to length 1.

    Args:
        embedding: shape (tile, dim).
        group: shape (tile,).

    Returns:
        Names of the groups, sorted; distances of shape (group, group), 0 to 2.
    """
    if not len(group):
        return [], np.zeros((0, 0))
    names = sorted(set(group))
    _, _, sums, sizes = _grouped(embedding, group)
    means = sums / sizes[:, None]
    return names, cdist(means, means)


def mean_distance(distances: Floats) -> float:
    """Mean over the pairs of a matrix of distances; NaN without a pair."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    return float(pairs.mean()) if len(pairs) else float("nan")


def _grouped(embedding: Floats, group: Texts) -> tuple[Floats, Codes, Floats, Floats]:
    """Points on the unit sphere, codes in the order of the sorted names, sums (group, dim) and sizes (group,)."""
    unit = unit_norm(embedding)
    code = pd.factorize(group, sort=True)[0]
    sizes = np.bincount(code).astype(np.float64)
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, code, unit)
    return unit, code, sums, sizes
