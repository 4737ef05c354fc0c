"""How often a fault is injected: quick counts with every change, long ones with `make faults`."""

import os
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def count() -> Callable[[int, int], int]:
    """Chooses between the quick and the long count of a row of the table of faults."""
    return lambda quick, long: long if os.environ.get("LAMBDASCAPE_LONG") else quick
