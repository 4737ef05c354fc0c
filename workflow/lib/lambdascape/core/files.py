"""Files that appear under their name only when they are complete, and digests of files."""

import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lambdascape.core.locks import is_alive

PART = 1 << 14  # bytes


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it when it does not.

    The temporary name keeps the suffix of `path`, because Keras and others choose a format by it, and carries host,
    process and a random part so that two writers never share one.

    Args:
        path: final name of a file or a folder; its parent folders are made.

    Yields:
        The path to write to; the block creates a file or a folder there and closes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path.name, "".join(path.suffixes[-2:])))
    try:
        yield temporary
        if temporary.is_dir():
            _replace_folder(temporary, path)
        else:
            _sync(temporary)
            temporary.replace(path)
        _sync(path.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _temporary_name(name: str, suffixes: str) -> str:
    return f".{name}.{socket.gethostname()}-{os.getpid()}-r{secrets.token_hex(4)}{suffixes}"


def _replace_folder(temporary: Path, path: Path) -> None:
    """Rename a folder over another; only an empty folder can be replaced by a rename, so the old one goes first."""
    if path.exists():
        shutil.rmtree(path)
    temporary.replace(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(text: str, path: str | Path) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_digest(path: str | Path) -> str:
    """SHA-256 over a file's size and its first, middle and last 16 KiB: all of it up to 48 KiB.

    Quick enough to ask of every clip each time it is read; tells a replaced, cut or re-encoded file, but not a few
    values changed elsewhere in a long one.
    """
    with Path(path).open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        digest = hashlib.sha256(str(size).encode())
        for start in (0, (size - PART) // 2, size - PART) if size > 3 * PART else range(0, size, PART):
            stream.seek(start)
            digest.update(stream.read(PART))
    return digest.hexdigest()


def write_digest(path: str | Path, output: str | Path) -> None:
    """Write the digest of a file, or of each file in a folder, in the form that `sha256sum --check` reads beside it."""
    path = Path(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    write_text("".join(f"{file_digest(file)}  {file.relative_to(path.parent)}\n" for file in files), output)


def replace_text(path: Path, text: str) -> None:
    """Put a text under a name: a reader sees what was there before, or all of it.

    Args:
        path: of the file, in a folder that is there.
        text: what it is to hold.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(_temporary_name(path.name, path.suffix))
    new.write_text(text, encoding="utf-8")
    new.replace(path)


# A name under which `atomic_path` writes: the final name, host, process, a random part, the last suffixes again.
TEMPORARY = re.compile(
    r"\..+?(?P<suffix>(?:\.[^.]+){0,2})\.(?P<host>[^/]+)-(?P<process>\d+)(?:-r[0-9a-f]{8})?(?P=suffix)"
)


def left_overs(root: Path, elsewhere: bool = False) -> Iterator[Path]:
    """What processes of this machine that have ended left half-written below a folder.

    Args:
        root: the folder.
        elsewhere: what processes of other machines were writing, too, where it is known that none writes any more.
    """
    for path in sorted(root.rglob(".*")):
        match = TEMPORARY.fullmatch(path.name)
        here = match and match["host"] == socket.gethostname()
        if match and (not is_alive(int(match["process"])) if here else elsewhere):
            yield path
