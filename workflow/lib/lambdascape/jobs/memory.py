"""Memory of this machine: how much there is for a job, and what errors say that it was not enough. Quick to import."""

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

# TensorFlow and JAX say this of CPUs and of cards; of our own MemoryError only the name may be left.
WORDS = ("RESOURCE_EXHAUSTED", "OOM when allocating", "MemoryError", "std::bad_alloc", "CUDA_ERROR_OUT_OF_MEMORY")
# What a user reads then.
OUT_OF_MEMORY = (
    "out of memory. Give the job more (`--set-resources RULE:mem_mb=…` under a scheduler, else fewer jobs at once), or "
    "let it need less (a network: a smaller training.batch_size); then the same command"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that there was not enough memory."""
    if isinstance(error, MemoryError) or any(word in str(error) for word in WORDS):
        return True
    return bool(error.__context__ and is_out_of_memory(error.__context__))


def installed() -> int:
    """Bytes of memory of the machine."""
    return int(psutil.virtual_memory().total)


def available() -> int:
    """Bytes that are free or can be freed."""
    return int(psutil.virtual_memory().available)


def limit(membership: str | Path = "/proc/self/cgroup", mount: str | Path = "/sys/fs/cgroup") -> int | None:
    """Bytes that the container, the scheduler's job or `ulimit -v` allows this process; None where nothing limits it.

    Args:
        membership: the control groups of the process, in either form of them.
        mount: where control groups are shown.
    """
    found = [number for path in _limits(Path(membership), Path(mount)) if (number := _number_in(path)) is not None]
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space != resource.RLIM_INFINITY:
        found.append(address_space)
    return min(found, default=None)


def _limits(membership: Path, mount: Path) -> Iterator[Path]:
    """Where the limits of a process may stand: its own group's and those of every group around it."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (mount / "memory", "memory.limit_in_bytes") if controllers else (mount, "memory.max")
        group = root / place.strip("/")
        yield from (folder / name for folder in (group, *group.parents) if folder.is_relative_to(root))


def _number_in(path: Path) -> int | None:
    try:
        told = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The older form of control groups names a huge number where there is no limit.
    return int(told) if told.isdigit() and int(told) < 1 << 60 else None
