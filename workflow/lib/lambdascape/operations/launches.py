"""The runs of Snakemake in a folder: those that go on, and the lock of Snakemake that a killed one left."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from os import devnull
from pathlib import Path

import psutil

from lambdascape.core.errors import InputError

OF_A_JOB = {"remote", "subprocess"}  # Snakemake's `--mode` where it runs one job for another Snakemake
HOST = re.compile(r"^ *host: (\S+)", re.MULTILINE | re.IGNORECASE)  # in the first lines of Snakemake's log
SUBMITS = "SLURM run ID"  # there, too, by the plugin that submits jobs
MARGIN_S = 60.0  # by which the clocks of two machines may differ


@dataclass(frozen=True)
class Launch:
    """A main process of Snakemake on this machine: its number, when it began, and its command line."""

    process: int
    since: str
    command: str

    def __str__(self) -> str:
        return f"process {self.process} on {socket.gethostname()}, since {self.since}: {self.command}"


def running(folder: Path) -> list[Launch]:
    """The main processes of Snakemake that work in a folder, as far as this user may look at processes."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if _is_main(words) and process.status() != psutil.STATUS_ZOMBIE and _is_in(process, folder):
                since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.create_time()))
                found.append(Launch(process.pid, since, " ".join(words)))
    return sorted(found, key=lambda launch: launch.process)


def _is_main(words: Sequence[str]) -> bool:
    """Whether a command line is that of Snakemake, and not of one that runs a job for another Snakemake."""
    if not words:
        return False
    program = Path(words[0]).name
    if program.startswith("python"):
        program = Path(next((word for word in words[1:] if not word.startswith("-")), "")).name
    modes = {value for name, value in pairwise(words) if name == "--mode"}
    return program == "snakemake" and not modes & OF_A_JOB


def _is_in(process: psutil.Process, folder: Path) -> bool:
    return Path(process.cwd()).resolve() == folder.resolve()


def is_locked(folder: Path) -> bool:
    """Whether a Snakemake that runs, or that was killed, has locked files of a folder."""
    return any(_locks(folder))


def hosts_of_lock(folder: Path) -> set[str]:
    """The machines on which Snakemake may have locked a folder: those of its logs since; empty without a lock."""
    return {match[1] for match in map(HOST.search, _logs_of_lock(folder)) if match}


def has_used_slurm(folder: Path) -> bool:
    """Whether a Snakemake that has left its lock submitted jobs to SLURM, as far as its log says."""
    return any(SUBMITS in text for text in _logs_of_lock(folder))


def _logs_of_lock(folder: Path) -> list[str]:
    """The texts of Snakemake's logs that were written since a folder was locked; none without a lock."""
    since = min((lock.stat().st_mtime for lock in _locks(folder)), default=None)
    if since is None:
        return []
    logs = (folder / ".snakemake" / "log").glob("*.snakemake.log")
    return [
        log.read_text(encoding="utf-8", errors="replace") for log in logs if log.stat().st_mtime >= since - MARGIN_S
    ]


def unlock(folder: Path) -> None:
    """Remove Snakemake's lock of a folder, by Snakemake itself; the workflow is not read, its config may be any.

    Raises:
        InputError: Snakemake could not.
    """
    words = ["--unlock", "--snakefile", devnull, "--directory", str(folder)]
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", *words], capture_output=True, text=True, cwd=folder, check=False
    )
    if run.returncode:
        raise InputError(f"snakemake {' '.join(words)} failed: {(run.stderr or run.stdout).strip()}")


def _locks(folder: Path) -> list[Path]:
    return sorted((folder / ".snakemake" / "locks").glob("*.lock"))
