"""A lock has one holder, who is named, and ends with it."""

import errno
import fcntl
import multiprocessing
import os
import socket
from pathlib import Path
from typing import IO

import pytest

from lambdascape.core import locks
from lambdascape.core.locks import Holder


def test_a_lock_has_one_holder_who_is_named_until_it_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    assert locks.holder(path) is None
    stream = locks.take(path)
    assert stream is not None
    assert locks.take(path) is None
    assert locks.holder(path) == locks.this_process()
    with locks.released(stream):
        pass
    assert locks.holder(path) is None
    assert not path.exists()
    again = locks.take(path)
    assert again is not None
    again.close()


def hold_and_die(path: Path) -> None:
    assert locks.take(path) is not None
    os._exit(9)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    process = multiprocessing.get_context("fork").Process(target=hold_and_die, args=(path,))
    process.start()
    process.join()
    assert path.read_text().startswith(f"process {process.pid} on {socket.gethostname()}, user ")
    assert locks.holder(path) is None
    stream = locks.take(path)
    assert stream is not None
    stream.close()


def test_of_another_machines_process_nobody_here_knows_whether_it_lives(tmp_path: Path) -> None:
    for holder in (Holder(1, "elsewhere"), Holder(1, "elsewhere", "ada"), Holder(1, "node1", "ada", "12_3")):
        (tmp_path / "one.lock").write_text(str(holder))
        assert locks.holder(tmp_path / "one.lock") == holder


def test_a_number_that_another_process_has_by_now_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.lock").write_text(str(locks.this_process()))
    assert locks.holder(tmp_path / "one.lock") is None


def test_a_lock_whose_file_its_holder_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the file and locking it."""
    path, real, opened = tmp_path / "one.lock", fcntl.flock, []

    def remove_first(stream: IO[str], operation: int) -> None:
        if not opened:
            path.unlink()
        opened.append(stream)
        real(stream, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    stream = locks.take(path)
    monkeypatch.undo()
    assert stream is not None
    assert len(opened) == 2
    assert locks.holder(path) == locks.this_process()
    assert locks.take(path) is None
    stream.close()


def test_a_process_of_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(locks.getpass, "getuser", fail)
    assert locks.user_name() == str(os.getuid())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"anything else"])
def test_a_file_that_names_nobody_has_no_holder(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.lock").write_bytes(content)
    assert locks.holder(tmp_path / "one.lock") is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "one.lock").symlink_to(tmp_path / "thesis")
    with pytest.raises(OSError, match="symbolic links"):
        locks.take(tmp_path / "one.lock")
    assert (tmp_path / "thesis").read_text() == "years of work"


@pytest.mark.parametrize(("number", "goes_on"), [(errno.ENOSYS, True), (errno.ENOLCK, True), (errno.EIO, False)])
def test_a_file_system_without_locks_is_told_and_other_errors_are_not_hidden(
    tmp_path: Path, monkeypatch, capsys, number: int, goes_on: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    if goes_on:
        stream = locks.take(tmp_path / "one.lock")
        assert stream is not None
        stream.close()
        assert "this file system has no locks" in capsys.readouterr().out
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            locks.take(tmp_path / "one.lock")
