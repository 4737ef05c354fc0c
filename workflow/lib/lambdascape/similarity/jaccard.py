"""How many of a tile's nearest neighbours two spaces share."""

import numpy as np

from lambdascape.core.declarations import similarity_measure
from lambdascape.similarity.measures import Floats, jaccard_sums
from lambdascape.similarity.space_group import SpaceGroup

CELLS = 1 << 22  # neighbours read at once


@similarity_measure("jaccard_10", label="Jaccard index of 10 neighbours")
def jaccard_10(group: SpaceGroup) -> Floats:
    """Mean Jaccard index of the 10 nearest neighbours, shape (space, space)."""
    return jaccard(group, 10)


@similarity_measure("jaccard_100", label="Jaccard index of 100 neighbours")
def jaccard_100(group: SpaceGroup) -> Floats:
    """Mean Jaccard index of the 100 nearest neighbours, shape (space, space)."""
    return jaccard(group, 100)


def jaccard(group: SpaceGroup, k: int) -> Floats:
    """Mean Jaccard index of the k nearest neighbours; missing for spaces in which a tile has fewer."""
    found, spaces = group.empty(), group.spaces
    enough = [i for i, space in enumerate(spaces) if space.neighbours.shape[1] >= k]
    tiles = len(spaces[0].embedding)
    total = np.zeros((len(enough), len(enough)))
    rows = max(1, CELLS // (len(spaces) * k))
    for start in range(0, tiles, rows):
        parts = [spaces[i].neighbours[start : start + rows, :k] for i in enough]
        total += jaccard_sums(np.stack(parts), tiles) if parts else 0.0
    found[np.ix_(enough, enough)] = total / tiles
    return found
