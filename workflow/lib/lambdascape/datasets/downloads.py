"""An archive on disk with the right md5: one that is there already, or a download that goes on where it stopped."""

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from tqdm import tqdm

from lambdascape.core.disk import require_space, shown_bytes
from lambdascape.core.errors import InputError
from lambdascape.core.files import write_text
from lambdascape.datasets.archives import require_space_for_all

HEADERS = {"User-Agent": "lambdascape, a Snakemake workflow", "Accept-Encoding": "identity"}
BUSY = frozenset({408, 429, 500, 502, 503, 504})  # the server may well answer later
ATTEMPTS = 8  # in a row that bring nothing new
LONGEST_PAUSE_S = 600.0
CONNECT_S = 30.0
CHUNK = 1 << 16  # bytes; what has arrived of a chunk is lost when the connection breaks


def download_archive(archive: dict[str, str], dataset: str, given: str | Path | None, checked: str | Path) -> None:
    """See to it that an archive lies beside `checked`, then write `checked`, in the form that `md5sum --check` reads.

    Args:
        archive: `url` and `md5`.
        dataset: the data set that it belongs to, as in the table of archives.
        given: folder of archives that the user has, which are used by a link after their checksum; or None.
        checked: `<archive>.md5`, in the folder of archives.

    Raises:
        InputError: `given` is no folder or holds the archive with another md5, the disk has too little room for
            the whole data set, or what `fetch` raises.
    """
    checked = Path(checked)
    path = checked.with_suffix("")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() and not (given and Path(given, path.name).is_file()):
        require_space_for_all(dataset, path.parents[1], given)
    have_archive(path, archive, given)
    write_text(f"{archive['md5']}  {path.name}\n", checked)


def have_archive(path: Path, archive: dict[str, str], given: str | Path | None) -> None:
    """See to it that an archive lies at `path`, its md5 found right; see `download_archive`."""
    if given and not Path(given).is_dir():
        raise InputError(f"dataset.archives: must be a folder; there is none at {given}")
    if not _has_md5(path, archive["md5"]):
        if given and Path(given, path.name).is_file():
            _link(Path(given, path.name), path, archive["md5"])
        else:
            fetch(archive["url"], path, archive["md5"])


def _link(given: Path, path: Path, md5: str) -> None:
    found = _md5(given)
    if found != md5:
        raise InputError(
            f"{given}: must have the md5 {md5}; got {found}, {shown_bytes(given.stat().st_size)}. "
            "Replace it, or remove it to have it downloaded."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(given.resolve())


def fetch(
    url: str, path: str | Path, md5: str, timeout_s: float = 60.0, wait: Callable[[float], None] = time.sleep
) -> None:
    """Download a file; it has its name only after its md5 was found right.

    What has arrived lies in `<path>.part`; the next call continues it. A file that is there already is used if
    its md5 is right.

    Args:
        url: where the file is; http or https.
        path: where it shall be; its parent folders are made.
        md5: in hexadecimal.
        timeout_s: longest silence of the server, in seconds.
        wait: called with the seconds of each pause between two attempts.

    Raises:
        InputError: the server refuses, sends something else, or brings nothing new in several attempts; another
            process is downloading the file; the file cannot be written.
    """
    path = Path(path)
    if _has_md5(path, md5):
        return
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _download(url, part, md5, timeout_s, wait)
            part.replace(path)
    except BlockingIOError:
        raise InputError(f"{part}: another process is downloading it; wait for its end") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written; {error}") from None


def _download(url: str, part: Path, md5: str, timeout_s: float, wait: Callable[[float], None]) -> None:
    """Fill `part` until its md5 is right; where old bytes may be to blame for a wrong one, start again once."""
    continued = part.stat().st_size > 0
    _fill(url, part, timeout_s, wait)
    if continued and not _has_md5(part, md5):
        print(f"{part}: continued, it has another md5 than {md5}; starting again", flush=True)
        os.truncate(part, 0)
        _fill(url, part, timeout_s, wait)
    found = _md5(part)
    if found != md5:
        size = part.stat().st_size
        with part.open("rb") as stream:
            start = stream.read(60)
        os.truncate(part, 0)
        raise InputError(f"{url}: must have the md5 {md5}; {shown_bytes(size)} with {found} arrived: {start!r}...")


def _fill(url: str, part: Path, timeout_s: float, wait: Callable[[float], None]) -> None:
    """Ask for what is missing until the server says that nothing is; only attempts that bring nothing new count."""
    failures, furthest = 0, part.stat().st_size
    while True:
        try:
            return _continue(url, part, timeout_s)
        except _InterruptedError as error:
            reached = part.stat().st_size
            failures = 0 if reached > furthest else failures + 1
            furthest = max(reached, furthest)
            if failures == ATTEMPTS:
                raise InputError(
                    f"{url}: gave up after {ATTEMPTS} attempts in a row that brought nothing new; the last: {error}. "
                    f"{shown_bytes(reached)} are kept in {part}, and the same command continues."
                ) from None
            pause = min(2.0**failures if error.pause_s is None else error.pause_s, LONGEST_PAUSE_S)
            print(f"{url}: {error}; at {shown_bytes(reached)}, again in {pause:.0f} s", flush=True)
            wait(pause)


class _InterruptedError(Exception):
    """A request that ended early and may be sent again, where the server says so after `pause_s` seconds."""

    def __init__(self, reason: object, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def _continue(url: str, part: Path, timeout_s: float) -> None:
    """Send one request for what `part` lacks and append the answer."""
    there = part.stat().st_size
    headers = HEADERS | ({"Range": f"bytes={there}-"} if there else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_S, timeout_s)) as response:
            if response.status_code != requests.codes.requested_range_not_satisfiable:  # else nothing is missing
                _check(response)
                _append(response, part, there)
    except requests.RequestException as error:
        raise _InterruptedError(error) from None


def _check(response: requests.Response) -> None:
    status = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in BUSY:
        raise _InterruptedError(status, _asked_pause(response.headers.get("Retry-After", "")))
    advice = "Get the file by hand, and name its folder in dataset.archives"
    if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
        raise InputError(f"{response.url}: must be there for all; {status}. {advice}")
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html"):  # a notice or a log-in page; what has arrived before stays
        start = next(response.iter_content(200), b"")
        raise InputError(f"{response.url}: must be an archive; a page arrived, {kind}: {start!r}. {advice}")


def _asked_pause(value: str) -> float | None:
    """Seconds of a Retry-After, which are a number or a date; None where there is none."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _append(response: requests.Response, part: Path, there: int) -> None:
    """Write an answer at its place in `part`; a server that knows no ranges sends all from the start."""
    partial = response.status_code == requests.codes.partial_content
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", "")) if partial else None
    start = int(place[1]) if place else 0
    if partial and (not place or start > there):
        raise _InterruptedError(f"the server left a gap: asked for byte {there}, it sent {place and place[0]!r}")
    told = response.headers.get("Content-Length", "")
    length = int(told) if told.isdecimal() else 0
    require_space(part.parent, start + length - there, part.stem)
    total = start + length if length else None
    with (
        part.open("r+b") as stream,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, disable=None) as progress,
    ):
        stream.seek(start)
        stream.truncate()
        for chunk in response.iter_content(CHUNK):
            stream.write(chunk)
            progress.update(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())


def _has_md5(path: Path, md5: str) -> bool:
    return path.is_file() and _md5(path) == md5


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()
