"""A job's log holds all that was printed, and ends with a plain message when the user can mend the cause."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest, write_digest
from lambdascape.jobs.machine import computed_on, processor
from lambdascape.jobs.receipts import read_receipt, receipt_path

JOB = """
import os, sys
from lambdascape.core.errors import InputError
from lambdascape.jobs.job import job

with job(sys.argv[1], 3):
    print("from Python")
    os.write(2, b"from C\\n")
    print(os.environ["OMP_NUM_THREADS"], "threads")
    import pandas as pd
    print("texts:", pd.Series(["name \\udcff"]).dtype.storage)
    {last}
"""


@pytest.mark.parametrize(
    ("last", "status", "end"),
    [
        ("pass", 0, "done in "),
        ("raise InputError('a rule; what arrived')", 1, "error: a rule; what arrived"),
        (
            "raise MemoryError('of a batch')",
            1,
            "error: out of memory. Give the job more (`--set-resources RULE:mem",
        ),
        ("raise KeyError('defect')", 1, "KeyError: 'defect'"),
    ],
)
def test_the_log_ends_with_what_happened(tmp_path: Path, repo: Path, last: str, status: int, end: str) -> None:
    log = tmp_path / "job.log"
    command = [sys.executable, "-c", JOB.format(last=last), str(log)]
    environment = {"PYTHONPATH": str(repo / "workflow/lib"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == status
    assert run.stdout == run.stderr == ""
    lines = log.read_text().splitlines()
    # A name that is no UTF-8 can be in a table, which Arrow's texts would not bear.
    assert {"from Python", "from C", "3 threads", "texts: python"} <= set(lines)
    assert lines[-1].startswith(end)
    assert ("Traceback (most recent call last):" in lines) == ("KeyError" in last)


RECEIPT = """
import sys
from pathlib import Path
from lambdascape.jobs.job import job

with job("results/logs/a/b.log", 1, ["made.txt", "folder"], ["read.txt", "large.h5"], {"seed": 3}):
    Path("made.txt").write_text("made")
    if "fail" in sys.argv:
        raise KeyError("defect")
"""


def test_a_job_that_ended_well_leaves_a_receipt_and_one_that_failed_takes_it_away(tmp_path: Path, repo: Path) -> None:
    for name in ("results/logs/a", "folder"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "read.txt").write_text("read")
    (tmp_path / "large.h5").write_text("large")
    write_digest(tmp_path / "large.h5", tmp_path / "large.h5.sha256")
    noted = file_digest(tmp_path / "large.h5")
    (tmp_path / "large.h5").write_text("the noted digest spares reading this")
    environment = {"PYTHONPATH": str(repo / "workflow/lib"), "PATH": "/usr/bin:/bin"}

    def run(*words: str) -> int:
        command = [sys.executable, "-c", RECEIPT, *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode

    assert run() == 0
    receipt = read_receipt(tmp_path / "results/receipts/a/b.json")
    assert receipt.outputs == {"made.txt": file_digest(tmp_path / "made.txt")}
    assert receipt.inputs == {"read.txt": file_digest(tmp_path / "read.txt"), "large.h5": noted}
    assert receipt.params == {"seed": 3}
    assert receipt.device == processor()
    assert run("fail") == 1
    assert not (tmp_path / "results/receipts/a/b.json").exists()


def test_a_receipt_lies_where_the_log_does_and_another_file_is_refused(tmp_path: Path) -> None:
    assert receipt_path("results/logs/a/l2~0.01_seed~1.log") == Path("results/receipts/a/l2~0.01_seed~1.json")
    with pytest.raises(InputError, match="must lie under results/logs/"):
        receipt_path("a.log")
    (tmp_path / "x.json").write_text(json.dumps({"inputs": {}}))
    with pytest.raises(InputError, match="must be a receipt"):
        read_receipt(tmp_path / "x.json")
    (tmp_path / "old.json").write_text(json.dumps({"params": {}, "inputs": {}, "outputs": {}}))
    assert read_receipt(tmp_path / "old.json").device == ""


def test_a_job_with_a_backend_computed_on_the_card_that_this_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"tensorflow": "Fake A", "jax": ""}
    monkeypatch.setattr("lambdascape.jobs.machine.gpu_of", seen.__getitem__)
    for backend, loaded, named in (
        ("tensorflow", True, "Fake A"),
        ("tensorflow", False, processor()),  # nothing is imported to find out
        ("jax", True, processor()),
        ("torch", True, processor()),
    ):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        monkeypatch.delitem(sys.modules, backend, raising=False)
        if loaded:
            monkeypatch.setitem(sys.modules, backend, pytest)
        assert computed_on() == named
