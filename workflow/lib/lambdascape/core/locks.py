"""Locks that end with the process that holds them, however that ends; the lock's file names its holder."""

import errno
import fcntl
import getpass
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems without locks say
FORM = re.compile(
    r"process (?P<process>\d+) on (?P<host>[^,]+)(?:, user (?P<user>[^,]+))?(?:, SLURM job (?P<slurm>\S+))?"
)


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        process: its number.
        host: the machine on which it runs.
        user: to whom it belongs.
        slurm: the job of SLURM in which it runs; empty outside SLURM.
    """

    process: int
    host: str
    user: str = ""
    slurm: str = ""

    def __str__(self) -> str:
        user = f", user {self.user}" if self.user else ""
        return f"process {self.process} on {self.host}{user}{f', SLURM job {self.slurm}' if self.slurm else ''}"


def this_process() -> Holder:
    """This process, as the holder of a lock."""
    return Holder(os.getpid(), socket.gethostname(), user_name(), os.environ.get("SLURM_JOB_ID", ""))


def user_name() -> str:
    """The user of this process; a number where the machine has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def take(path: str | Path, mode: int = 0o600) -> IO[str] | None:
    """Take a lock without waiting.

    Args:
        path: of the lock's file, which is made; a link is not followed.
        mode: who may read and write that file, as far as the umask allows.

    Returns:
        The open file, with which the lock ends; None where another process holds it.
    """
    path = Path(path).absolute()
    while True:
        stream = _opened(path, mode)
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
        if _is_at(stream, path):
            break
        stream.close()  # its holder removed the file between the two steps above
    stream.truncate(0)
    stream.write(str(this_process()))
    stream.flush()
    return stream


def _opened(path: Path, mode: int) -> IO[str]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, mode)

    return open(path, "r+", encoding="utf-8", opener=opener)


def _is_at(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def released(stream: IO[str]) -> Iterator[None]:
    """Release a lock that was taken at the end of the block, and remove its file."""
    try:
        yield
    finally:
        if not stream.closed:
            with suppress(OSError):  # the folder may be gone, or be another user's
                Path(stream.name).unlink()
            stream.close()


def holder(path: str | Path) -> Holder | None:
    """The holder of a lock; None where nobody holds it.

    A lock of this machine that is free proves that its process has ended. Of another machine that cannot be known, for
    some file systems keep locks to one machine.
    """
    try:
        with Path(path).open(encoding="utf-8") as stream:
            found = FORM.fullmatch(stream.read())
            held = found is not None and (
                found["host"] != socket.gethostname() or _is_held(stream, int(found["process"]))
            )
    except (OSError, UnicodeDecodeError):
        return None
    if found is None or not held:
        return None
    return Holder(int(found["process"]), found["host"], found["user"] or "", found["slurm"] or "")


def _is_held(stream: IO[str], process: int) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back when the file is closed
    except BlockingIOError:
        return True
    except OSError:
        return is_alive(process)
    return False


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
