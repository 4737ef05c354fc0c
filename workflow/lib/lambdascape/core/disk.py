"""Room on a disk: asked for before a job writes, and named when it is not there. Quick to import."""

import errno
import re
import shutil
from pathlib import Path

from lambdascape.core.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)


def require_space(folder: str | Path, needed: float, what: str) -> None:
    """Stop where a disk has too little room.

    Args:
        folder: on the disk in question; it exists.
        needed: bytes.
        what: what needs them, for the message.

    Raises:
        InputError: less than `needed` is free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"disk full at {folder}: {what} needs {shown_bytes(needed)} more, free are {shown_bytes(free)}"
        )


def is_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk or a quota is full; HDF5 says so in its text."""
    told = re.search(r"errno = (\d+)", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    return number in FULL or bool(error.__context__ and is_full(error.__context__))


def shown_bytes(count: float) -> str:
    """A number of bytes as people read it, such as 1.3 GB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
