"""With `--sdm apptainer` jobs run in the image of envs/Containerfile; the program that would open it is a stand-in."""

import os
from pathlib import Path

import pytest

from support.checkouts import Checkout

IMAGE = "envs/lambdascape.sif"
# Notes the image that it is to open, and runs the command on this machine instead.
STAND_IN = """\
#!/bin/sh
[ "$1" != --version ] || { echo "apptainer version 1.3.0"; exit 0; }
while [ $# -gt 0 ] && [ "${1%.sif}" = "$1" ]; do shift; done
echo "$1" >>"$0.opened"
shift
exec "$@"
"""


def test_a_job_runs_in_the_image_where_that_is_asked_for(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "apptainer"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    run = checkout.snakemake("results/tiny/runs.tsv", "--cores", "1", "--sdm", "apptainer")
    assert run.returncode == 0, run.stdout
    assert (tmp_path / "apptainer.opened").read_text() == f"{IMAGE}\n"
    assert (checkout.folder / "results/tiny/runs.tsv").exists()
