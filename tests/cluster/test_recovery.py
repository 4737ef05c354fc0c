"""Snakemake is killed while its jobs run on a real SLURM, and started again: nobody writes twice, nothing is lost."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from cluster.heads import Head, about, assert_one_writer, freeze, make_site_profile, of_run, processes_of
from cluster.slurm import Slurm, environment, wait_until
from support.checkouts import Checkout, without_times

RUNS = ("l2~1_seed~1", "l2~0.01_seed~1")
TRIALS = 5 if os.environ.get("LAMBDASCAPE_LONG") else 1
LOST_ANSWERS = 5
# Stands before the real one on the path, and fails where the plugin asks what became of its jobs.
SQUEUE = f"""\
#!/bin/sh
case "$*" in *--states=all*)
    asked=$(cat "$0.asked" 2>/dev/null || echo 0)
    if [ "$asked" -lt {LOST_ANSWERS} ]; then
        echo $((asked + 1)) >"$0.asked"
        echo "slurm_load_jobs error: Unable to contact slurm controller" >&2
        exit 1
    fi ;;
esac
exec {shutil.which("squeue")} "$@"
"""


def without_models(finished: Checkout, folder: Path) -> Checkout:
    """A checkout of the tiny study with features, whose models are to be trained on the cluster."""
    checkout = finished.copy_to(folder)
    for part in ("tiny", "checkpoints", "receipts/tiny"):
        shutil.rmtree(checkout.folder / "results" / part, ignore_errors=True)
    make_site_profile(checkout)
    return checkout


def deaf_squeue(folder: Path) -> Path:
    folder.mkdir()
    (folder / "squeue").write_text(SQUEUE)
    (folder / "squeue").chmod(0o755)
    return folder


@pytest.mark.fault("K4", "L1", "Q1")
@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_killed_head_is_recovered_from_and_started_again(
    slurm: Slurm, finished: Checkout, tmp_path: Path, trial: int
) -> None:
    wait = trial % 2 == 1
    checkout = without_models(finished, tmp_path / "checkout")
    heads = [Head(checkout, "models")]
    try:
        stopped = freeze(slurm, heads[0], {RUNS[trial % 2]: trial < 3}, checkout.folder / "results/checkpoints/tiny")
        number = stopped[RUNS[trial % 2]]
        heads[0].kill()
        assert about(slurm.jobs(), f"train_model_wildcards_tiny_{RUNS[trial % 2]}")[-1]["JobState"] == "RUNNING"

        # At once again: Snakemake's lock refuses it, and `make run` names the jobs that go on.
        heads.append(Head(checkout, "models"))
        assert heads[1].ended(60) != 0
        assert "LockException" in heads[1].said
        refused = checkout.lambdascape("recover", "--if-idle", environment=environment())
        assert refused.returncode == 1
        assert re.search(
            rf"tiny/models/{RUNS[trial % 2]}, process \d+ on \S+, .*SLURM job {number}, RUN", refused.stdout
        )

        if wait:
            for process in processes_of(checkout.folder / "results", number):
                os.kill(process, signal.SIGCONT)
        recovered = checkout.lambdascape("recover", *(["--wait"] if wait else []), environment=environment())
        assert recovered.returncode == 0, recovered.stdout + recovered.stderr
        assert f"SLURM job {number}" in recovered.stdout
        of_first = of_run(slurm.jobs(), heads[0])
        assert not [job for job in of_first if job["JobState"] in ("RUNNING", "PENDING")]

        if wait:  # then everything is there, and known to be whole
            heads.append(Head(checkout, "models"))
            assert heads[2].ended() == 0, heads[2].said[-6000:]
            assert "Nothing to be done" in heads[2].said
        else:
            # Now the same command goes on, though SLURM does not answer at first; a second one beside it is refused.
            programs = deaf_squeue(tmp_path / "programs")
            heads.append(Head(checkout, "models", path=str(programs)))
            wait_until(
                lambda: "SLURM run ID" in heads[2].said or heads[2].process.poll() is not None, "the next head", 120
            )
            heads.append(Head(checkout, "models"))
            assert heads[3].ended(60) != 0
            assert "LockException" in heads[3].said
            refused = checkout.lambdascape("recover", environment=environment())
            assert refused.returncode == 1
            assert f"Snakemake runs here: process {heads[2].process.pid} on " in refused.stdout
            assert heads[2].ended() == 0, heads[2].said[-6000:]
            assert int((programs / "squeue.asked").read_text()) == LOST_ANSWERS
    finally:
        for head in heads:
            head.kill()

    jobs = [job for head in heads for job in of_run(slurm.jobs(), head)]
    assert_one_writer(jobs)
    for run in RUNS:
        here, there = (each.folder / "results/tiny/models" / run for each in (checkout, finished))
        for name in ("embedder.weights.h5.sha256", "layers.tsv"):
            assert (here / name).read_bytes() == (there / name).read_bytes()
        assert without_times(here / "history.tsv") == without_times(there / "history.tsv")
    verified = checkout.lambdascape("verify", "--study", "tiny.yaml", environment=environment())
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.fault("K5", "Q1")
@pytest.mark.skipif(TRIALS == 1, reason="left to make faults, for it takes half a minute")
def test_an_interrupted_head_cancels_its_jobs(slurm: Slurm, finished: Checkout, tmp_path: Path) -> None:
    checkout = without_models(finished, tmp_path / "checkout")
    head = Head(checkout, "models")
    try:
        freeze(slurm, head, dict.fromkeys(RUNS, False), checkout.folder / "results/checkpoints/tiny")
        os.kill(head.process.pid, signal.SIGINT)
        assert head.ended(120) != 0
    finally:
        head.kill()
    wait_until(lambda: {job["JobState"] for job in of_run(slurm.jobs(), head)} == {"CANCELLED"}, "jobs to end")
    recovered = checkout.lambdascape("recover", environment=environment())
    assert recovered.returncode == 0
    assert recovered.stdout.endswith("No job runs: the next run can begin, by the same command as before.\n")
