"""A job's log holds all that was printed, and ends with a plain message when the user can mend the cause."""

import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import os, sys
from lambdascape.errors import InputError
from lambdascape.jobs import job

with job(sys.argv[1], 3):
    print("from Python")
    os.write(2, b"from C\\n")
    print(os.environ["OMP_NUM_THREADS"], "threads")
    {last}
"""


@pytest.mark.parametrize(
    ("last", "status", "end"),
    [
        ("pass", 0, "done in "),
        ("raise InputError('a rule; what arrived')", 1, "error: a rule; what arrived"),
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
    assert {"from Python", "from C", "3 threads"} <= set(lines)
    assert lines[-1].startswith(end)
    assert ("Traceback (most recent call last):" in lines) == ("KeyError" in last)
