"""After a kill one command ends surviving jobs by their locks, unlocks, removes what is half written; SLURM is fake."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambdascape.cli.main import main
from lambdascape.core import locks
from lambdascape.core.errors import InputError
from lambdascape.jobs import job_locks
from lambdascape.operations import launches, recovery, survivors

HOST = socket.gethostname()
LOG = "results/logs/demo/models/l2~1.log"
LOCK = Path("results/locks/demo/models/l2~1.lock")
JOB = """
import signal, sys, time
from lambdascape.jobs import job_locks
{first}
with job_locks.owned(sys.argv[1]):
    print("ready", flush=True)
    {then}
"""
NEXT = "No job runs: the next run can begin, by the same command as before.\n"
# One line for each job in `queue`: number, state, folder, comment.
SQUEUE = """\
[ -e {folder}/down ] && {{ echo 'Unable to contact slurm controller' >&2; exit 1; }}
[ "$1" = --me ] || exit 9
cat {folder}/queue
[ -e {folder}/ending ] && sed -i 1d {folder}/queue
exit 0
"""
SCANCEL = 'echo "$@" >> {folder}/cancelled\n: > {folder}/queue\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recovery, "POLL_S", 0.02)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path


@pytest.fixture
def start(repo: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a job that holds its lock; it is ended after the test."""
    processes = []

    def starter(first: str = "", then: str = "time.sleep(600)", **variables: str) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(repo / "workflow/lib")} | variables
        words = [sys.executable, "-c", JOB.format(first=first, then=then), LOG]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield starter
    for process in processes:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """The job, when it holds its lock."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def slurm(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a SLURM whose queue is a file."""
    place = tmp_path_factory.mktemp("slurm")
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (place / name).write_text("#!/bin/sh\n" + text.format(folder=place))
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    (place / "queue").write_text(
        f"12|RUNNING|{folder}|rule_train_model_wildcards_l2~1\n13|PENDING|{folder}|rule_embed|odd\n"
        f"14|RUNNING|{folder}/other|rule_train_model\n15|RUNNING|{folder}|my own job\n"
    )
    return place


def leave_lock(holder: locks.Holder) -> None:
    """Leave the lock of a job whose process is gone, or cannot be seen from here."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    LOCK.write_text(str(holder))


def leave_snakemakes_lock(folder: Path, host: str = HOST) -> Path:
    """Leave what a killed Snakemake leaves: its lock, and its log that names the machine."""
    lock = folder / ".snakemake/locks/0.output.lock"
    log = folder / ".snakemake/log/2026-11-25T163635.732386.snakemake.log"
    for path, text in ((lock, "results/x\n"), (log, f"SNAKEMAKE\n=========\n  Host: {host}\n")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return lock


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_where_nothing_was_killed_nothing_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recover", "--if-idle"]) == 0
    assert printed(capsys) == ""
    assert main(["recover"]) == 0
    assert printed(capsys) == NEXT
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_snakemake_that_runs_is_named_and_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = leave_snakemakes_lock(folder)
    (folder / "snakemake").write_text("import sys; print(flush=True); sys.stdin.read()")
    words = [sys.executable, "snakemake", "--cores", "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [launch.process for launch in launches.running(folder)] == [process.pid]
        (folder / "beside").mkdir()
        assert launches.running(folder / "beside") == []
        for way in ([], ["--wait"], ["--if-idle"]):
            assert main(["recover", *way]) == 1
            assert f"Snakemake runs here: process {process.pid} on {HOST}, since " in printed(capsys)
        process.kill()
    assert lock.exists()
    assert main(["recover"]) == 0
    assert not lock.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/x/bin/python3.11", "-m", "snakemake", "--cores", "2"], True),
        (["/x/bin/python", "/x/bin/snakemake"], True),
        (["snakemake"], True),
        (["/x/bin/python", "-m", "snakemake", "--mode", "remote"], False),
        (["/x/bin/python", "-m", "snakemake", "--mode", "subprocess"], False),
        (["vim", "snakemake"], False),
        (["/x/bin/python", "-m", "lambdascape", "recover"], False),
        (["python"], False),
        ([], False),
    ],
)
def test_a_main_process_of_snakemake_is_known_by_its_command(words: list[str], expected: bool) -> None:
    assert launches._is_main(words) is expected


@pytest.mark.slow
@pytest.mark.parametrize("way", [[], ["--if-idle"]])
def test_after_a_kill_locks_and_half_written_files_go(
    folder: Path, capsys: pytest.CaptureFixture[str], way: list[str]
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock = leave_snakemakes_lock(folder)
    leave_lock(locks.Holder(ended.pid, HOST, locks.user_name()))
    gone = [
        f"results/demo/.a.tsv.{HOST}-{ended.pid}-r01234567.tsv",
        f"results/demo/.audio.{HOST}-{ended.pid}-r01234567",
        "results/demo/.b.tsv.node1-1-r89abcdef.tsv",  # every job holds a lock, and none is held
    ]
    kept = [f"results/demo/.a.tsv.{HOST}-{os.getpid()}-r01234567.tsv", "results/demo/a.tsv"]
    for name in (gone[0], gone[2], *kept, f"{gone[1]}/1.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert main(["recover", *way]) == 0
    told = printed(capsys)
    assert "Removed the lock that a killed Snakemake left.\n" in told
    assert all(f"Removed, half written: {name}\n" in told for name in gone)
    assert [path for path in (lock, LOCK, *map(Path, gone)) if path.exists()] == []
    assert [name for name in kept if not (folder / name).exists()] == []
    assert main(["recover"]) == 0
    assert printed(capsys) == NEXT


@pytest.mark.parametrize("first", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_job_that_goes_on_is_named_and_ended(
    start: Callable[..., subprocess.Popen[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    monkeypatch.setattr(survivors, "GRACE_S", 0.5)
    process = ready(start(first))
    named = f"demo/models/l2~1, process {process.pid} on {HOST}, user {locks.user_name()}"
    assert main(["recover", "--if-idle"]) == 1
    assert named in (told := printed(capsys))
    assert "`make recover` ends them" in told
    assert process.poll() is None
    assert main(["recover"]) == 0
    assert f"Ending {named}\n" in printed(capsys)
    assert not locks.is_alive(process.pid)
    assert not LOCK.exists()


def test_a_job_that_goes_on_can_be_waited_for(
    start: Callable[..., subprocess.Popen[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "REPORT_S", 0.0)
    process = ready(start(then="time.sleep(0.5); open('done', 'w')"))
    assert main(["recover", "--wait"]) == 0
    assert "Waiting for demo/models/l2~1, process " in (told := printed(capsys))
    assert "Still waiting for 1\n" in told
    assert process.wait(10) == 0
    assert Path("done").exists()


def test_of_two_processes_that_run_one_job_the_second_is_refused_and_the_first_named(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    first = ready(start())
    second = start("job_locks.WAIT_S = 0.1")
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"error: one process at a time may make what {LOG} is the log of; process {first.pid} on {HOST}" in said
    first.kill()
    first.wait()
    ready(start("job_locks.WAIT_S = 0.1"))


def test_a_job_waits_for_one_that_is_about_to_end(start: Callable[..., subprocess.Popen[str]]) -> None:
    first = ready(start(then="time.sleep(0.5)"))
    ready(start())
    assert first.wait(10) == 0


def test_a_lock_that_cannot_be_written_ends_the_job_with_the_reason(
    folder: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    (folder / "results").write_text("")
    process = start()
    assert process.communicate(timeout=60)[1] == f"error: a job must be able to lock {LOCK}; Not a directory\n"
    assert process.returncode == 1


def test_a_job_outside_the_folder_of_logs_has_no_lock(tmp_path: Path) -> None:
    with job_locks.owned("job.log"), job_locks.owned("job.log"):
        assert list(tmp_path.iterdir()) == []


def test_a_job_of_another_user_is_named_and_left_alone(
    start: Callable[..., subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    process = ready(start(LOGNAME="ada", USER="ada"))
    assert main(["recover"]) == 1
    assert f"process {process.pid} on {HOST}, user ada\nOnly ada can run `make recover`." in printed(capsys)
    assert process.poll() is None


def test_jobs_of_another_machine_are_ended_there_or_given_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_lock(locks.Holder(1, "elsewhere", locks.user_name()))
    assert main(["recover"]) == 1
    assert "Run `make recover` on elsewhere" in (told := printed(capsys))
    assert "--ended elsewhere" in told
    assert main(["recover", "--ended", "nobody"]) == 1
    assert main(["recover", "--ended", "nobody", "elsewhere"]) == 0
    assert not LOCK.exists()


@pytest.mark.slow
def test_a_lock_of_snakemake_of_another_machine_is_removed_there_or_given_up(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = leave_snakemakes_lock(folder, "elsewhere")
    for way in ([], ["--if-idle"]):
        assert main(["recover", *way]) == 1
        assert "Snakemake has locked this folder on elsewhere" in printed(capsys)
    assert lock.exists()
    assert main(["recover", "--ended", "elsewhere"]) == 0
    assert not lock.exists()


def test_a_refused_snakemake_does_not_hide_the_one_that_runs_elsewhere(folder: Path) -> None:
    leave_snakemakes_lock(folder, "elsewhere")
    refused = folder / ".snakemake/log/2026-11-25T163640.732386.snakemake.log"
    refused.write_text(f"  Host: {HOST}\n")
    assert launches.hosts_of_lock(folder) == {HOST, "elsewhere"}
    assert main(["recover"]) == 1
    old = time.time() - 3600
    os.utime(folder / ".snakemake/log/2026-11-25T163635.732386.snakemake.log", (old, old))
    assert launches.hosts_of_lock(folder) == {HOST}


def test_jobs_of_slurm_are_cancelled_whether_they_run_or_wait(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_lock(locks.Holder(1, "node1", locks.user_name(), "12"))
    assert main(["recover", "--if-idle"]) == 1
    running = f"demo/models/l2~1, process 1 on node1, user {locks.user_name()}, SLURM job 12, RUNNING"
    assert running in (told := printed(capsys))
    assert "rule_embed|odd, SLURM job 13, PENDING" in told
    assert not (slurm / "cancelled").exists()
    assert main(["recover"]) == 0
    assert (slurm / "cancelled").read_text() == "12 13\n"
    assert f"Ending {running}" in printed(capsys)
    assert not LOCK.exists()


def test_jobs_of_slurm_can_be_waited_for(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (slurm / "ending").touch()
    assert main(["recover", "--wait"]) == 0
    assert not (slurm / "cancelled").exists()
    assert "Waiting for rule_train_model_wildcards_l2~1, SLURM job 12" in printed(capsys)


def test_jobs_of_slurm_that_do_not_end_are_named(
    slurm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (slurm / "scancel").write_text("#!/bin/sh\n")
    monkeypatch.setattr(recovery, "CANCEL_S", 0.1)
    assert main(["recover"]) == 1
    assert "They have not ended: rule_train_model_wildcards_l2~1, SLURM job 12" in printed(capsys)


def test_a_job_whose_node_died_is_in_no_queue_and_holds_nothing(slurm: Path) -> None:
    (slurm / "queue").write_text("")
    leave_lock(locks.Holder(1, "node1", locks.user_name(), "12"))
    assert main(["recover", "--if-idle"]) == 0
    assert not LOCK.exists()


def test_a_job_beside_a_snakemake_that_slurm_runs_is_ended_by_a_signal(
    slurm: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """The allocation of SLURM is the user's own, and stays."""
    process = ready(start(SLURM_JOB_ID="15"))
    (slurm / "queue").write_text((slurm / "queue").read_text().splitlines()[-1] + "\n")
    assert main(["recover"]) == 0
    assert not (slurm / "cancelled").exists()
    assert not locks.is_alive(process.pid)


@pytest.mark.slow
def test_a_slurm_that_does_not_answer_stops_the_recovery_where_jobs_may_run_in_it(
    folder: Path, slurm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (slurm / "down").touch()
    lock = leave_snakemakes_lock(folder)
    assert main(["recover"]) == 0  # the Snakemake that was killed had submitted nothing
    leave_snakemakes_lock(folder)
    log = next((folder / ".snakemake/log").iterdir())
    log.write_text(f"{log.read_text()}SLURM run ID: lambdascape_7a9c\n")
    assert main(["recover"]) == 1
    assert lock.exists()
    leave_lock(locks.Holder(1, "node1", locks.user_name(), "12"))
    for way in ([], ["--if-idle"]):
        assert main(["recover", *way]) == 1
        assert "SLURM must answer; squeue ended with 1: Unable to contact" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main(["recover"]) == 1
    assert "there is no squeue here" in capsys.readouterr().err


def test_snakemake_says_why_it_cannot_unlock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match=r"snakemake --unlock --snakefile /dev/null --directory .* failed"):
        launches.unlock(folder)
