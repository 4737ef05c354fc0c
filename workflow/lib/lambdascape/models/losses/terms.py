"""What a loss gives for a batch of triplets."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keras import ops

Tensor = Any


class LossTerms(NamedTuple):
    """The terms of a loss.

    Attributes:
        minimised: a scalar, without penalties.
        per_triplet: shape (triplet,); its mean over all triplets is kept as `loss_all`, which runs are compared by.
        measures: name to values of shape (triplet,) and their weights in the mean over an epoch, None for equal ones.
    """

    minimised: Tensor
    per_triplet: Tensor
    measures: Mapping[str, tuple[Tensor, Tensor | None]]


Loss = Callable[[Tensor, Tensor, Tensor], LossTerms]


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distance of rows: shapes (triplet, dim) to (triplet,). Its gradient is finite at distance 0."""
    return ops.sum(ops.square(first - second), axis=-1)
