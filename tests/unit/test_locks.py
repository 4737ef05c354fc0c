"""A lock has one holder, who is named, and ends with it."""

import errno
import fcntl
import multiprocessing
import os
import socket
from pathlib import Path

import pytest

from lambdascape.core import locks


def test_a_lock_has_one_holder_who_is_named_until_it_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    assert locks.holder(path) == ""
    stream = locks.take(path)
    assert stream is not None
    assert locks.take(path) is None
    assert locks.holder(path) == f"process {os.getpid()} on {socket.gethostname()}"
    with locks.released(stream):
        pass
    assert locks.holder(path) == ""
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
    assert path.read_text() == f"process {process.pid} on {socket.gethostname()}"
    assert locks.holder(path) == ""
    stream = locks.take(path)
    assert stream is not None
    stream.close()


def test_of_another_machines_process_nobody_here_knows_whether_it_lives(tmp_path: Path) -> None:
    (tmp_path / "one.lock").write_text("process 1 on elsewhere")
    assert locks.holder(tmp_path / "one.lock") == "process 1 on elsewhere"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"anything else"])
def test_a_file_that_names_nobody_has_no_holder(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.lock").write_bytes(content)
    assert locks.holder(tmp_path / "one.lock") == ""


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
