"""The NVIDIA GPUs of this machine, and which of them a job may take: one job to a GPU."""

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lambdascape.core import locks
from lambdascape.core.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# How schedulers name the job in which a process runs: SLURM, PBS, LSF, Grid Engine.
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
NO_GPU = ("-1", "NoDevFiles", "void", "none")
WAIT_S = 1.0
_held: list[IO[str]] = []  # the lock of the GPU that this process has


def listed() -> tuple[list[str], str]:
    """Names of the GPUs that NVIDIA's driver shows, in the order of their PCI bus; and, where there is none, why."""
    try:
        with _driver() as nvml:
            count = nvml.nvmlDeviceGetCount()
            names = [nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(number)) for number in range(count)]
    except InputError as error:
        return [], str(error)
    return names, "" if names else "the driver shows none"


@contextmanager
def _driver() -> Iterator[Any]:
    """NVIDIA's driver, ready to answer.

    Raises:
        InputError: there is none, or it reports an error.
    """
    try:
        import pynvml
    except ImportError as error:
        raise InputError(f"the driver cannot be asked: {error}") from None
    try:
        pynvml.nvmlInit()
        try:
            yield pynvml
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError_LibraryNotFound:
        raise InputError("no driver of NVIDIA is installed") from None
    except pynvml.NVMLError as error:
        raise InputError(f"NVIDIA's driver reports: {error}") from None


def given() -> list[str] | None:
    """The GPUs that a scheduler or the user has made visible, as CUDA reads them; None where nobody has chosen."""
    value = os.environ.get(VISIBLE)
    if value is None:
        return None
    names: list[str] = []
    for name in map(str.strip, value.split(",")):
        if not name or name in NO_GPU:
            break
        names.append(name)
    return names


def free_memory() -> int:
    """Bytes that are free on the first GPU that this process may use; 0 where the driver does not tell."""
    first = (given() or ["0"])[0]
    try:
        with _driver() as nvml:
            by_index = first.isdigit()
            gpu = nvml.nvmlDeviceGetHandleByIndex(int(first)) if by_index else nvml.nvmlDeviceGetHandleByUUID(first)
            return int(nvml.nvmlDeviceGetMemoryInfo(gpu).free)
    except InputError:
        return 0


def choices() -> list[str]:
    """The GPUs of which a job must take one; empty where there is none, or no choice: one GPU was given to it."""
    named = given()
    if named is None:
        return [str(number) for number in range(len(listed()[0]))]
    return named if len(named) > 1 else []


def slot_folder() -> Path:
    """Where the locks of the GPUs lie: one folder for each user and each job of a cluster, on this machine's disk."""
    scheduled = next((os.environ[name] for name in SCHEDULED if os.environ.get(name)), "local")
    return Path(tempfile.gettempdir()) / f"lambdascape-{os.getuid()}-{scheduled.replace('/', '-')}"


@contextmanager
def slot(names: list[str], folder: Path) -> Iterator[str]:
    """Hold one of some GPUs while the block lasts, and wait until one is free.

    The lock belongs to the process: a crash frees it, and so does every other end.

    Args:
        names: the GPUs, as `CUDA_VISIBLE_DEVICES` names them; at least one.
        folder: the locks, see `slot_folder`.

    Raises:
        InputError: the folder is another user's, or a link.
    """
    _require_own(folder)
    paths = {name: folder / f"gpu-{name.replace('/', '-')}.lock" for name in names}
    waits = False
    while not (held := _first_free(paths)):
        if not waits:
            holders = ", ".join(f"{name} by {locks.holder(path) or 'another job'}" for name, path in paths.items())
            print(f"waiting for a GPU; they are held: {holders}", flush=True)
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
    """Release the GPU early, where it turns out that the backend cannot use it."""
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
            f"{folder}: must be a folder that only you can write to, for the locks of the GPUs; it belongs to user "
            f"{found.st_uid}, with mode {stat.filemode(found.st_mode)}. Remove it, or point TMPDIR to a folder of yours"
        )
