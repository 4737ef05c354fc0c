"""Linear CKA over tiles of different sessions; computed in `measures`, for many spaces at once in `space_group`."""

from lambdascape.core.declarations import similarity_measure
from lambdascape.similarity.measures import Floats
from lambdascape.similarity.space_group import SpaceGroup


@similarity_measure("cka", label="Linear CKA across sessions")
def linear_cka(group: SpaceGroup) -> Floats:
    """Linear CKA, shape (space, space), see `measures.cka`: of tiles of different sessions."""
    return group.linear["cka"]
