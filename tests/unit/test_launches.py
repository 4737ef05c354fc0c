"""One launch owns a folder of results; who may follow a launch that was killed, and what is in the way."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lambdascape.core import locks
from lambdascape.operations import launch_lock, orphans
from lambdascape.operations.launch_lock import Launch

WORDS = ["/x/snakemake/__main__.py", "--cores", "all", "my target"]
BEGIN = (
    "import sys; from lambdascape.operations import launch_lock; "
    f"print(launch_lock.begin({WORDS}), flush=True); sys.stdin.readline()"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def first(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the results until its input ends."""
    environment = os.environ | {"PYTHONPATH": str(Path(launch_lock.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        yield process
        process.kill()


@pytest.fixture
def stray(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that looks like a job of Snakemake's, with its output in a log, and does not end when told to."""
    script = folder / ".snakemake/scripts/tmpab_c1.train_model.py"
    log = folder / "results/logs/x.log"
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    )
    for path, text in ((script, code), (log, "")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with log.open("w") as stream, subprocess.Popen([sys.executable, str(script)], stdout=stream, text=True) as process:
        while not log.read_text():
            assert process.poll() is None
        yield process
        process.kill()


def record() -> Launch:
    launch = launch_lock.read(Path("results"))
    assert launch is not None
    return launch


def began(**changes: object) -> Launch:
    """Leave the record of a launch that has not ended, of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    launch = replace(launch_lock.here(WORDS), process=process.pid, tick="1", **changes)  # type: ignore[arg-type]
    Path("results").mkdir(exist_ok=True)
    launch_lock.write(Path("results"), launch)
    return launch


def test_a_second_launch_is_refused_with_the_owner(first: subprocess.Popen[str]) -> None:
    said = launch_lock.begin(WORDS)
    assert f"process {first.pid} on {socket.gethostname()}, since {record().started}: " in said
    assert "snakemake --cores all 'my target'" in said


def test_a_launch_that_ends_lets_go_and_notes_it(first: subprocess.Popen[str]) -> None:
    first.communicate("\n")
    assert record().ended
    assert launch_lock.state_of(record()) == launch_lock.ENDED
    assert launch_lock.begin(WORDS) == ""
    assert launch_lock.begin(WORDS) == ""  # it is the owner
    assert record().process == os.getpid()
    launch_lock.end(Path("results").absolute())
    assert record().ended


def test_a_killed_one_is_followed_at_once_and_snakemakes_locks_are_opened(first: subprocess.Popen[str]) -> None:
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("results/x\n")
    assert launch_lock.begin(WORDS)
    assert lock.exists()
    first.send_signal(signal.SIGKILL)
    while launch_lock.state_of(record()) == launch_lock.ALIVE:
        time.sleep(0.01)
    assert launch_lock.state_of(record()) == launch_lock.DEAD  # although its parent has not asked what became of it
    assert first.returncode is None
    assert launch_lock.begin(WORDS) == ""
    assert not lock.exists()
    launch_lock.end(Path("results").absolute())


@pytest.mark.parametrize(
    ("words", "runs"), [(["snakemake", "--summary"], True), (["snakemake", "--report=x.zip"], True), (WORDS, False)]
)
def test_what_only_reads_owns_nothing(words: list[str], runs: bool) -> None:
    assert launch_lock.begin(words, runs) == ""
    assert list(Path().iterdir()) == []


def test_a_report_after_a_run_is_a_run(first: subprocess.Popen[str]) -> None:
    assert launch_lock.begin(["snakemake", "--report", "x.zip"]) == ""
    assert "One launch" in launch_lock.begin(["snakemake", "--report", "x.zip", "--report-after-run"])


def test_a_launch_of_another_machine_that_did_not_end_is_never_taken_over() -> None:
    launch = began(host="elsewhere", boot="another")
    said = launch_lock.begin(WORDS)
    assert str(launch) in said
    assert "`make recover` on elsewhere" in said
    assert "--ended elsewhere" in said
    assert record() == launch
    launch_lock.write(Path("results"), launch_lock.closed(launch))
    assert launch_lock.in_the_way(Path("results")) == ""


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, launch_lock.DEAD),
        ({"host": "a-container-before"}, launch_lock.DEAD),  # the same kernel knows all its processes
        ({"boot": "before"}, launch_lock.DEAD),  # this machine has been started anew
        ({"host": "elsewhere", "boot": "another"}, launch_lock.UNKNOWN),
    ],
)
def test_what_is_known_of_a_launch_without_its_lock(changes: dict[str, str], state: str) -> None:
    assert launch_lock.state_of(began(**changes)) == state


def test_without_locks_a_process_that_lives_owns_and_its_number_used_again_does_not() -> None:
    Path("results").mkdir()
    mine = launch_lock.here(WORDS)
    assert launch_lock.state_of(mine) == launch_lock.ALIVE
    assert launch_lock.state_of(replace(mine, tick="1")) == launch_lock.DEAD
    launch_lock.write(Path("results"), mine)
    assert launch_lock.in_the_way(Path("results")) == launch_lock.refused(str(mine))


def test_without_a_boot_id_the_host_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_lock, "boot", lambda: "")
    mine = launch_lock.here(WORDS)
    assert launch_lock.state_of(mine) == launch_lock.ALIVE
    assert launch_lock.state_of(replace(mine, host="elsewhere")) == launch_lock.UNKNOWN


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": 1}'])
def test_a_record_that_cannot_be_read_stops_nobody(text: str) -> None:
    Path("results").mkdir()
    Path("results/launch.json").write_text(text)
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())


def test_an_owner_whose_record_is_not_there_yet_is_named_by_its_lock() -> None:
    Path("results").mkdir()
    lock = locks.take("results/launch.lock")
    assert lock is not None
    with locks.released(lock):
        assert f"process {os.getpid()} on {socket.gethostname()}" in launch_lock.begin(WORDS)


def test_results_that_cannot_be_written_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("results").write_text("")
    assert "results: File exists" in launch_lock.begin(WORDS)


def test_a_job_that_goes_on_is_named_and_in_the_way(folder: Path, stray: subprocess.Popen[str]) -> None:
    launch = began()
    said = launch_lock.begin(WORDS)
    assert f"train_model, process {stray.pid}, since 2" in said
    assert "results/logs/x.log" in said
    assert "`make recover`" in said
    assert record() == launch
    stray.kill()
    stray.wait()
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())


def test_a_job_of_another_folder_is_none_of_ours(folder: Path, stray: subprocess.Popen[str]) -> None:
    (folder / "beside").mkdir()
    assert orphans.here([folder / "beside"]) == []
    assert [orphan.process.pid for orphan in orphans.here([folder])] == [stray.pid]


def test_results_that_two_checkouts_share_have_one_owner_and_jobs_of_both(
    folder: Path, stray: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began()
    (folder / "second").mkdir()
    (folder / "second/results").symlink_to(folder / "results")
    monkeypatch.chdir(folder / "second")
    assert f"train_model, process {stray.pid}" in launch_lock.begin(WORDS)


def test_a_copy_of_results_is_not_owned_by_who_owns_the_original(
    folder: Path, first: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "results", folder / "copy/results")
    monkeypatch.chdir(folder / "copy")
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())
    assert launch_lock.state_of(launch_lock.read(folder / "results")) == launch_lock.ALIVE


def test_who_may_write_the_results_may_own_them(folder: Path) -> None:
    (folder / "results").mkdir()
    for mode, expected in ((0o775, 0o664), (0o700, 0o600)):
        (folder / "results").chmod(mode)
        assert launch_lock.begin(WORDS) == ""
        launch_lock.end(folder / "results")
        assert (folder / "results/launch.lock").stat().st_mode & 0o777 == expected


def test_an_orphan_that_ignores_to_be_told_is_killed(folder: Path, stray: subprocess.Popen[str]) -> None:
    found = orphans.here([folder])
    assert orphans.stop(found, grace_s=0.5) == []
    assert not locks.is_alive(stray.pid)
    assert orphans.here([folder]) == []


def test_the_record_is_plain_json() -> None:
    began()
    assert json.loads(Path("results/launch.json").read_text())["command"] == "snakemake --cores all 'my target'"
