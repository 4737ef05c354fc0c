"""Linear CKA over tiles of different sessions, and the Procrustes distance."""

from lambdascape.core.declarations import similarity_measure
from lambdascape.similarity.measures import Floats
from lambdascape.similarity.space_group import SpaceGroup


@similarity_measure("procrustes", label="Procrustes distance", is_distance=True)
def procrustes_distances(group: SpaceGroup) -> Floats:
    """Procrustes distances, shape (space, space), see `measures.procrustes`: fitted on one half of the sessions."""
    return group.linear["procrustes"]


@similarity_measure("cka", label="Linear CKA across sessions")
def linear_cka(group: SpaceGroup) -> Floats:
    """Linear CKA, shape (space, space), see `measures.cka`: of tiles of different sessions."""
    return group.linear["cka"]
