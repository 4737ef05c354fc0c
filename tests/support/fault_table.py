"""The table of faults: what each row injects, and what came of it, printed after the tests that carry rows."""

from collections import Counter, defaultdict

import pytest

ROWS = {
    "K1": "SIGKILL of the extraction at random times",
    "K2": "SIGKILL of a training at random times, inside a save too",
    "K3": "SIGKILL of Snakemake and all its jobs",
    "K4": "SIGKILL of the main Snakemake alone, then a restart at once",
    "K5": "SIGTERM, SIGINT, SIGHUP to the main process, the group, a job",
    "K6": "SIGKILL while a product is put together",
    "F1": "a call of the system that fails, each in turn",
    "F2": "no memory for a batch, each in turn",
    "F3": "a write of HDF5 that fails, each in turn",
    "D1": "a full disk under the features",
    "D2": "a full disk under a checkpoint",
    "D3": "a full disk under Snakemake's own files",
    "R1": "a folder of audio that can only be read",
    "R2": "a folder that cannot be written to",
    "O1": "a limit of memory",
    "C1": "dates of the future, of long ago, of one moment",
    "L1": "two launches at the same time",
    "L2": "a lock of a dead process, of another machine",
    "A1": "audio cut anywhere",
    "A2": "bytes of an audio header changed",
    "A3": "audio that is broken in a known way",
    "A4": "audio that changes after it was listed",
    "H1": "one bit flipped in a product",
    "H2": "a product cut anywhere",
    "H3": "SIGKILL of the writer of a product",
    "H4": "a store whose sources have changed",
    "H5": "a hostile HDF5 file",
    "W1": "hostile weights",
    "Z1": "a hostile or damaged archive",
    "N1": "a server that fails",
    "Y1": "a wrong or hostile config",
    "Y2": "hostile texts in the config",
    "Y3": "odd characters in paths",
    "P1": "other code of the package",
    "P2": "another λ",
    "P3": "changed audio with an old date",
    "P4": "another file of splits",
    "P5": "Snakemake's memory deleted",
    "P6": "a record of Snakemake's memory emptied",
    "P7": "another hash seed, order, locale, time zone",
    "P8": "a fresh clone over finished results",
    "G1": "four jobs on two cards, one of them killed",
    "T1": "a training that diverges",
    "B1": "the other backend",
    "Q1": "a SLURM that fails",
}
MARK, INJECTED = "fault", "injected"
OUTCOMES = ("passed", "failed", "skipped")


class FaultTable:
    """A plugin of pytest: `@pytest.mark.fault("K3", …)` names the rows of a test."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._tests: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the rows of each test where its reports take them along."""
        for item in items:
            rows = {row: None for mark in item.iter_markers(MARK) for row in mark.args}  # in order, once
            unknown = [row for row in rows if row not in ROWS]
            if unknown:
                raise pytest.UsageError(f"{item.nodeid}: a row must be one of {', '.join(ROWS)}; got {unknown[0]!r}")
            item.user_properties += [(MARK, row) for row in rows]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the test once: what it came to, or what kept it from starting."""
        if report.when != "call" and (report.when == "teardown" or report.passed):
            return
        times = sum(int(str(value)) for name, value in report.user_properties if name == INJECTED)
        for row in (str(value) for name, value in report.user_properties if name == MARK):
            self._tests[row][report.outcome] += 1
            self._times[row] += (times or 1) if not report.skipped else 0

    def lines(self) -> list[str]:
        """The table, in Markdown; empty where no test carried a row."""
        rows = [row for row in ROWS if row in self._tests]
        if not rows:
            return []
        told = [
            f"| {row} | {ROWS[row]} | {self._times[row]:,} | "
            + ", ".join(f"{self._tests[row][outcome]} {outcome}" for outcome in OUTCOMES if self._tests[row][outcome])
            + " |"
            for row in rows
        ]
        return ["| row | fault | times | tests |", "|---|---|---:|---|", *told]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        lines = self.lines()
        if lines:
            terminalreporter.section("faults")
            for line in lines:
                terminalreporter.write_line(line)
