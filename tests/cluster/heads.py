"""Snakemake as it runs on the login node, with a profile that a site has made of profiles/slurm."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from cluster.slurm import Slurm, environment, wait_until
from lambdascape.jobs import job_locks
from support.checkouts import Checkout

# What a site changes (the lines marked SITE): this one has other partitions, and no database of jobs.
PARTITIONS = {"cpu": "work", "gpu": "cards"}
SITE = {"slurm-status-command": "squeue", "jobs": 8}
# And what only a test may: on a real cluster nobody asks after a job every two seconds.
HURRY = {"slurm-init-seconds-before-status-checks": 2, "max-status-checks-per-second": 1, "latency-wait": 15}


def make_site_profile(checkout: Checkout, resources: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Write profiles/site as a copy of profiles/slurm with its partitions, and other resources of some rules."""
    profile = yaml.safe_load((checkout.folder / "profiles/slurm/profile.yaml").read_text())
    profile |= SITE | HURRY
    # Rules that ask for the same share one mapping as it is read.
    profile["set-resources"] = {rule: dict(asked) for rule, asked in profile["set-resources"].items()}
    for each in (profile["default-resources"], *profile["set-resources"].values()):
        if "slurm_partition" in each:
            each["slurm_partition"] = PARTITIONS[each["slurm_partition"]]
    for rule, values in (resources or {}).items():
        profile["set-resources"][rule] |= values
    (checkout.folder / "profiles/site").mkdir(exist_ok=True)
    (checkout.folder / "profiles/site/profile.yaml").write_text(yaml.safe_dump(profile))


class Head:
    """One run of Snakemake in a checkout, in the background; whoever starts it ends it.

    Args:
        checkout: with a profile `site`.
        words: targets and options.
        config: laid over the default one.
        local: without the cluster, for comparison.
        path: folders that come first where programs are looked for.
    """

    def __init__(
        self, checkout: Checkout, *words: str, config: str = "tiny.yaml", local: bool = False, path: str = ""
    ) -> None:
        self.folder = checkout.folder
        self.log = self.folder / f"head{len(list(self.folder.glob('head*.txt')))}.txt"
        how = ["--cores", "2"] if local else ["--profile", "profiles/site"]
        command = [sys.executable, "-m", "snakemake", *words, *how, "--configfile", config]
        variables = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
        folders = [path, str(Path(sys.executable).parent), variables["PATH"]]
        variables["PATH"] = os.pathsep.join(filter(None, folders))
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=variables, stdout=stream, stderr=stream, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def ended(self, within_s: float = 600) -> int:
        """Its exit status, once it has one."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not done after {within_s:g} s; it said:\n{self.said[-6000:]}") from None

    def kill(self) -> None:
        """As the system does that runs out of memory: no last word, and its jobs go on."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Watch:
    """Keeps what the controller says of its jobs, as long as it lasts: of a finished job it forgets which card it had.

    Attributes:
        cards: number of a job to the node and the indices of its GPUs, such as `n1 gpu:1(IDX:0)`.
    """

    def __init__(self, slurm: Slurm) -> None:
        self.slurm = slurm
        self.cards: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(1):
            for job in self.slurm.jobs():
                if "IDX" in job.get("GRES", ""):
                    self.cards[job["JobId"]] = f"{job['NodeList']} {job['GRES']}"


def of_run(jobs: list[dict[str, str]], head: Head) -> list[dict[str, str]]:
    """The jobs that a head submitted, by the name that it gave them."""
    names = set(re.findall(r"SLURM run ID: (\S+)", head.said))
    return [job for job in jobs if job["JobName"] in names]


def about(jobs: list[dict[str, str]], *words: str) -> list[dict[str, str]]:
    """The jobs whose comment holds all the words."""
    return [job for job in jobs if all(word in job.get("Comment", "") for word in words)]


def moments(job: dict[str, str]) -> tuple[datetime, datetime]:
    """When a finished job began and ended."""
    return datetime.fromisoformat(job["StartTime"]), datetime.fromisoformat(job["EndTime"])


def assert_one_writer(jobs: list[dict[str, str]]) -> None:
    """No two jobs that make the same product ran at a moment; the controller says so, in whole seconds."""
    by_comment: dict[str, list[tuple[datetime, datetime]]] = {}
    for job in jobs:
        if job["StartTime"] != "Unknown":
            by_comment.setdefault(job["Comment"], []).append(moments(job))
    for comment, spans in by_comment.items():
        ordered = sorted(spans)
        for (_, end), (start, _) in pairwise(ordered):
            assert end <= start, f"{comment} ran twice at {start}"


def processes_of(results: Path, number: str) -> list[int]:
    """The processes of a job of the cluster that hold the lock of a job of the workflow."""
    return [holder.process for holder in job_locks.held(results).values() if holder.slurm == number]


def freeze(
    slurm: Slurm, head: Head, runs: Mapping[str, bool], checkpoints: Path, within_s: float = 240
) -> dict[str, str]:
    """Stop trainings dead, so that whatever follows hits them in the middle.

    Args:
        runs: how the name of a run begins, and whether it is first let come to a checkpoint.
        checkpoints: the folder of the study's.

    Returns:
        The job of each run.
    """
    numbers: dict[str, str] = {}
    processes: dict[str, list[int]] = {}

    def all_stopped() -> bool:
        assert head.process.poll() is None, head.said[-6000:]
        for run, to_checkpoint in runs.items():
            if not processes.get(run):
                found = about(of_run(slurm.jobs(), head), "train_model", run)
                processes[run] = processes_of(checkpoints.parents[1], found[-1]["JobId"]) if found else []
            elif run not in numbers and (not to_checkpoint or any(checkpoints.glob(f"{run}*.h5"))):
                for process in processes[run]:
                    os.kill(process, signal.SIGSTOP)
                numbers[run] = about(of_run(slurm.jobs(), head), "train_model", run)[-1]["JobId"]
        return len(numbers) == len(runs)

    wait_until(all_stopped, f"trainings to stop; stopped are {numbers}", within_s, pause_s=0.05)
    return numbers
