"""The Procrustes distance; computed in `measures`, for many spaces at once in `space_group`."""

from lambdascape.core.declarations import similarity_measure
from lambdascape.similarity.measures import Floats
from lambdascape.similarity.space_group import SpaceGroup


@similarity_measure("procrustes", label="Procrustes distance", is_distance=True)
def procrustes_distances(group: SpaceGroup) -> Floats:
    """Procrustes distances, shape (space, space), see `measures.procrustes`: fitted on one half of the sessions."""
    return group.linear["procrustes"]
