"""Locks that end with the process that holds them, however that ends; the lock's file names its holder."""

import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems without locks say


def take(path: str | Path) -> IO[str] | None:
    """Take a lock without waiting.

    Args:
        path: of the lock's file, which is made; a link is not followed.

    Returns:
        The open file, with which the lock ends; None where another process holds it.
    """
    stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            stream.close()
            raise
        print(f"{path}: this file system has no locks ({error.strerror}): start nothing twice", flush=True)
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {socket.gethostname()}")
    stream.flush()
    return stream


@contextmanager
def released(stream: IO[str]) -> Iterator[None]:
    """Let a lock that was taken go at the end of the block, and leave no name behind."""
    try:
        yield
    finally:
        if not stream.closed:
            stream.truncate(0)
            stream.close()


def holder(path: str | Path) -> str:
    """Who holds a lock, such as `process 12 on host`, told without touching it; empty where nobody does.

    A process of this machine that has ended holds nothing; of another machine that cannot be known.
    """
    try:
        named = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    match = re.fullmatch(r"process (\d+) on (.+)", named)
    if not match or (match[2] == socket.gethostname() and not is_alive(int(match[1]))):
        return ""
    return named


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
