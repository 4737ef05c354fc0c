"""What every adapter needs to turn an index into candidates: paths, audio files, rejected rows."""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lambdascape.core.errors import InputError

CANDIDATE = ("path", "label", "session", "node", "moment", "fold")  # columns, all text, '' where not known
AUDIO = frozenset({".wav", ".flac", ".ogg", ".mp3"})
# Control characters, line and paragraph separators, and what stands for bytes that are no text.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Reject(NamedTuple):
    """A file that cannot be used: its path, the rule that it breaks, what was found and what was expected."""

    path: str
    rule: str
    found: str
    expected: str


class UnusableError(Exception):
    """A file cannot be used: the rule that it breaks, what was found and what was expected."""

    def __init__(self, rule: str, found: str, expected: str) -> None:
        super().__init__(rule, found, expected)
        self.rule, self.found, self.expected = rule, found, expected


def shown(text: str) -> str:
    """The text with its unsafe characters spelt out."""
    return UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def inner_paths(paths: Iterable[str], source: str) -> list[str]:
    """The paths in one normal form.

    Args:
        paths: relative to the data set's folder.
        source: where they were read, for the message.

    Raises:
        InputError: a path is empty, leads out of the folder or is listed twice.
    """
    result = [PurePosixPath(path) for path in paths]
    for path in result:
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise InputError(f"{source}: every path must lie inside the data set's folder; got {shown(str(path))!r}")
    seen: set[PurePosixPath] = set()
    for path in result:
        if path in seen:
            raise InputError(f"{source}: every path must be listed once; {shown(str(path))!r} is not")
        seen.add(path)
    return [str(path) for path in result]


def audio_files(root: Path) -> list[str]:
    """Paths of all audio files below `root`, sorted; linked folders are followed, each folder once."""
    return sorted(str(PurePosixPath(file.relative_to(root))) for file in _walk(root) if file.suffix.lower() in AUDIO)


def _walk(root: Path) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()  # a link to a folder above: do not go round
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(folder) / name for name in names)


def unlisted(root: Path, listed: Iterable[str], index: str) -> list[Reject]:
    """One rejected row for each audio file below `root` that the index does not name."""
    return [
        Reject(path, f"the file must be listed in {index}", "not listed", "a row of its own")
        for path in sorted(set(audio_files(root)) - set(listed))
    ]


def read_csv(path: Path, needed: Sequence[str], delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a table with a header, every value as the text that it is.

    Args:
        path: the table, in UTF-8.
        needed: columns that it must have; it may have others.
        delimiter: what stands between two values.

    Raises:
        InputError: the table is unreadable or has no row, a needed column is missing, a column is doubled, or a
            row has more or fewer values than the header.
    """
    kind = "tab" if delimiter == "\t" else "comma"
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: must be a {kind}-separated table in UTF-8; {error}") from None
    if not set(needed) <= set(header) or len(set(header)) < len(header):
        columns = ", ".join(f"`{name}`" for name in needed)
        raise InputError(
            f"{path}: needs a column {columns}, and no column twice; its columns are {', '.join(header) or 'none'}"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}, line {line}: must have {len(header)} values like the header; got {len(row)}")
    if not rows:
        raise InputError(f"{path}: must list at least one clip; it has only a header")
    return [dict(zip(header, row, strict=True)) for _, row in rows]


def natural(text: str) -> tuple[object, ...]:
    """Key that sorts `ex2` before `ex10`."""
    parts = re.split("([0-9]+)", text)
    numbers = [part.lstrip("0") for part in parts[1::2]]
    return tuple((word, len(number), number) for word, number in zip(parts[::2], [*numbers, ""], strict=True)), text
