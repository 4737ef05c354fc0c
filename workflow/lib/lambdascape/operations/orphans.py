"""Jobs that go on although the launch that started them was killed: processes of this machine, and jobs of SLURM."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # comes with Snakemake

from lambdascape.core.errors import InputError

RUN_ID = re.compile(r"SLURM run ID: ([\w-]+)")  # what the executor plugin notes, and gives each of its jobs for a name
MARGIN_S = 3600.0  # by which the clocks of two file systems may differ
ASK_S = 30  # seconds that squeue may take
GRACE_S = 10.0
OF_A_JOB = ("remote", "subprocess")  # Snakemake's `--mode` where it runs one job for another Snakemake


@dataclass(frozen=True)
class Orphan:
    """A process of this machine that works for a launch.

    Attributes:
        process: the process.
        rule: the script that it runs, or `snakemake` where that runs a job.
        since: when it began, in words.
        log: the job's log, which names what it makes; empty where it cannot be seen.
    """

    process: psutil.Process
    rule: str
    since: str
    log: str

    def __str__(self) -> str:
        return f"{self.rule}, process {self.process.pid}, since {self.since}" + (f", {self.log}" if self.log else "")


@dataclass(frozen=True)
class Queued:
    """A job of SLURM: its number, state (`RUNNING`, `PENDING`, …) and node, and its comment, which names the rule."""

    job: str
    state: str
    node: str
    comment: str

    def __str__(self) -> str:
        return f"SLURM job {self.job}, {self.state}{f' on {self.node}' if self.node else ''}: {self.comment}"


def here(folders: Iterable[Path]) -> list[Orphan]:
    """The processes of this machine that run jobs in folders; asked by who owns the launch and has started none."""
    places = {str(place) for folder in folders for place in (folder.absolute(), folder.resolve())}
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            rule = "" if process.pid in mine else _rule(process, places)
            if rule and process.status() != psutil.STATUS_ZOMBIE:
                since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.create_time()))
                found.append(Orphan(process, rule, since, _log(process, places)))
    return sorted(found, key=lambda orphan: orphan.process.pid)


def _rule(process: psutil.Process, places: Collection[str]) -> str:
    """What a process does for a launch in one of some folders; empty where it does nothing."""
    words = process.cmdline()
    scripts = tuple(f"{Path(place, '.snakemake', 'scripts')}{os.sep}" for place in places)
    script = next((word for word in words if word.startswith(scripts)), "")
    if script:
        return re.sub(r"^tmp\w+\.|\.py$", "", Path(script).name)
    modes = {words[number + 1] for number, word in enumerate(words[:-1]) if word == "--mode"}
    if modes & set(OF_A_JOB) and process.cwd() in places:
        return "snakemake"
    return ""


def _log(process: psutil.Process, places: Iterable[str]) -> str:
    """Where the output of a process goes, if that is below one of some folders."""
    try:
        log = Path(f"/proc/{process.pid}/fd/1").readlink()
    except OSError:
        return ""
    return next((str(log.relative_to(place)) for place in places if log.is_relative_to(place)), "")


def stop(found: Sequence[Orphan], grace_s: float = GRACE_S) -> list[Orphan]:
    """End processes and what they have started, at first politely; returns those that would not end."""
    processes = []
    for orphan in found:
        with suppress(psutil.Error):
            processes += [orphan.process, *orphan.process.children(recursive=True)]
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                ask(process)
        _, processes = psutil.wait_procs(processes, timeout=grace_s)
    return [orphan for orphan in found if orphan.process in processes]


def run_ids(folders: Iterable[Path], since: float = 0.0) -> list[str]:
    """The names that launches in folders gave their jobs of SLURM; of those whose log was written after `since`."""
    found: set[str] = set()
    for log in (log for folder in folders for log in (folder / ".snakemake" / "log").glob("*.snakemake.log")):
        with suppress(OSError):
            if log.stat().st_mtime >= since - MARGIN_S:
                found.update(RUN_ID.findall(log.read_text(encoding="utf-8", errors="replace")))
    return sorted(found)


def queued(folders: Iterable[Path], since: float = 0.0) -> list[Queued]:
    """The jobs of SLURM, waiting or running, of launches in folders.

    Args:
        folders: where the launches ran.
        since: launches whose log was not written after this moment are left out; in seconds since 1970.

    Raises:
        InputError: there were such launches, and SLURM does not answer.
    """
    names = run_ids(folders, since)
    if not names:
        return []
    said = _ask("squeue", "--noheader", "--name", ",".join(names), "--format", "%A|%T|%N|%k")
    return [Queued(*line.split("|", 3)) for line in said.splitlines() if line.count("|") >= 3]


def cancel(found: Sequence[Queued]) -> None:
    """Tell SLURM to end jobs.

    Raises:
        InputError: SLURM does not answer.
    """
    _ask("scancel", *(job.job for job in found))


def _ask(program: str, *words: str) -> str:
    if not shutil.which(program):
        raise InputError(
            f"SLURM ran jobs of this folder, and there is no {program} here: ask where SLURM's programs are"
        )
    try:
        run = subprocess.run([program, *words], capture_output=True, text=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"SLURM must answer; {program} said nothing in {ASK_S} s") from None
    if run.returncode:
        raise InputError(f"SLURM must answer; {program} ended with {run.returncode}: {run.stderr.strip()}")
    return run.stdout
