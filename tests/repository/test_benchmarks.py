"""Benchmarks shadow no package."""

from importlib.util import find_spec
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted((REPO / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_no_benchmark_stands_in_the_way_of_a_package(path: Path) -> None:
    """A script's folder comes first where modules are looked for: a coverage.py there broke Numba."""
    found = find_spec(path.stem)
    assert found is None or found.origin is None  # a folder of tests without code is no package
