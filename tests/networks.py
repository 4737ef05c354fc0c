"""Networks that are quick to build and to trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def shallow() -> Iterator[None]:
    """Leave the embedder its stem and one block: for tests that do not depend on its depth, which costs seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lambdascape.network.STAGES", 1)
        patch.setattr("lambdascape.network.BLOCKS_PER_STAGE", 1)
        yield
