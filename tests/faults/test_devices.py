"""Jobs that start together never share a card, and a killed one frees its own (row G1 of the table of faults)."""

import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lambdascape.jobs import gpu_locks
from lambdascape.jobs.devices import accelerator
from support.drivers import fake_driver

OPTIONS = {"backend": "tensorflow", "device": "auto", "deterministic": False}


def compute(folder: Path, name: str, seconds: float) -> None:
    """One job: notes when it had which card."""
    for variable in (gpu_locks.VISIBLE, *gpu_locks.SCHEDULED):
        os.environ.pop(variable, None)
    tempfile.tempdir = str(folder)
    fake_driver(pytest.MonkeyPatch(), "Fake A", "Fake B")
    gpu_locks.WAIT_S = 0.01
    with accelerator(**OPTIONS):
        began = {"card": os.environ[gpu_locks.VISIBLE], "start": time.monotonic()}
        (folder / f"{name}.new").write_text(json.dumps(began))
        (folder / f"{name}.new").rename(folder / f"{name}.began")
        time.sleep(seconds)
        (folder / f"{name}.ended").write_text(str(time.monotonic()))


def held(folder: Path) -> dict[str, Any]:
    """What the jobs have noted so far, by name; the end is missing where a job goes on or was killed."""
    noted = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.began")}
    for name, job in noted.items():
        end = folder / f"{name}.ended"
        job["end"] = float(end.read_text() or "nan") if end.exists() else None
    return noted


def kill_one_that_computes(folder: Path, jobs: dict[str, Any]) -> tuple[str, float]:
    """Kill the first job that has a card and has not ended; its name and when."""
    while any(job.is_alive() for job in jobs.values()):
        for name, job in held(folder).items():
            if job["end"] is None and jobs[name].is_alive():
                now = time.monotonic()
                os.kill(jobs[name].pid, signal.SIGKILL)
                jobs[name].join()
                return name, now
        time.sleep(0.005)
    raise AssertionError(f"a job must compute until it is killed; exit codes: {[j.exitcode for j in jobs.values()]}")


@pytest.mark.fault("G1")
def test_four_jobs_on_two_cards_never_share_one_and_a_killed_one_frees_its_own(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    rng, context = np.random.default_rng(1), multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lambdascape.models.training"])  # the server is that of the other faults
    kills = 0
    for trial in range(count(5, 50)):
        folder = tmp_path / str(trial)
        folder.mkdir()
        jobs = {
            name: context.Process(target=compute, args=(folder, name, float(rng.uniform(0.05, 0.2)))) for name in "abcd"
        }
        for job in jobs.values():
            job.start()
        victim, when = kill_one_that_computes(folder, jobs)
        for job in jobs.values():
            job.join(60)
        ended_well = {name for name, job in jobs.items() if job.exitcode == 0}
        kills += victim not in ended_well
        assert ended_well | {victim} == set(jobs)
        noted = held(folder)
        if noted[victim]["end"] is None:
            noted[victim]["end"] = when
        assert {job["card"] for job in noted.values()} == {"0", "1"}
        for card in "01":
            turns = sorted((job["start"], job["end"]) for job in noted.values() if job["card"] == card)
            assert all(end <= start for (_, end), (start, _) in pairwise(turns))
    assert kills > 0
