"""The triplet loss on squared distances, for every Keras backend."""

from typing import Any

from keras import ops

Tensor = Any
# The published system counts a triplet as active above this value.
ACTIVE_ABOVE = 1e-16


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distance of rows: shapes (triplet, dim) to (triplet,). Its gradient is finite at distance 0."""
    return ops.sum(ops.square(first - second), axis=-1)


def hinge(to_neighbour: Tensor, to_distant: Tensor, margin: float) -> Tensor:
    """Hinge of each triplet: `max(0, d²(anchor, neighbour) − d²(anchor, distant) + margin)`, shape (triplet,).

    Source: Schroff, Kalenichenko & Philbin 2015 (FaceNet), equation 3.
    """
    return ops.relu(to_neighbour - to_distant + margin)


def active(hinges: Tensor) -> Tensor:
    """1 where a triplet still pulls, 0 where it is satisfied: shape (triplet,), float32."""
    return ops.cast(hinges > ACTIVE_ABOVE, "float32")


def reduce_hinges(hinges: Tensor, reduction: str) -> Tensor:
    """Mean of the hinges over the active triplets (`nonzero`, 0 when there is none) or over all of them (`all`)."""
    if reduction == "all":
        return ops.mean(hinges)
    return ops.sum(hinges) / ops.maximum(ops.sum(active(hinges)), 1.0)
