"""Networks that are quick to build and to trace, and the settings of a small training."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

NETWORK: dict[str, Any] = {
    "input": "logmel", "n_mfcc": 13, "architecture": "resnet18", "width": 2, "conv_biases": True, "dropout": 0.5,
    "embedding_dim": 4, "l2": 0.0, "l2_scope": "convs", "embedding_norm_penalty": 0.0,
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "backend": "tensorflow", "device": "auto", "precision": "float32", "deterministic": False, "epochs": 4,
    "early_stopping": None, "loss": "triplet", "batch_size": 16, "margin": 1.0, "reduction": "nonzero",
    "passes": "separate",
    "batch_statistics": "recomputed", "learning_rate": 0.003, "lr_schedule": "constant", "lr_decay_steps": 5,
    "lr_decay_rate": 0.9, "weight_decay": 0.0, "tensorboard": False,
}  # fmt: skip


def triplet_model(embedder: Any, source: Any = None) -> Any:
    """A model that minimises the mean over the active triplets, with margin 1."""
    from lambdascape.models.losses.triplet import triplet_loss
    from lambdascape.models.triplet_model import TripletModel

    loss = partial(triplet_loss, margin=1.0, reduction="nonzero")
    return TripletModel(embedder, loss, ("loss_nonzero", "active_fraction"), source)


@contextmanager
def shallow(*blocks: int) -> Iterator[None]:
    """Leave the embedder its stem and so many blocks in each stage: for tests that do not depend on its depth."""
    from lambdascape.models.networks.resnet import DEPTHS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEPTHS, "resnet18", blocks or (1,))
        yield
