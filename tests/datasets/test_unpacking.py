"""An archive is unpacked whole or refused, and nothing of a refused one is left anywhere (row Z1 of the faults)."""

import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lambdascape.core import disk
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_text_table
from lambdascape.datasets import unpacking

pytestmark = pytest.mark.fault("Z1")

NOISE = random.Random(1).randbytes(20_000)
FILES = {"set/meta.txt": b"a\tb\n", "set/audio/1.wav": NOISE, "set/audio/2.wav": NOISE[:7], "set/empty": b""}


def make_zip(path: Path, files: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, 0) << 16
            archive.writestr(info, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], **special: bytes) -> Path:
    """A tar.gz archive; `special` is the kind of the last entry, named `odd`, that points to /etc/passwd."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for kind in special.values():
            odd = tarfile.TarInfo("odd")
            odd.type, odd.linkname = kind, "/etc/passwd"
            archive.addfile(odd)
    return path


Maker = Callable[[Path, dict[str, bytes]], Path]
both = pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar.gz", make_tar)], ids=["zip", "tar"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of its own two levels down, so that what leads out of it stays in the test's."""
    folder = tmp_path / "deep" / "place"
    folder.mkdir(parents=True)
    return folder


def unpacked(archive: Path) -> dict[str, bytes]:
    folder = archive.parent / "audio"
    unpacking.unpack(archive, folder)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(archive: Path, message: str) -> None:
    root = archive.parents[2]
    before = {path: path.lstat().st_size for path in root.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message):
        unpacking.unpack(archive, archive.parent / "audio")
    assert {path: path.lstat().st_size for path in root.rglob("*") if path.is_file()} == before
    assert not (archive.parent / "audio").exists()
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


@both
def test_all_files_are_unpacked(place: Path, name: str, make: Maker) -> None:
    archive = make(place / name, FILES)
    assert unpacking.unpack(archive, place / "audio") == {path: len(FILES[path]) for path in sorted(FILES)}
    assert contents(place / "audio") == FILES
    assert sorted(path.name for path in place.iterdir()) == sorted(["audio", name])


def test_archives_made_by_the_usual_tools_are_unpacked(place: Path) -> None:
    (place / "set").mkdir()
    (place / "set" / "1.wav").write_bytes(NOISE)
    with tarfile.open(place / "a.tar.gz", "w:gz") as tar:
        tar.add(place / "set", ".")  # names the folder itself
    with zipfile.ZipFile(place / "a.zip", "w") as made:
        made.mkdir("set")
        made.write(place / "set" / "1.wav", "set/1.wav")
    assert unpacked(place / "a.tar.gz") == {"1.wav": NOISE}
    assert unpacked(place / "a.zip") == {"1.wav": NOISE, "set/1.wav": NOISE}


@both
def test_archives_of_one_set_share_their_folder(place: Path, name: str, make: Maker) -> None:
    one = make(place / name, {"set/audio/1.wav": b"1", "set/readme": b"one"})
    two = make(place / f"two-{name}", {"set/audio/2.wav": b"2"})
    unpacked(one)
    assert unpacked(two) == {"set/audio/1.wav": b"1", "set/readme": b"one", "set/audio/2.wav": b"2"}
    (place / "audio/set/audio/1.wav").write_bytes(b"damaged")
    assert unpacked(one)["set/audio/1.wav"] == b"1"


@both
def test_what_a_killed_job_left_is_cleared(place: Path, name: str, make: Maker) -> None:
    left = place / f".audio-{name}" / "set"
    left.mkdir(parents=True)
    (left / "half.wav").write_bytes(b"half")
    assert unpacked(make(place / name, FILES)) == FILES
    assert not left.exists()


OUTSIDE = ["../out.wav", "a/../../out.wav", "../../out.wav", "/tmp/out.wav", "a/.."]
REFUSED: list[tuple[dict[str, bytes], str]] = [
    *((FILES | {path: b"out"}, "every path must lie inside") for path in OUTSIDE),
    ({"a": b"1", "./a": b"2"}, "every path must be in it once; 'a' is not"),
    ({"a": b"1", "a/b": b"2"}, "cannot be unpacked into"),
    ({"zeros": bytes(30_000_000)}, "must unpack to at most 100 times its size"),
    ({}, "must hold at least one file"),
]


@both
@pytest.mark.parametrize(
    ("files", "message"), REFUSED, ids=[*OUTSIDE, "twice", "file and folder", "bomb", "nothing in it"]
)
def test_what_no_honest_archive_holds_is_refused(
    place: Path, name: str, make: Maker, files: dict[str, bytes], message: str
) -> None:
    refused(make(place / name, files), message)


TAR_KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
ZIP_MODES = [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]


@pytest.mark.parametrize("kind", [*TAR_KINDS, *ZIP_MODES])
def test_links_and_devices_are_refused(place: Path, kind: bytes | int) -> None:
    if isinstance(kind, bytes):
        archive = make_tar(place / "a.tar.gz", FILES, kind=kind)
    else:
        archive = make_zip(place / "a.zip", FILES | {"odd": b"/etc/passwd"}, {"odd": kind | 0o777})
    refused(archive, "must hold files and folders only; 'odd' is a link or a device")


@both
def test_a_link_cannot_be_written_through(place: Path, name: str, make: Maker) -> None:
    """A file in the shared folder that is a link is replaced, not followed."""
    outside = place.parent / "outside.txt"
    outside.write_bytes(b"mine")
    (place / "audio").mkdir()
    (place / "audio/a").symlink_to(outside)
    unpacked(make(place / name, {"a": b"new"}))
    assert outside.read_bytes() == b"mine"


def test_a_bomb_that_lies_of_its_size_is_refused(place: Path) -> None:
    archive = make_zip(place / "a.zip", {"zeros": bytes(3_000_000)})
    content = archive.read_bytes()
    assert content.count((3_000_000).to_bytes(4, "little")) == 2
    archive.write_bytes(content.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    refused(archive, "must be a whole zip or tar.gz archive; ")


def test_a_bomb_behind_the_end_of_a_tar_is_refused(place: Path) -> None:
    archive = make_tar(place / "a.tar.gz", {"a": b"1"})
    archive.write_bytes(archive.read_bytes() + gzip.compress(bytes(50_000_000)))
    refused(archive, "must end after its last file")


@both
def test_more_entries_than_an_honest_archive_has_are_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Maker
) -> None:
    monkeypatch.setattr(unpacking, "MAX_ENTRIES", 20)
    refused(make(place / name, {str(i): b"" for i in range(21)}), "must hold at most 20 entries; it holds more")
    assert len(unpacked(make(place / name, {str(i): b"" for i in range(20)}))) == 20


@both
def test_a_cut_archive_is_refused(place: Path, name: str, make: Maker) -> None:
    archive = make(place / name, FILES)
    content = archive.read_bytes()
    for length in [*(len(content) * tenth // 10 for tenth in range(10)), *(len(content) - n for n in (1, 4, 8, 9))]:
        archive.write_bytes(content[:length])
        refused(archive, "must be a whole zip or tar.gz archive")


@both
def test_a_damaged_archive_is_refused_or_unpacked_right(place: Path, name: str, make: Maker) -> None:
    archive = make(place / name, FILES)
    content = archive.read_bytes()
    chance = random.Random(7)
    damaged = 0
    for _ in range(150):
        at = chance.randrange(len(content))
        archive.write_bytes(content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :])
        try:
            files = unpacking.unpack(archive, place / "audio")
        except InputError:
            damaged += 1
        else:  # a date, a flag or, in a zip, a name was hit: contents have checksums
            assert sorted(contents(place / "audio").values()) == sorted(FILES.values())
            assert sum(files.values()) == sum(map(len, FILES.values()))
            for file in [path for path in (place / "audio").rglob("*") if path.is_file()]:
                file.unlink()
    assert damaged > 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.zip", "must be a whole zip or tar.gz archive"),
        ("a.tar.gz", "must be a whole zip or tar.gz archive"),
        ("a.rar", r"its name must end in \.zip or \.tar\.gz"),
    ],
)
def test_what_is_no_archive_is_refused(place: Path, name: str, message: str) -> None:
    (place / name).write_bytes(b"<html>Forbidden</html>")
    refused(place / name, message)


@both
def test_a_full_disk_is_told_before_the_write(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Maker
) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    refused(make(place / name, FILES), r"disk full at .*1\.wav needs 20 kB more, free are 10 kB")


def test_the_list_of_files_is_written_last(place: Path) -> None:
    make_zip(place / "a.zip", FILES)
    checked, listed = place / "a.zip.md5", place / "unpacked" / "a.zip.tsv"
    unpacking.unpack_archive(checked, place / "audio", listed)
    table = read_text_table(listed)
    assert dict(zip(table["path"], map(int, table["bytes"]), strict=True)) == {n: len(FILES[n]) for n in FILES}
    (place / "a.zip").unlink()
    with pytest.raises(InputError, match=r"must be there to be unpacked; remove .*a\.zip\.md5 to have it fetched"):
        unpacking.unpack_archive(checked, place / "audio", listed)
