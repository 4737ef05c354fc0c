"""The triplet loss on squared distances, for every Keras backend."""

from typing import Any

from keras import ops

from lambdascape.core.declarations import loss
from lambdascape.models.losses.terms import LossTerms, squared_distance

Tensor = Any
# The published system counts a triplet as active above this value.
ACTIVE_ABOVE = 1e-16


@loss(
    "triplet",
    label="Triplet loss",
    measures={
        "loss_nonzero": ("Loss, active triplets", "mean over triplets with a loss above 0"),
        "active_fraction": ("Active triplets", "share with a loss above 0"),
    },
    reductions=("reduction",),
)
def triplet_loss(anchors: Tensor, neighbours: Tensor, distants: Tensor, margin: float, reduction: str) -> LossTerms:
    """Hinge of each triplet: `max(0, d²(anchor, neighbour) − d²(anchor, distant) + margin)`.

    Source: Schroff, Kalenichenko & Philbin 2015 (FaceNet), equation 3.

    Args:
        anchors: shape (triplet, dim).
        neighbours: shape (triplet, dim).
        distants: shape (triplet, dim).
        margin: above 0.
        reduction: the minimised mean is that over the active triplets (`nonzero`, 0 when there is none) or over all of
            them (`all`).
    """
    hinges = ops.relu(squared_distance(anchors, neighbours) - squared_distance(anchors, distants) + margin)
    active = ops.cast(hinges > ACTIVE_ABOVE, "float32")  # (triplet,)
    mean_of_active = ops.sum(hinges) / ops.maximum(ops.sum(active), 1.0)
    return LossTerms(
        ops.mean(hinges) if reduction == "all" else mean_of_active,
        hinges,
        {"loss_nonzero": (hinges, active), "active_fraction": (active, None)},
    )
