"""The table of faults counts what was injected and what came of it, and a row that is none is refused."""

from typing import Literal

import pytest

from support.fault_table import INJECTED, MARK, ROWS, FaultTable


def report(
    outcome: Literal["passed", "failed", "skipped"], when: Literal["setup", "call", "teardown"], **properties: object
) -> pytest.TestReport:
    told = [(MARK, row) for row in str(properties.get("rows", "")).split()]
    told += [(INJECTED, times) for times in properties.get("times", [])]  # type: ignore[attr-defined]
    return pytest.TestReport("a", ("a", 1, "a"), {}, outcome, None, when, user_properties=told)


def test_rows_are_counted_once_a_test_in_their_order() -> None:
    table = FaultTable()
    for one in (
        report("passed", "setup", rows="L1 K3"),
        report("passed", "call", rows="L1 K3", times=[20, 5]),
        report("passed", "teardown", rows="L1 K3", times=[20, 5]),
        report("failed", "call", rows="K3"),
        report("skipped", "setup", rows="K4"),
        report("failed", "setup", rows="K5"),
        report("passed", "call", times=[7]),
    ):
        table.pytest_runtest_logreport(one)
    assert table.lines()[2:] == [
        f"| K3 | {ROWS['K3']} | 26 | 1 passed, 1 failed |",
        f"| K4 | {ROWS['K4']} | 0 | 1 skipped |",
        f"| K5 | {ROWS['K5']} | 1 | 1 failed |",
        f"| L1 | {ROWS['L1']} | 25 | 1 passed |",
    ]


def test_without_rows_there_is_no_table() -> None:
    assert FaultTable().lines() == []


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_told_in_a_few_words(row: str) -> None:
    assert 0 < len(ROWS[row]) < 70


def test_a_row_that_is_none_is_refused(request: pytest.FixtureRequest) -> None:
    request.node.add_marker(pytest.mark.fault("K3", "X9"))
    with pytest.raises(pytest.UsageError, match="got 'X9'"):
        FaultTable().pytest_collection_modifyitems([request.node])
