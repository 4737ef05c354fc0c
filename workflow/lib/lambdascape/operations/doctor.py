"""What this machine has, what the workflow would use of it, and problems. Starts where packages are missing."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lambdascape.core.disk import shown_bytes
from lambdascape.core.errors import InputError
from lambdascape.jobs import gpu_locks

OK, NOTE, PROBLEM = "ok", "note", "problem"
CHECKOUT = Path(__file__).parents[4]
LOCK = CHECKOUT / "envs" / "run.txt"
BACKENDS = {"tensorflow": "cuda", "jax": "jax-cuda"}  # and what `make env ACCELERATOR=…` adds for it
PYTHONS = ((3, 11), (3, 12), (3, 13))
BACKEND_S = 180  # seconds that a backend may take to say what it sees
LITTLE_MEMORY, LITTLE_DISK, NO_DISK = 4e9, 10e9, 1e9  # bytes
CLOCK_S, WRONG_CLOCK_S = 0.1, 2.0
SHOWN = 3  # of a longer list
# Prints what a backend computes on, by the function that a training asks.
ASK = "import sys; from lambdascape.jobs.machine import gpu_of; print('sees', gpu_of(sys.argv[1]) or 'cpu')"


@dataclass(frozen=True)
class Problem:
    """One line of what the doctor reports: its topic, how bad it is (`ok`, `note`, `problem`), and what to do."""

    topic: str
    state: str
    words: str
    remedy: str = ""


def examine(folder: Path, asked: str, device: str) -> Iterator[Problem]:
    """Look at everything, the quick first.

    Args:
        folder: the working directory of the workflow.
        asked: the backend that the study asks for.
        device: where it shall compute: `auto`, `gpu` or `cpu`.
    """
    yield python()
    yield packages(LOCK)
    yield processor()
    yield room(*memory())
    listing = gpu_locks.listed()
    yield driver(*listing)
    for backend in BACKENDS:
        yield backend_device(backend, ask(backend), listing[0], asked, device)
    results = folder / "results"
    for name, place in (("results", results), ("temporary files", Path(tempfile.gettempdir()))):
        yield disk(name, place)
        yield writable(name, place, "" if name == "results" else "Point TMPDIR to a folder of yours")
    yield clock(results)
    yield from homes(os.environ)
    yield launched(folder)
    yield left_over(results)


def report(findings: Iterable[Problem], show: Callable[[str], None] = print) -> int:
    """Show findings one by one, as they come; 1 where one of them would stop a run, else 0."""
    worst = 0
    for finding in findings:
        show(f"{finding.state:<8} {finding.topic:<16} {finding.words}")
        if finding.remedy:
            show(f"{'':<8} {'':<16} → {finding.remedy}")
        worst |= finding.state == PROBLEM
    return int(worst)


def python() -> Problem:
    """The Python that runs this."""
    words = f"{platform.python_version()} at {sys.prefix}, {platform.system()} {platform.machine()}"
    if sys.version_info[:2] not in PYTHONS:
        return Problem("Python", PROBLEM, words, "The lock is for Python 3.11 to 3.13: `make env PYTHON=…`")
    return Problem("Python", OK, words)


def packages(lock: Path) -> Problem:
    """The installed packages against the lock."""
    if not lock.is_file():
        return Problem("packages", NOTE, f"there is no lock at {lock} to compare with")
    missing, others, count = [], [], 0
    for name, version, condition in re.findall(r"^([\w.-]+)==(\S+)( ;)?", lock.read_text(encoding="utf-8"), re.M):
        count += 1
        found = _version(name)
        if found is None and not condition:
            missing.append(name)
        elif found is not None and found != version:
            others.append(f"{name} {found} for {version}")
    if missing:
        return Problem("packages", PROBLEM, f"missing are {_some(missing)}", "`make env` makes what the lock says")
    if others:
        return Problem(
            "packages", NOTE, f"not those of the lock: {_some(others)}", "`make env` makes what the lock says"
        )
    return Problem("packages", OK, f"those of the lock ({count})")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def processor() -> Problem:
    """Cores that this process may use, of those that there are."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words = f"{usable} of {os.cpu_count()} logical cores may be used"
    return Problem("processor", OK, words)


def memory() -> tuple[int | None, int | None, int | None]:
    """Bytes of memory: of the machine, free, and what limits this process; None where that is not known."""
    try:
        from lambdascape.jobs import memory
    except ImportError:
        return None, None, None
    return memory.installed(), memory.available(), memory.limit()


def room(installed: int | None, available: int | None, limit: int | None) -> Problem:
    """Memory: of the machine, free, and what a container or a scheduler leaves of it; in bytes, None where unknown."""
    known = [number for number in (available, limit) if number is not None]
    if installed is None or not known:
        return Problem("memory", NOTE, "not known: psutil is missing, or the machine does not report it")
    words = f"{shown_bytes(installed)}, of which {shown_bytes(available or 0)} free"
    words += f"; limited to {shown_bytes(limit)} here" if limit is not None else ""
    if min(known) < LITTLE_MEMORY:
        remedy = (
            f"A training asks for {shown_bytes(LITTLE_MEMORY)}: end what else runs, or run fewer jobs at once (CORES=1)"
        )
        return Problem("memory", NOTE, words, remedy)
    return Problem("memory", OK, words)


def driver(names: list[str], why_none: str) -> Problem:
    """The NVIDIA GPUs that the driver shows, and those of them that are visible."""
    given = gpu_locks.given()
    if not names:
        return Problem("GPUs", OK, f"none of NVIDIA ({why_none}): networks train on the processor")
    words = ", ".join(f"{number}: {name}" for number, name in enumerate(names))
    if given == []:
        return Problem(
            "GPUs", NOTE, f"{words}; hidden by {gpu_locks.VISIBLE}", f"Unset {gpu_locks.VISIBLE} to use them"
        )
    words += f"; {gpu_locks.VISIBLE} leaves {', '.join(given)}" if given else ""
    more = f"`--resources gpu={len(given or names)}` trains as many networks at once, each on its own GPU"
    return Problem("GPUs", OK, words, more if len(given or names) > 1 else "")


def ask(backend: str, limit_s: float = BACKEND_S) -> tuple[str, str]:
    """What a backend computes on, asked in a process of its own: importing one takes seconds, and may crash.

    Returns:
        Name of the GPU, or `cpu`; and, where it could not be told, an empty text and why.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path(__file__).parents[2])}
    try:
        run = subprocess.run(
            [sys.executable, "-c", ASK, backend],
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"said nothing in {limit_s:g} s"
    said = re.search(r"^sees (.+)$", run.stdout, re.M)
    if run.returncode == 0 and said:
        return said[1], ""
    last = run.stderr.strip().splitlines()[-1:] or ["no word"]
    return "", f"ended with {run.returncode}: {last[0]}"


def backend_device(backend: str, seen: tuple[str, str], names: list[str], asked: str, wished: str) -> Problem:
    """What a backend would compute on, and what prevents more.

    Args:
        backend: `tensorflow` or `jax`.
        seen: see `ask`.
        names: the GPUs of the machine.
        asked: the backend that the study asks for.
        wished: where it shall compute: `auto`, `gpu` or `cpu`.
    """
    device, why = seen
    wanted = asked == backend
    mine = ", which the study uses" if wanted else ""
    if not device:
        state = PROBLEM if wanted else NOTE
        return Problem(backend, state, f"cannot be used{mine}; it {why}", "`make clean-env env` makes it anew")
    if device != "cpu":
        chosen = wanted and wished == "cpu"
        return Problem(backend, OK, f"sees {device}{mine}{', but on the processor: training.device' if chosen else ''}")
    if wanted and wished == "gpu":
        remedy = f"`make env ACCELERATOR={BACKENDS[backend]}`" if names else "Set training.device: auto"
        return Problem(backend, PROBLEM, "sees no GPU, and the study's training.device is gpu", remedy)
    if names and gpu_locks.given() != [] and wished != "cpu":
        remedy = f"`make env ACCELERATOR={BACKENDS[backend]}` adds what it needs (several GB)"
        return Problem(backend, NOTE, f"computes on the processor{mine}, though there is a GPU", remedy)
    return Problem(backend, OK, f"computes on the processor{mine}")


def disk(name: str, folder: Path) -> Problem:
    """Room on the disk of a folder."""
    free = shutil.disk_usage(_existing(folder)).free
    words = f"{shown_bytes(free)} free for {name} ({folder})"
    if free < NO_DISK:
        return Problem("disk", PROBLEM, words, "Make room: the default study alone needs a gigabyte")
    return Problem("disk", NOTE if free < LITTLE_DISK else OK, words)


def writable(name: str, folder: Path, remedy: str) -> Problem:
    """Whether a folder, or what shall hold it, can be written to."""
    place = _existing(folder)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Problem("writable", OK, f"{name} ({folder})")
    return Problem("writable", PROBLEM, f"not: {name} ({folder})", remedy or "Start where you may write")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest place above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def clock(folder: Path) -> Problem:
    """The clock of the file system against the machine's: Snakemake compares dates that both give."""
    try:
        with tempfile.NamedTemporaryFile(dir=_existing(folder), prefix=".lambdascape-clock-") as file:
            before = time.time()
            file.write(b"tick")
            file.flush()
            written = Path(file.name).stat().st_mtime
            after = time.time()
    except OSError as error:
        return Problem("clock", NOTE, f"nothing can be written at {folder} to compare: {error.strerror}")
    return judged_clock(before, written, after)


def judged_clock(before: float, written: float, after: float) -> Problem:
    """What a date of the file system means that was made between two readings of the clock; in seconds."""
    skew = max(before - written, written - after, 0.0)
    words = f"the file system's differs from the machine's by {skew:.2f} s"
    if skew <= CLOCK_S:
        return Problem("clock", OK, words)
    remedy = "Dates decide what runs again: let both machines keep time (NTP)"
    return Problem("clock", PROBLEM if skew > WRONG_CLOCK_S else NOTE, words, remedy)


def homes(environment: Mapping[str, str]) -> Iterator[Problem]:
    """The folders where Snakemake, Numba (for librosa) and Matplotlib keep what they have compiled or found."""
    home = environment.get("HOME", "")
    cache = environment.get("XDG_CACHE_HOME") or f"{home}/.cache"
    yield writable("Snakemake's cache", Path(cache), "Point XDG_CACHE_HOME, or HOME, to a folder of yours")
    for owner, name in (("Numba", "NUMBA_CACHE_DIR"), ("Matplotlib", "MPLCONFIGDIR")):
        place = Path(environment.get(name) or cache)
        yield writable(f"{owner}'s cache", place, f"Point {name} to a folder of yours")


def launched(folder: Path) -> Problem:
    """The Snakemake that runs in a folder, or the jobs and the lock that a killed one left."""
    try:
        from lambdascape.operations import launches, survivors

        running = launches.running(folder)
        jobs = [] if running else survivors.find(folder)
    except ImportError as error:
        return Problem("runs", NOTE, f"processes cannot be listed: {error}")
    except InputError as error:
        return Problem("runs", PROBLEM, str(error), "`make recover` where SLURM can be asked")
    if running:
        return Problem("runs", NOTE, f"Snakemake runs here: {running[0]}", "Wait until it has finished")
    if jobs:
        words = f"jobs of a launch that was killed go on: {_some(list(map(str, jobs)))}"
        return Problem("runs", PROBLEM, words, "`make recover` ends them")
    if launches.is_locked(folder):
        return Problem("runs", NOTE, "a Snakemake that was killed has left its lock", "`make run` or `make recover`")
    return Problem("runs", OK, "no Snakemake, no job")


def left_over(results: Path) -> Problem:
    """Half-written files of processes that have ended."""
    try:
        from lambdascape.core.files import left_overs
    except ImportError as error:
        return Problem("left over", NOTE, f"half-written files cannot be looked for: {error}")
    files = [str(path) for path in left_overs(results)]
    if files:
        return Problem(
            "left over",
            NOTE,
            f"half-written: {_some(files)}",
            "`make recover` removes them",
        )
    return Problem("left over", OK, "nothing half-written")
