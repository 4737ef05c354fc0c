"""Jobs that go on although their Snakemake was killed: by the locks that they hold, and by SLURM's queue."""

import shutil
import socket
import subprocess
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from lambdascape.core import locks
from lambdascape.core.errors import InputError
from lambdascape.jobs import job_locks
from lambdascape.operations import launches

ASK_S = 30  # seconds that squeue may take
GRACE_S = 10.0
OF_SNAKEMAKE = "rule_"  # how the comment of a job begins that Snakemake's plugin submits


@dataclass(frozen=True)
class Survivor:
    """One job that goes on.

    Attributes:
        job: what it makes: the path of its log below results/logs, or the comment that SLURM has of it.
        holder: the process that holds its lock; None where it waits in SLURM's queue, or has not taken its lock yet.
        slurm: its number in SLURM; empty outside SLURM.
        state: its state in SLURM, such as `RUNNING` or `PENDING`.
    """

    job: str
    holder: locks.Holder | None
    slurm: str = ""
    state: str = ""

    def __str__(self) -> str:
        words = [self.job, *([str(self.holder)] if self.holder else [f"SLURM job {self.slurm}"]), self.state]
        return ", ".join(filter(None, words))

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine that is no job of SLURM."""
        return not self.slurm and self.holder is not None and self.holder.host == socket.gethostname()

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is a process of another machine that is no job of SLURM."""
        return not self.slurm and not self.is_here

    @property
    def is_of_another_user(self) -> bool:
        """Whether another user started it, and only that user may end it."""
        return bool(self.holder and self.holder.user and self.holder.user != locks.user_name())


def find(folder: Path, ended: Collection[str] = ()) -> list[Survivor]:
    """The jobs of a folder that run or wait in SLURM's queue; asked where no Snakemake runs there.

    Args:
        folder: the working directory of the workflow.
        ended: machines on which nothing runs any more.

    Raises:
        InputError: jobs may run in SLURM, and it does not answer.
    """
    held = job_locks.held(folder / "results")
    submitted, others = _queue(folder, any(holder.slurm for holder in held.values()))
    found = []
    for path, holder in held.items():
        job = str(path.relative_to(folder / "results" / job_locks.FOLDER).with_suffix(""))
        if holder.slurm in submitted:
            found.append(Survivor(job, holder, holder.slurm, submitted.pop(holder.slurm).state))
            continue
        # A job of SLURM that Snakemake did not submit is one in which Snakemake itself ran: it is not to be cancelled.
        runs_elsewhere = holder.slurm in others if holder.slurm else holder.host not in ended
        if holder.host == socket.gethostname() or runs_elsewhere:
            found.append(Survivor(job, holder))
    return [*found, *submitted.values()]


def _queue(folder: Path, in_use: bool) -> tuple[dict[str, Survivor], set[str]]:
    """What SLURM has in its queue of this user.

    Args:
        folder: the working directory of the workflow.
        in_use: whether jobs of the folder are known to run in SLURM.

    Returns:
        By their numbers, the jobs that Snakemake submitted from the folder; and the numbers of all others.
    """
    if not in_use and not shutil.which("squeue"):
        return {}, set()
    try:
        listed = _ask("squeue", "--me", "--noheader", "--format", "%A|%T|%Z|%k")
    except InputError:
        if in_use or launches.has_used_slurm(folder):
            raise
        return {}, set()
    found, others = {}, set()
    for number, state, place, comment in (line.split("|", 3) for line in listed.splitlines() if line.count("|") >= 3):
        if comment.startswith(OF_SNAKEMAKE) and Path(place).resolve() == folder.resolve():
            found[number] = Survivor(comment, None, number, state)
        else:
            others.add(number)
    return found, others


def end(found: Sequence[Survivor]) -> None:
    """End jobs of this user: processes of this machine by signals, at first politely; jobs of SLURM by scancel.

    Raises:
        InputError: SLURM does not answer.
    """
    numbers = [survivor.slurm for survivor in found if survivor.slurm]
    if numbers:
        _ask("scancel", *numbers)
    processes = []
    for survivor in found:
        if survivor.is_here and survivor.holder:
            with suppress(psutil.Error):
                process = psutil.Process(survivor.holder.process)
                processes += [process, *process.children(recursive=True)]
    for signal in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                signal(process)
        _, processes = psutil.wait_procs(processes, timeout=GRACE_S)


def _ask(program: str, *words: str) -> str:
    if not shutil.which(program):
        raise InputError(
            f"jobs of this folder run in SLURM, and there is no {program} here: ask on a machine that has it"
        )
    try:
        run = subprocess.run([program, *words], capture_output=True, text=True, timeout=ASK_S, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"SLURM must answer; {program} gave no answer within {ASK_S} s") from None
    if run.returncode:
        raise InputError(f"SLURM must answer; {program} ended with {run.returncode}: {run.stderr.strip()}")
    return run.stdout
