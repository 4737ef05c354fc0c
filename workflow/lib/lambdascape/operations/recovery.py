"""After a crash: end the jobs that a killed Snakemake left running, unlock, remove what was half written."""

import shutil
import socket
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from lambdascape.core import locks
from lambdascape.core.files import left_overs
from lambdascape.jobs import job_locks
from lambdascape.operations import launches, survivors
from lambdascape.operations.survivors import Survivor

POLL_S = 1.0
REPORT_S = 60.0  # between two lines about what is waited for
CANCEL_S = 120.0  # that SLURM may take to end a job
END, WAIT, REFUSE = "end", "wait", "refuse"


def recover(
    folder: Path, survivors_do: str = END, ended: Collection[str] = (), show: Callable[[str], None] = print
) -> bool:
    """Make the next launch in a folder possible; a launch that runs is left alone.

    Args:
        folder: the working directory of the workflow.
        survivors_do: what happens to jobs that outlived their launch: `end`, `wait` for their end, or `refuse`.
        ended: machines of which the user says that nothing runs there any more.
        show: takes each line of what is found and done.

    Returns:
        Whether the next launch can begin.

    Raises:
        InputError: jobs may run in SLURM, and it does not answer; or Snakemake cannot unlock the folder.
    """
    reason = _refusal(folder, ended)
    if reason:
        show(reason)
        return False
    found = survivors.find(folder, ended)
    reason = _refusal_of_jobs(found, survivors_do)
    if reason:
        show(reason)
        return False
    if found and not _clear(folder, ended, found, survivors_do == WAIT, show):
        return False
    _clean(folder, show)
    return True


def _refusal(folder: Path, ended: Collection[str]) -> str:
    """Why a launch that runs, or may run on another machine, keeps the folder; empty where none does."""
    running = launches.running(folder)
    if running:
        return f"Snakemake runs here: {running[0]}\nWait until it has finished, or end it."
    elsewhere = launches.hosts_of_lock(folder) - {socket.gethostname(), *ended}
    if elsewhere:
        host = min(elsewhere)
        return (
            f"Snakemake has locked this folder on {host}, and may still run there.\n"
            f"If it was killed, run `make recover` on {host}; if nothing can run there any more, "
            f"`make recover RECOVER_ARGS='--ended {host}'` here."
        )
    return ""


def _refusal_of_jobs(found: Sequence[Survivor], survivors_do: str) -> str:
    """Why jobs that go on cannot be ended or waited for; empty where they can."""
    for job in found:
        if job.is_of_another_user and job.holder:
            return f"A job of user {job.holder.user} goes on: {job}\nOnly {job.holder.user} can run `make recover`."
        if job.is_elsewhere and job.holder:
            host = job.holder.host
            return (
                f"A job may still run on another machine: {job}\nRun `make recover` on {host}; "
                f"if nothing can run there any more, `make recover RECOVER_ARGS='--ended {host}'` here."
            )
    if found and survivors_do == REFUSE:
        lines = "\n  ".join(map(str, found))
        return (
            f"Jobs of a launch that was killed go on:\n  {lines}\n"
            "`make recover` ends them (a training continues after its last whole epoch); then repeat the command."
        )
    return ""


def _clear(
    folder: Path, ended: Collection[str], found: Sequence[Survivor], wait: bool, show: Callable[[str], None]
) -> bool:
    """End jobs, or wait for their end; whether all of them have ended."""
    for job in found:
        show(f"{'Waiting for' if wait else 'Ending'} {job}")
    if not wait:
        survivors.end(found)
    limit_s = CANCEL_S if any(job.slurm for job in found) else survivors.GRACE_S
    started = reported = time.monotonic()
    while found := survivors.find(folder, ended):
        now = time.monotonic()
        if not wait and now - started >= limit_s:
            show("They have not ended: " + "; ".join(map(str, found)))
            return False
        if now - reported >= REPORT_S:
            reported = now
            show(f"Still waiting for {len(found)}")
        time.sleep(POLL_S)
    return True


def _clean(folder: Path, show: Callable[[str], None]) -> None:
    """Unlock, and remove what was half written; asked where no job goes on, on whichever machine."""
    if launches.is_locked(folder):
        launches.unlock(folder)
        show("Removed the lock that a killed Snakemake left.")
    results = folder / "results"
    for path in sorted((results / job_locks.FOLDER).rglob("*.lock")):
        if stream := locks.take(path):
            with locks.released(stream):
                pass
    for path in left_overs(results, elsewhere=True):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        show(f"Removed, half written: {path.relative_to(folder)}")
