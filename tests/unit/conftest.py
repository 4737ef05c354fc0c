"""What tests of the library share."""

from collections.abc import Iterator

import pytest

from .networks import shallow


@pytest.fixture
def shallow_network() -> Iterator[None]:
    """The embedder without its depth, see `networks.shallow`."""
    with shallow():
        yield
