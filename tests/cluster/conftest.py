"""The cluster that all tests of this room share."""

import os
from collections.abc import Iterator

import pytest

from cluster.slurm import Slurm, why_not


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real SLURM; where there can be none the tests are skipped and say so, but not in CI, which installs it."""
    if reason := why_not():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have a SLURM: {reason}")
        pytest.skip(f"NO CLUSTER IS TESTED: {reason}")
    cluster = Slurm()
    with cluster.alone():
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.down()
