"""Representational similarity analysis (Kriegeskorte et al. 2008) of the means of class × session."""

import numpy as np

from lambdascape.core.declarations import similarity_measure
from lambdascape.similarity.measures import Floats, standard_ranks
from lambdascape.similarity.space_group import SpaceGroup


@similarity_measure("rsa", label="RSA of class × session means")
def rsa(group: SpaceGroup) -> Floats:
    """Spearman's correlation of the distances between group means, shape (space, space); missing for one distance."""
    ranks = np.array([standard_ranks(space.distances) for space in group.spaces])
    return ranks @ ranks.T if ranks.shape[1] > 1 else group.empty()
