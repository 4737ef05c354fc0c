"""Which tests a command runs, and in which order.

Each gear has the tests of those before it: `check` those of the library, `test` small studies, the page in a browser
and quick faults too, `all` everything. `rest` is what `all` has beyond `test`.
"""

from pathlib import Path

import pytest

GEARS = ("check", "test", "all")
# The first gear that runs a folder of tests; those that are not named: the first of all.
FOLDERS = {"browser": "test", "cluster": "all", "end_to_end": "test", "faults": "test", "workflow": "test"}
# The first gear that runs a test with a mark, and what the mark says.
MARKS = {
    "slow": ("test", "takes more than a second; left out by `make check`"),
    "long": ("all", "takes more than half a minute; run by `make test-all` only"),
}
TESTS = Path(__file__).parents[1]
# Start first, for they take longest: begun last, one of them would keep a command waiting for one process.
FIRST = [
    *("cluster", "faults/test_launches.py", "faults/test_training.py", "workflow/test_recipes.py"),
    *("end_to_end/test_study.py", "end_to_end/test_exports.py", "workflow/test_pages.py", "workflow/test_downloads.py"),
    *("study/test_plugins.py", "workflow/test_stored_study.py"),
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gear", choices=[*GEARS, "rest"], default="all", help="which tests to run; see support/gears.py")


def pytest_configure(config: pytest.Config) -> None:
    for mark, (_, meaning) in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    gear = FOLDERS.get(collection_path.name) if collection_path.parent == TESTS else None
    return True if gear and config.getoption("--gear") in GEARS[: GEARS.index(gear)] else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what other gears run, and begin with the longest."""
    chosen = config.getoption("--gear")
    wanted = GEARS[GEARS.index("test") + 1 :] if chosen == "rest" else GEARS[: GEARS.index(chosen) + 1]
    left_out = [item for item in items if _gear(item) not in wanted]
    config.hook.pytest_deselected(items=left_out)
    items[:] = sorted((item for item in items if _gear(item) in wanted), key=_rank)


def _gear(item: pytest.Item) -> str:
    named = [FOLDERS.get(item.path.relative_to(TESTS).parts[0], GEARS[0])]
    named += [gear for mark, (gear, _) in MARKS.items() if item.get_closest_marker(mark)]
    return max(named, key=GEARS.index)


def _rank(item: pytest.Item) -> int:
    file = item.path.relative_to(TESTS).as_posix()
    return next((place for place, name in enumerate(FIRST) if file.startswith(name)), len(FIRST))
