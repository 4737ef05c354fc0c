"""Archives unpacked into one folder: plain files only, inside that folder, all of them or none."""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from lambdascape.core.disk import require_space, shown_bytes
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import write_rows
from lambdascape.datasets.candidates import inner_paths, shown

# The largest archives known here: 15,000 clips, 6 GB. Audio shrinks to a half, lists of clips to a thirtieth.
MAX_ENTRIES = 50_000
MAX_RATIO = 100
SMALL = 1_000_000  # bytes; so much may come out of any archive
CHUNK = 1 << 20  # bytes
# What the readers raise of a damaged archive; a ValueError of a name that cannot be one, a RuntimeError of a password.
READING = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)
DAMAGE = (*READING, ValueError, RuntimeError)


class _Entry(NamedTuple):
    """What an archive holds under a name: a plain file, a folder, or what may not be in it."""

    name: str
    size: int  # bytes, as the archive says
    kind: str  # file, folder, link, device, ...
    open: Callable[[], IO[bytes] | None]


def unpack_archive(checked: str | Path, folder: str | Path, listed: str | Path) -> None:
    """Unpack the archive beside `checked` and list what was in it.

    Args:
        checked: `<archive>.md5`, written when the archive's md5 was found right.
        folder: where the files go; other archives may unpack into it at the same time.
        listed: table of the files with path, bytes; written last.

    Raises:
        InputError: the archive is no longer there, or what `unpack` raises.
    """
    archive = Path(checked).with_suffix("")
    if not archive.is_file():
        raise InputError(f"{archive}: must be there to be unpacked; remove {checked} to have it fetched again")
    files = unpack(archive, folder)
    write_rows([{"path": shown(name), "bytes": size} for name, size in files.items()], listed)


def unpack(archive: str | Path, folder: str | Path) -> dict[str, int]:
    """Unpack a zip or tar.gz archive into a folder, where a file of the same name is replaced.

    All is unpacked beside the folder first and then moved, so that an archive that is refused leaves nothing.

    Args:
        archive: its name ends in .zip or .tar.gz.
        folder: made if it is not there.

    Returns:
        Bytes of each file by its path in the folder, sorted by path.

    Raises:
        InputError: the archive is damaged or no archive; it names a path outside the folder, a path twice, or
            something else than files and folders; it holds more entries or bytes than an honest one; the disk
            has too little room or cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    staging = folder.with_name(f".{folder.name}-{archive.name}")
    try:
        if staging.exists():  # of a job that was killed
            shutil.rmtree(staging)
        staging.mkdir(parents=True)
        files = _unpack_all(archive, staging)
        _move(staging, folder, files)
        return dict(sorted(files.items()))
    except InputError:
        raise
    except DAMAGE as error:
        found = str(error) or type(error).__name__
        raise InputError(f"{archive}: must be a whole zip or tar.gz archive; {found}") from None
    except OSError as error:
        raise InputError(f"{archive}: cannot be unpacked into {folder}; {error}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack_all(archive: Path, staging: Path) -> dict[str, int]:
    """Write each entry below `staging` as it passes the checks; bytes of each file by path."""
    most = max(MAX_RATIO * archive.stat().st_size, SMALL)
    files: dict[str, int] = {}
    total = 0
    for number, entry in enumerate(_entries(archive), start=1):
        total += entry.size
        if number > MAX_ENTRIES:
            raise InputError(f"{archive}: must hold at most {MAX_ENTRIES} entries; it holds more")
        if total > most:
            raise InputError(
                f"{archive}: must unpack to at most {MAX_RATIO} times its size, {shown_bytes(most)}; "
                f"the first {number} entries hold {shown_bytes(total)}"
            )
        if entry.kind not in ("file", "folder"):
            raise InputError(f"{archive}: must hold files and folders only; {shown(entry.name)!r} is a {entry.kind}")
        if PurePosixPath(entry.name).parts or entry.kind == "file":  # tar may name the folder itself
            (path,) = inner_paths([entry.name], str(archive))
            if entry.kind == "file":
                if path in files:
                    raise InputError(f"{archive}: every path must be in it once; {shown(path)!r} is not")
                _write(entry, staging / path)
                files[path] = entry.size
    if not files:
        raise InputError(f"{archive}: must hold at least one file; it holds none")
    return files


def _write(entry: _Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    require_space(path.parent, entry.size, path.name)
    stream = entry.open()
    assert stream is not None  # the kind is a file's
    with stream, path.open("xb") as output:
        shutil.copyfileobj(stream, output, CHUNK)
        if output.tell() != entry.size:
            raise EOFError(f"{shown(entry.name)!r} must have {entry.size} bytes; it has {output.tell()}")


def _move(staging: Path, folder: Path, files: dict[str, int]) -> None:
    for name in files:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (staging / name).replace(place)


def _entries(archive: Path) -> Iterator[_Entry]:
    if archive.name.endswith(".zip"):
        return _zip_entries(archive)
    if archive.name.endswith(".tar.gz"):
        return _tar_entries(archive)
    raise InputError(f"{archive}: its name must end in .zip or .tar.gz")


def _zip_entries(archive: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
            plain = "folder" if info.is_dir() else "file"
            kind = plain if mode in (0, stat.S_IFREG, stat.S_IFDIR) else "link or a device"
            yield _Entry(info.filename, info.file_size, kind, partial(opened.open, info))


def _tar_entries(archive: Path) -> Iterator[_Entry]:
    """The entries in their order, read once; the end of the stream is read too, where the checksum stands."""
    with gzip.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as opened:
            for info in opened:
                kind = "folder" if info.isdir() else "file" if info.isreg() else "link or a device"
                yield _Entry(info.name, info.size, kind, partial(opened.extractfile, info))
        for _ in range(-(-archive.stat().st_size * MAX_RATIO // CHUNK)):
            if not stream.read(CHUNK):
                return
        raise InputError(f"{archive}: must end after its last file; it goes on for over {MAX_RATIO} times its size")
