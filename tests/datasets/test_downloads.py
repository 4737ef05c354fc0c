"""A download ends with the right file or with a clear error, whatever the server does (row N1 of the faults)."""

import contextlib
import fcntl
import hashlib
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core import disk
from lambdascape.core.errors import InputError
from lambdascape.datasets import archives, downloads
from support.servers import Server, serving

pytestmark = pytest.mark.fault("N1")

NAME = "clips.zip"
BODY = random.Random(1).randbytes(300_000)
MD5 = hashlib.md5(BODY).hexdigest()
HALF = len(BODY) // 2


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({NAME: BODY}) as running:
        yield running


class Download:
    """One file to get from a server, and the pauses that getting it took."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.path, self.pauses = server, folder / NAME, list[float]()
        self.part = folder / f"{NAME}.part"

    def fetch(self, md5: str = MD5, timeout_s: float = 5.0) -> None:
        downloads.fetch(self.server.url(NAME), self.path, md5, timeout_s, self.pause)

    def pause(self, seconds: float) -> None:
        assert not self.path.exists()  # no name before the md5 is right
        self.pauses.append(seconds)

    def refused(self, message: str, **words: Any) -> None:
        with pytest.raises(InputError, match=message):
            self.fetch(**words)
        assert not self.path.exists()

    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.server.requests]


@pytest.fixture
def download(server: Server, tmp_path: Path) -> Download:
    return Download(server, tmp_path / "archives")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_good_server_is_asked_once_by_name(download: Download) -> None:
    download.fetch()
    assert download.path.read_bytes() == BODY
    assert names_in(download.path.parent) == [NAME]
    (request,) = download.server.requests
    assert "lambdascape" in request["User-Agent"]
    assert download.pauses == []


@pytest.mark.parametrize(("content", "requests"), [(BODY, 0), (BODY[:-1], 1)], ids=["right md5", "another md5"])
def test_a_file_that_is_there_is_kept_where_its_md5_is_right(download: Download, content: bytes, requests: int) -> None:
    download.path.parent.mkdir()
    download.path.write_bytes(content)
    download.fetch()
    assert download.path.read_bytes() == BODY
    assert len(download.server.requests) == requests


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(download: Download, status: int) -> None:
    download.server.faults = [{"status": status, "headers": {"Retry-After": "42"}, "body": b"slow down"}]
    download.fetch()
    assert download.pauses == [42.0]
    assert download.path.read_bytes() == BODY


def test_a_pause_may_be_given_as_a_date_and_has_a_bound(download: Download) -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    download.server.faults = [
        {"status": 429, "headers": {"Retry-After": format_datetime(later, usegmt=True)}},
        {"status": 429, "headers": {"Retry-After": "86400"}},
    ]
    download.fetch()
    first, second = download.pauses
    assert 90 < first <= 100
    assert second == downloads.LONGEST_PAUSE_S


def test_pauses_grow_and_end_with_an_error(download: Download) -> None:
    download.server.faults = [{"status": 503}] * 20
    download.refused("gave up after 8 attempts in a row that brought nothing new; .*answered 503")
    assert download.pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]


def test_a_broken_connection_is_continued(download: Download) -> None:
    download.server.faults = [{"send": HALF}]
    download.fetch()
    assert download.path.read_bytes() == BODY
    first, second = download.ranges()
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= HALF


@pytest.mark.parametrize(
    ("fault", "ranges", "timeout_s"),
    [
        ({"send": HALF, "stall_s": 0.05, "reset": True}, True, 5.0),
        ({"send": HALF, "stall_s": 1.0}, True, 0.2),
        ({"send": HALF}, False, 5.0),
        ({"headers": {"Content-Length": str(2 * len(BODY))}}, True, 5.0),
    ],
    ids=["reset", "silent", "without ranges", "a length that is too large"],
)
def test_a_server_that_fails_once_is_asked_again(
    download: Download, fault: dict[str, Any], ranges: bool, timeout_s: float
) -> None:
    download.server.faults, download.server.ranges = [fault], ranges
    download.fetch(timeout_s=timeout_s)
    assert download.path.read_bytes() == BODY
    assert len(download.server.requests) == 2


def test_attempts_that_bring_something_new_do_not_count(download: Download) -> None:
    download.server.faults = [{"send": 70_000}] * 20
    download.server.files[NAME] = body = BODY * 5
    download.fetch(hashlib.md5(body).hexdigest())
    assert download.path.read_bytes() == body
    assert set(download.pauses) == {1.0}
    assert len(download.pauses) == 20


def test_the_next_start_continues_what_an_ended_one_left(download: Download) -> None:
    download.server.faults = [{"send": HALF}] + [{"status": 503}] * 8
    download.refused("are kept in .*clips.zip.part, and the same command continues")
    kept = download.part.stat().st_size
    assert download.part.read_bytes() == BODY[:kept]
    download.fetch()
    assert download.ranges()[-1] == f"bytes={kept}-"
    assert download.path.read_bytes() == BODY


def test_a_server_that_always_breaks_at_the_same_place_is_given_up(download: Download) -> None:
    download.server.ranges = False
    download.server.faults = [{"send": HALF}] * 20
    download.refused("gave up after 8 attempts")
    assert len(download.server.requests) == 9


def test_a_page_sent_as_the_archive_is_refused_and_what_was_there_stays(download: Download) -> None:
    download.part.parent.mkdir()
    download.part.write_bytes(BODY[:HALF])
    page = {"body": b"<html>Log in, please", "headers": {"Content-Type": "text/html; charset=utf-8"}}
    download.server.faults = [page]
    download.refused("must be an archive; a page arrived, text/html; charset=utf-8: b'<html>Log in, please'")
    assert download.part.read_bytes() == BODY[:HALF]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            {"body": b"<html>Forbidden", "headers": {"Content-Type": "application/zip"}},
            f"must have the md5 {MD5}; 15 bytes with [0-9a-f]+ arrived: b'<html>Forbidden'",
        ),
        ({"headers": {"Content-Length": "1000"}}, f"must have the md5 {MD5}; 1 kB"),
    ],
    ids=["a page that says it is an archive", "a length that is too small"],
)
def test_other_bytes_than_the_archives_are_refused(download: Download, fault: dict[str, Any], message: str) -> None:
    download.server.faults = [fault]
    download.refused(message)
    assert download.part.stat().st_size == 0


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_asked_twice(download: Download, status: int) -> None:
    download.server.faults = [{"status": status, "body": b""}]
    download.refused(f"answered {status} .*name its folder in dataset.archives")
    assert len(download.server.requests) == 1


def test_a_wrong_digest_is_refused_and_nothing_of_it_is_continued(download: Download) -> None:
    download.refused("must have the md5 0000", md5="0" * 32)
    assert names_in(download.path.parent) == [f"{NAME}.part"]
    assert download.part.stat().st_size == 0
    assert len(download.server.requests) == 1


@pytest.mark.parametrize(("part", "requests"), [(BODY, 1), (BODY + b"and more", 2), (b"x" * 1000, 2)])
def test_a_part_counts_only_where_the_whole_has_the_md5(download: Download, part: bytes, requests: int) -> None:
    download.part.parent.mkdir()
    download.part.write_bytes(part)
    download.fetch()
    assert download.path.read_bytes() == BODY
    assert len(download.server.requests) == requests


def test_an_answer_that_leaves_a_gap_is_not_used(download: Download) -> None:
    download.server.faults = [{"status": 206, "headers": {"Content-Range": "bytes 5-9/10"}}] * 20
    download.refused("the server left a gap: asked for byte 0, it sent 'bytes 5-'")


def test_two_processes_do_not_write_one_file(download: Download) -> None:
    download.part.parent.mkdir()
    with download.part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        download.refused("another process is downloading it")
    download.fetch()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_is_named(download: Download, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    download.refused("clips.zip: cannot be written; .*No space left on device")


# --- one archive of a data set ----------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        "dataset\turl\tfilename\tbytes_nominal\tmd5\tpart",
        f"small\t{server.url(NAME)}\t{NAME}\t300000\t{MD5}\taudio",
    ]
    (tmp_path / "archives.tsv").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(archives, "TABLE", tmp_path / "archives.tsv")


def obtain(folder: Path, given: Path | None = None) -> Path:
    (archive,) = archives.archives_of("small").values()
    checked = folder / "download/archives" / f"{NAME}.md5"
    downloads.download_archive({"url": archive.url, "md5": archive.md5}, "small", given, checked)
    return checked


@pytest.mark.usefixtures("table")
def test_an_archive_that_the_user_has_is_linked_after_its_checksum_or_refused(tmp_path: Path, server: Server) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / NAME).write_bytes(BODY[:-1])
    with pytest.raises(InputError, match="Replace it, or remove it to have it downloaded"):
        obtain(tmp_path, given)
    assert not (tmp_path / f"download/archives/{NAME}.md5").exists()
    (given / NAME).write_bytes(BODY)
    archive = obtain(tmp_path, given).with_suffix("")
    assert archive.is_symlink()
    assert archive.read_bytes() == BODY
    assert server.requests == []


@pytest.mark.usefixtures("table")
def test_what_the_user_does_not_have_is_downloaded_beside_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    checked = obtain(tmp_path, tmp_path / "given")
    assert checked.read_text() == f"{MD5}  {NAME}\n"
    assert checked.with_suffix("").read_bytes() == BODY
    assert not checked.with_suffix("").is_symlink()
    with pytest.raises(InputError, match=r"dataset\.archives: must be a folder; there is none at"):
        obtain(tmp_path, tmp_path / "absent")


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


@pytest.mark.usefixtures("table")
def test_a_small_disk_is_refused_before_anything_is_asked_for(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(monkeypatch, 929_000)  # 300 kB, and 2.1 times that when unpacked, are 930 kB
    with pytest.raises(InputError, match=r"disk full at .*small, archives and unpacked audio, needs 930 kB more, free"):
        obtain(tmp_path)
    assert server.requests == []
    with_free(monkeypatch, 931_000)
    assert obtain(tmp_path).exists()


@pytest.mark.usefixtures("table")
def test_what_lies_there_already_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tmp_path / f"download/archives/{NAME}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:HALF])
    with_free(monkeypatch, 790_000)
    assert obtain(tmp_path).exists()


def test_a_download_larger_than_the_disk_stops_before_its_first_byte(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(monkeypatch, len(BODY) - 1)
    download.refused("disk full at .*clips.zip needs 300 kB more, free are 300 kB")
    assert download.part.stat().st_size == 0


def test_the_table_has_an_address_and_a_digest_for_every_archive() -> None:
    found = {name: archives.archives_of(name) for name in archives.downloadable()}
    assert {name: len(rows) for name, rows in found.items()} == {
        "dcase2018_task5": 25, "dcase2018_task5_evaluation": 25, "tau2019": 23, "tau2020": 18, "tau2022": 18,
        "urbansound8k": 1,
    }  # fmt: skip
    every = [(file, archive) for rows in found.values() for file, archive in rows.items()]
    assert len({archive.md5 for _, archive in every}) == len(every)
    for file, archive in every:
        assert archive.url.startswith("https://")
        assert archive.url.endswith(f"/{file}")
        assert len(bytes.fromhex(archive.md5)) == 16
    assert sum(archive.bytes_nominal for archive in found["dcase2018_task5"].values()) == pytest.approx(
        45.8e9, rel=0.01
    )
    assert archives.archives_of("esc50") == {}


@pytest.mark.parametrize(("free", "there", "enough"), [(7_000, 0, True), (6_000, 0, False), (6_000, 1_000, True)])
def test_room_to_drain_is_two_archives_with_their_audio_and_the_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, there: int, enough: bool
) -> None:
    """Archives of 1,000, 800 and 100 bytes: two of them, 1,800, with 3,780 of audio, and 1,596 of features: 7,176."""
    sizes = {"a.zip": 1000, "b.zip": 100, "c.zip": 800}
    table = {name: archives.Archive("", "", size) for name, size in sizes.items()}
    monkeypatch.setattr(archives, "archives_of", lambda _: table)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=free + 200))
    (tmp_path / "shard.h5").write_bytes(bytes(there))
    recipe = FeatureRecipe.of({"n_mels": 128, "hop_length": 160, "sr": 16000})
    with contextlib.nullcontext() if enough else pytest.raises(InputError, match="2 archives with their audio"):
        archives.require_space_to_drain("any", tmp_path, None, recipe, tmp_path)
