"""Which findings of an audit have a test: `@pytest.mark.finding("A1")` carries the finding's name.

`make findings` prints the list; a test so marked fails on the code that the finding was made on.
"""

from collections import defaultdict
from string import ascii_uppercase, digits

import pytest

MARK, OPTION = "finding", "--findings"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="list the findings of an audit that have a test, and run none")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(*names): the findings of an audit that a test holds mended")


def tests_of_findings(items: list[pytest.Item]) -> dict[str, list[str]]:
    """Names of the tests of each finding, in the order of the findings' letters and numbers.

    Raises:
        pytest.UsageError: a marker names no finding: one or two capitals and a number are expected.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for item in items:
        for name in (name for mark in item.iter_markers(MARK) for name in mark.args or [""]):
            letters = str(name).rstrip(digits)
            if not (letters.isalpha() and letters.isupper() and letters != name):
                raise pytest.UsageError(f"{item.nodeid}: a finding has a name such as 'A1'; got {name!r}")
            test = item.nodeid.partition("[")[0]
            if test not in found[name]:
                found[name].append(test)
    return dict(sorted(found.items(), key=lambda pair: (pair[0].rstrip(digits), int(pair[0].strip(ascii_uppercase)))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the names; where they are asked for, print them and run nothing."""
    found = tests_of_findings(items)
    if not config.getoption(OPTION):
        return
    lines = [f"{name:<4} {test}" for name, tests in found.items() for test in tests]
    print("\n".join(lines or ["no finding has a test here"]))
    config.hook.pytest_deselected(items=items)
    items[:] = []
