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

from lambdascape import launches, locks, orphans
from lambdascape.launches import Launch

WORDS = ["/x/snakemake/__main__.py", "--cores", "all", "my target"]
BEGIN = (
    f"import sys; from lambdascape import launches; print(launches.begin({WORDS}), flush=True); sys.stdin.readline()"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def first(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the results until its input ends."""
    environment = os.environ | {"PYTHONPATH": str(Path(launches.__file__).parents[1])}
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
    launch = launches.read(Path("results"))
    assert launch is not None
    return launch


def began(**changes: object) -> Launch:
    """Leave the record of a launch that has not ended, of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    launch = replace(launches.here(WORDS), process=process.pid, tick="1", **changes)  # type: ignore[arg-type]
    Path("results").mkdir(exist_ok=True)
    launches.write(Path("results"), launch)
    return launch


def test_a_second_launch_is_refused_with_the_owner(first: subprocess.Popen[str]) -> None:
    said = launches.begin(WORDS)
    assert f"process {first.pid} on {socket.gethostname()}, since {record().started}: " in said
    assert "snakemake --cores all 'my target'" in said


def test_a_launch_that_ends_lets_go_and_notes_it(first: subprocess.Popen[str]) -> None:
    first.communicate("\n")
    assert record().ended
    assert launches.state_of(record()) == launches.ENDED
    assert launches.begin(WORDS) == ""
    assert launches.begin(WORDS) == ""  # it is the owner
    assert record().process == os.getpid()
    launches.end(Path("results").absolute())
    assert record().ended


def test_a_killed_one_is_followed_at_once_and_snakemakes_locks_are_opened(first: subprocess.Popen[str]) -> None:
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("results/x\n")
    assert launches.begin(WORDS)
    assert lock.exists()
    first.send_signal(signal.SIGKILL)
    while launches.state_of(record()) == launches.ALIVE:
        time.sleep(0.01)
    assert launches.state_of(record()) == launches.DEAD  # although its parent has not asked what became of it
    assert first.returncode is None
    assert launches.begin(WORDS) == ""
    assert not lock.exists()
    launches.end(Path("results").absolute())


@pytest.mark.parametrize(
    ("words", "runs"), [(["snakemake", "--summary"], True), (["snakemake", "--report=x.zip"], True), (WORDS, False)]
)
def test_what_only_reads_owns_nothing(words: list[str], runs: bool) -> None:
    assert launches.begin(words, runs) == ""
    assert list(Path().iterdir()) == []


def test_a_report_after_a_run_is_a_run(first: subprocess.Popen[str]) -> None:
    assert launches.begin(["snakemake", "--report", "x.zip"]) == ""
    assert "One launch" in launches.begin(["snakemake", "--report", "x.zip", "--report-after-run"])


def test_a_launch_of_another_machine_that_did_not_end_is_never_taken_over() -> None:
    launch = began(host="elsewhere", boot="another")
    said = launches.begin(WORDS)
    assert str(launch) in said
    assert "`make recover` on elsewhere" in said
    assert "--ended elsewhere" in said
    assert record() == launch
    launches.write(Path("results"), launches.closed(launch))
    assert launches.in_the_way(Path("results")) == ""


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, launches.DEAD),
        ({"host": "a-container-before"}, launches.DEAD),  # the same kernel knows all its processes
        ({"boot": "before"}, launches.DEAD),  # this machine has been started anew
        ({"host": "elsewhere", "boot": "another"}, launches.UNKNOWN),
    ],
)
def test_what_is_known_of_a_launch_without_its_lock(changes: dict[str, str], state: str) -> None:
    assert launches.state_of(began(**changes)) == state


def test_without_locks_a_process_that_lives_owns_and_its_number_used_again_does_not() -> None:
    Path("results").mkdir()
    mine = launches.here(WORDS)
    assert launches.state_of(mine) == launches.ALIVE
    assert launches.state_of(replace(mine, tick="1")) == launches.DEAD
    launches.write(Path("results"), mine)
    assert launches.in_the_way(Path("results")) == launches.refused(str(mine))


def test_without_a_boot_id_the_host_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "boot", lambda: "")
    mine = launches.here(WORDS)
    assert launches.state_of(mine) == launches.ALIVE
    assert launches.state_of(replace(mine, host="elsewhere")) == launches.UNKNOWN


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": 1}'])
def test_a_record_that_cannot_be_read_stops_nobody(text: str) -> None:
    Path("results").mkdir()
    Path("results/launch.json").write_text(text)
    assert launches.begin(WORDS) == ""
    launches.end(Path("results").absolute())


def test_an_owner_whose_record_is_not_there_yet_is_named_by_its_lock() -> None:
    Path("results").mkdir()
    lock = locks.take("results/launch.lock")
    assert lock is not None
    with locks.released(lock):
        assert f"process {os.getpid()} on {socket.gethostname()}" in launches.begin(WORDS)


def test_results_that_cannot_be_written_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("results").write_text("")
    assert "results: File exists" in launches.begin(WORDS)


def test_a_job_that_goes_on_is_named_and_in_the_way(folder: Path, stray: subprocess.Popen[str]) -> None:
    launch = began()
    said = launches.begin(WORDS)
    assert f"train_model, process {stray.pid}, since 2" in said
    assert "results/logs/x.log" in said
    assert "`make recover`" in said
    assert record() == launch
    stray.kill()
    stray.wait()
    assert launches.begin(WORDS) == ""
    launches.end(Path("results").absolute())


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
    assert f"train_model, process {stray.pid}" in launches.begin(WORDS)


def test_a_copy_of_results_is_not_owned_by_who_owns_the_original(
    folder: Path, first: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "results", folder / "copy/results")
    monkeypatch.chdir(folder / "copy")
    assert launches.begin(WORDS) == ""
    launches.end(Path("results").absolute())
    assert launches.state_of(launches.read(folder / "results")) == launches.ALIVE


def test_who_may_write_the_results_may_own_them(folder: Path) -> None:
    (folder / "results").mkdir()
    for mode, expected in ((0o775, 0o664), (0o700, 0o600)):
        (folder / "results").chmod(mode)
        assert launches.begin(WORDS) == ""
        launches.end(folder / "results")
        assert (folder / "results/launch.lock").stat().st_mode & 0o777 == expected


def test_an_orphan_that_ignores_to_be_told_is_killed(folder: Path, stray: subprocess.Popen[str]) -> None:
    found = orphans.here([folder])
    assert orphans.stop(found, grace_s=0.5) == []
    assert not locks.is_alive(stray.pid)
    assert orphans.here([folder]) == []


def test_the_record_is_plain_json() -> None:
    began()
    assert json.loads(Path("results/launch.json").read_text())["command"] == "snakemake --cores all 'my target'"
