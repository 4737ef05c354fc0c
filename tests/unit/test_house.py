"""Pages link to what is there, and benchmarks shadow no package."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "README.md",
            "CONTRIBUTING.md",
            "config/README.md",
            "workflow/README.md",
            "workflow/RECIPES.md",
            "workflow/STORE.md",
            "workflow/CLUSTERS.md",
        ),
        "workflow/claims/README.md",
    ],
)
def test_pages_link_to_what_is_there_and_have_no_gaps(name: str) -> None:
    text = (REPO / name).read_text()
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (REPO / name).parent.joinpath(target).exists()] == []
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", text)  # the marks of unfinished text: no page may carry one


@pytest.mark.parametrize("path", sorted((REPO / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_no_benchmark_stands_in_the_way_of_a_package(path: Path) -> None:
    """A script's folder comes first where modules are looked for: a coverage.py there broke Numba."""
    assert find_spec(path.stem) is None
