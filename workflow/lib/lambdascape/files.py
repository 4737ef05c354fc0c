"""Files that appear under their name only when they are complete, and the tab-separated tables of the workflow."""

import csv
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from lambdascape.errors import InputError

PART = 1 << 14  # bytes


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it when it does not.

    The temporary name keeps the suffix of `path`, because Keras and others choose a format by it, and carries host and
    process so that two writers never share one.

    Args:
        path: final name of a file or a folder; its parent folders are made.

    Yields:
        The path to write to; the block creates a file or a folder there and closes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffixes = "".join(path.suffixes[-2:])
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}{suffixes}")
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


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as tab-separated text, atomically; missing values become empty cells, floats keep every digit."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def read_table(path: str | Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a tab-separated table.

    Args:
        path: a file written by `write_table`.
        text: columns that are text whatever they look like: a label `NA` stays `NA`, a session `01` stays `01`.

    Returns:
        The table; in the other columns an empty cell is a missing value.

    Raises:
        InputError: a column named in `text` is missing.
    """
    header = pd.read_csv(path, sep="\t", nrows=0).columns
    missing = sorted(set(text) - set(header))
    if missing:
        raise InputError(f"{path}: needs the columns {', '.join(text)}; {', '.join(missing)} missing")
    return pd.read_csv(
        path,
        sep="\t",
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values={column: [""] for column in header if column not in text},
    )


def read_text_table(path: str | Path) -> pd.DataFrame:
    """Read a tab-separated table in which every column is text; an empty cell is an empty text."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def iterate_rows(path: str | Path, start: int = 0, stop: int | None = None) -> Iterator[dict[str, str]]:
    """Yield rows of a tab-separated table one by one, as text, in memory that does not grow with the table.

    Args:
        path: the table.
        start: the first row, from 0.
        stop: one past the last row; None for all.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        yield from islice(csv.DictReader(stream, delimiter="\t"), start, stop)


def write_rows(rows: list[dict[str, Any]], path: str | Path) -> None:
    """Write a table given as one mapping per row; a key that a row lacks becomes an empty cell."""
    write_table(pd.DataFrame(rows).convert_dtypes(), path)


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
