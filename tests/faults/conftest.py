"""How often a fault is injected: quick counts with every change, long ones with `make faults`."""

import os
from collections.abc import Callable

import pytest

from support.fault_table import INJECTED


@pytest.fixture
def injected(request: pytest.FixtureRequest) -> Callable[[int], None]:
    """Takes how often a test injects its fault, for the table; a test that does not say injects it once."""
    return lambda times: request.node.user_properties.append((INJECTED, times))


@pytest.fixture
def count(injected: Callable[[int], None]) -> Callable[[int, int], int]:
    """Chooses between the quick and the long count of a row of the table of faults."""

    def choose(quick: int, long: int) -> int:
        times = long if os.environ.get("LAMBDASCAPE_LONG") else quick
        injected(times)
        return times

    return choose
