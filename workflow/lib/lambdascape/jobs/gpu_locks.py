"""The NVIDIA cards of this machine, and which of them a job may take: one job to a card."""

import os
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lambdascape.core import locks
from lambdascape.core.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# How schedulers name the job in which a process runs: SLURM, PBS, LSF, Grid Engine.
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
NO_CARD = ("-1", "NoDevFiles", "void", "none")
WAIT_S = 1.0
_held: list[IO[str]] = []  # the lock of the card that this process has


def listed() -> tuple[list[str], str]:
    """Names of the cards that the driver shows, in its order; and, where there is none, why."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return [], "no driver: there is no nvidia-smi"
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"nvidia-smi cannot be run: {error}"
    lines = [line.strip() for line in (listing.stdout + listing.stderr).splitlines() if line.strip()]
    if listing.returncode:
        return [], f"nvidia-smi says: {lines[0] if lines else f'exit code {listing.returncode}'}"
    names = [line.strip() for line in listing.stdout.splitlines() if line.strip()]
    return names, "" if names else "the driver shows none"


def given() -> list[str] | None:
    """The cards that a scheduler or the user has made visible, as CUDA reads them; None where nobody has chosen."""
    value = os.environ.get(VISIBLE)
    if value is None:
        return None
    names: list[str] = []
    for name in map(str.strip, value.split(",")):
        if not name or name in NO_CARD:
            break
        names.append(name)
    return names


def free_memory() -> int:
    """Bytes that are free on the first card that this process may use; 0 where the driver does not tell."""
    card = (given() or ["0"])[0]
    command = ["nvidia-smi", f"--id={card}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout) * 2**20
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def choices() -> list[str]:
    """The cards of which a job must take one; empty where there is none, or no choice: a card was given to it."""
    named = given()
    if named is None:
        return [str(number) for number in range(len(listed()[0]))]
    return named if len(named) > 1 else []


def slot_folder() -> Path:
    """Where the locks of the cards lie: one folder for each user and each job of a cluster, on this machine's disk."""
    scheduled = next((os.environ[name] for name in SCHEDULED if os.environ.get(name)), "local")
    return Path(tempfile.gettempdir()) / f"lambdascape-{os.getuid()}-{scheduled.replace('/', '-')}"


@contextmanager
def slot(names: list[str], folder: Path) -> Iterator[str]:
    """Hold one of some cards while the block lasts, and wait until one is free.

    The lock belongs to the process: a crash frees it, and so does every other end.

    Args:
        names: the cards, as `CUDA_VISIBLE_DEVICES` names them; at least one.
        folder: the locks, see `slot_folder`.

    Raises:
        InputError: the folder is another user's, or a link.
    """
    _require_own(folder)
    paths = {name: folder / f"card-{name.replace('/', '-')}.lock" for name in names}
    waits = False
    while not (held := _first_free(paths)):
        if not waits:
            holders = ", ".join(f"{name} by {locks.holder(path) or 'another job'}" for name, path in paths.items())
            print(f"waiting for a card; they are held: {holders}", flush=True)
        waits = True
        time.sleep(WAIT_S)
    name, stream = held
    _held.append(stream)
    try:
        with locks.released(stream):
            yield name
    finally:
        _held.remove(stream)


def give_back() -> None:
    """Let go of the card early, where it turns out that the backend cannot use it."""
    for stream in _held:
        stream.close()


def _first_free(paths: dict[str, Path]) -> tuple[str, IO[str]] | None:
    for name, path in paths.items():
        if stream := locks.take(path):
            return name, stream
    return None


def _require_own(folder: Path) -> None:
    """Make the folder; where anybody may write beside it, only an own one is safe."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise InputError(
            f"{folder}: must be a folder that only you can write to, for the locks of the cards; it belongs to user "
            f"{found.st_uid}, with mode {stat.filemode(found.st_mode)}. Remove it, or point TMPDIR to a folder of yours"
        )
