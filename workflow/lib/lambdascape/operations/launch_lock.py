"""One launch at a time: who runs the workflow on a folder of results. Read at the top of the workflow, so it is light.

The lock lies with the results, since it is they that two writers would spoil: checkouts that share them by a link share
the lock, and it outlives a deleted `.snakemake`. It is a lock of the kernel, which frees it however its holder ends.
File systems of a network may lack such locks, or keep them to one machine. So a record beside it also says who began,
and what another machine began and did not end is never taken over.
"""

import atexit
import contextlib
import json
import os
import shlex
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from lambdascape.core import locks
from lambdascape.core.errors import InputError
from lambdascape.core.files import replace_text
from lambdascape.operations import clock_skew, orphans

LOCK, RECORD = "launch.lock", "launch.json"  # in the folder of results
ENDED, DEAD, ALIVE, UNKNOWN = "ended", "dead", "alive", "unknown"
# Snakemake's options that read and write no product. One that is missing here is only refused while a launch runs.
READING = frozenset({
    "--lint", "--list", "--list-rules", "-l", "--list-target-rules", "--lt", "--print-compilation", "--report",
    "--summary", "-S", "--detailed-summary", "-D", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--archive",
    "--list-changes", "--list-input-changes", "--li", "--list-params-changes", "--lp", "--list-untracked", "--lu",
    "--list-conda-envs", "--generate-unit-tests", "--containerize",
})  # fmt: skip
WRITING = "--report-after-run"
_held: dict[Path, IO[str]] = {}


@dataclass(frozen=True)
class Launch:
    """One run of the workflow.

    Attributes:
        process: its number.
        host: the machine on which it runs.
        boot: names one start of that machine's kernel; empty where the system does not tell.
        tick: the moment of that start at which the process began; empty where the system does not tell.
        started: when, in words.
        began: the same, in seconds since 1970.
        folder: the working directory.
        command: what was typed.
        ended: when it ended by itself, in words; empty before, and after a kill.
    """

    process: int
    host: str
    boot: str
    tick: str
    started: str
    began: float
    folder: str
    command: str
    ended: str = ""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.started}: {self.command}"


def begin(words: Sequence[str], runs: bool = True) -> str:
    """Own the folder `results` until this process ends, where nobody else does and no job of a killed launch goes on.

    Then Snakemake's own locks are removed: with one launch at a time they tell nothing, and a kill leaves them behind.

    Args:
        words: the command line, with the program's name.
        runs: whether it is to run jobs, as far as is known; what only reads owns nothing.

    Returns:
        Why not, with the owner or what is in the way, and the remedy; empty where this process owns it, or need not.
    """
    results = Path("results").absolute()
    if not runs or results in _held or _only_reads(words):
        return ""
    try:
        results.mkdir(exist_ok=True)
        lock = take(results)
        if lock is None:
            return refused(owner(results))
        found = in_the_way(results) or clock_skew.told(clock_skew.ahead(results, os.fstat(lock.fileno()).st_mtime))
        if found:
            with locks.released(lock):
                return found
        write(results, here(words))
    except OSError as error:
        return f"{error.filename}: {error.strerror}, so that no launch can say there that it runs"
    unlock(results.parent)
    _held[results] = lock
    atexit.register(end, results)
    return ""


def take(results: Path) -> IO[str] | None:
    """The lock of a folder of results, see `locks.take`; whoever may write the results may hold it."""
    lock = locks.take(results / LOCK)
    if lock:
        with contextlib.suppress(OSError):  # the file is somebody else's
            os.fchmod(lock.fileno(), results.stat().st_mode & 0o666)
    return lock


def _only_reads(words: Sequence[str]) -> bool:
    options = {word.split("=")[0] for word in words}
    return bool(options & READING) and WRITING not in options


def end(results: Path) -> None:
    """Let go what this process owns, and note that it ended by itself."""
    lock = _held.pop(results, None)
    if lock is None:
        return
    with locks.released(lock), contextlib.suppress(OSError):  # the folder may be gone
        record = read(results)
        if record:
            write(results, closed(record))


def closed(launch: Launch) -> Launch:
    """The same launch, ended now."""
    return replace(launch, ended=_words(time.time()))


def here(words: Sequence[str]) -> Launch:
    """The launch that this process is."""
    name = Path(words[0]).name
    program = "snakemake" if name == "__main__.py" else name
    process, now = os.getpid(), time.time()
    command = shlex.join([program, *words[1:]])
    return Launch(process, socket.gethostname(), boot(), tick(process), _words(now), now, str(Path.cwd()), command)


def _words(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def in_the_way(results: Path) -> str:
    """What a launch that has begun and not ended leaves in the way of the next; asked by who holds the lock."""
    last = read(results)
    state = state_of(last)
    if last and state == ALIVE:
        return refused(str(last))
    if last and state == UNKNOWN:
        return (
            f"On another machine there may still run {last}\n"
            f"If it was killed, `make recover` on {last.host}; if nothing can run there any more, "
            f"`make recover RECOVER_ARGS='--ended {last.host}'` here."
        )
    places = folders(results, last)
    found: Sequence[object] = orphans.here(places)
    if not found and last:
        try:
            found = orphans.queued(places, last.began)
        except InputError as error:
            if state != ENDED:  # one that ended cancelled its jobs, as far as it could
                return f"{error}. Jobs of a launch that was killed may be in its queue."
    if not found:
        return ""
    return (
        "Jobs of a launch that was killed go on, and would be written over:\n  "
        + "\n  ".join(map(str, found))
        + "\n`make recover` ends them (a training continues after its last whole epoch), then the same command."
    )


def folders(results: Path, launch: Launch | None) -> set[Path]:
    """Where a launch may have left jobs: its working directory, which may have been moved or share these results."""
    return {results.absolute().parent, *([Path(launch.folder)] if launch else [])}


def refused(launch: str) -> str:
    """What to say beside a launch that runs."""
    return f"One launch at a time: here runs {launch}\nWait for it, or end it where it runs."


def state_of(launch: Launch | None) -> str:
    """How a launch stands whose lock nobody holds: `ended`, `dead`, `alive` (no lock protected it) or `unknown`."""
    if launch is None or launch.ended:
        return ENDED
    if launch.boot == boot() and (launch.boot or launch.host == socket.gethostname()):
        return ALIVE if locks.is_alive(launch.process) and launch.tick == tick(launch.process) else DEAD
    return DEAD if launch.host == socket.gethostname() else UNKNOWN  # dead: this machine has been started anew


def owner(results: Path) -> str:
    """Who holds the lock; the record follows the lock within moments."""
    for _ in range(10):
        launch, named = read(results), locks.holder(results / LOCK)
        if launch and not launch.ended and named == f"process {launch.process} on {launch.host}":
            return str(launch)
        time.sleep(0.05)
    return named or "a process that began just now"


def read(results: Path) -> Launch | None:
    """The last launch; None where there was none, nothing can be read of it, or the results are a copy of its own."""
    try:
        launch = Launch(**json.loads((results / RECORD).read_text(encoding="utf-8")))
        its_own = Path(launch.folder, results.name)
        return launch if not its_own.exists() or its_own.samefile(results) else None
    except (OSError, ValueError, TypeError):
        return None


def write(results: Path, launch: Launch) -> None:
    """Note a launch, at once: a reader sees the one before, or this one."""
    replace_text(results / RECORD, json.dumps(asdict(launch), indent=1) + "\n")


def unlock(folder: Path) -> bool:
    """Remove Snakemake's own locks; whether there were any."""
    found = any((folder / ".snakemake" / "locks").glob("*"))
    shutil.rmtree(folder / ".snakemake" / "locks", ignore_errors=True)
    return found


def boot() -> str:
    """Names one start of this machine's kernel, in a container too; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def tick(process: int) -> str:
    """When a process began, in ticks of the kernel: neither a set clock nor a number used again misleads.

    Of one that has ended and that its parent has not asked about, only that.
    """
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = told.rpartition(")")[2].split()
        return ENDED if state in "ZX" else fields[18]
    except (OSError, IndexError):
        return ""
