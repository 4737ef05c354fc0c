"""After a kill one command ends what goes on, opens what is locked, removes what is half-written; SLURM is made up."""

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lambdascape.cli.main import main
from lambdascape.core import locks
from lambdascape.operations import clock_skew, launch_lock, orphans, recovery

WORDS = ["snakemake", "--cores", "all"]
RUN = "7a9c16e2-1d0c-4b3e-9b43-0e4a5d1f2c11"
# One line per job in `queue`. Cancelled jobs are there once more, as on a real cluster; `ending` ones go one by one.
SQUEUE = """\
[ -e {folder}/down ] && {{ echo 'Unable to contact slurm controller' >&2; exit 1; }}
[ "$3" = {run} ] || exit 9
cat {folder}/queue
[ -e {folder}/cancelled ] && : > {folder}/queue
[ -e {folder}/ending ] && sed -i 1d {folder}/queue
exit 0
"""
SCANCEL = 'echo "$@" >> {folder}/cancelled\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recovery, "POLL_S", 0.02)
    (tmp_path / "results").mkdir()
    return tmp_path


@pytest.fixture
def slurm(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a SLURM whose queue is a file, and the log of a launch that used it."""
    place = tmp_path_factory.mktemp("slurm")
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        program = place / name
        program.write_text("#!/bin/sh\n" + text.format(folder=place, run=RUN))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    (place / "queue").write_text("12|RUNNING|node1|rule_train_model_wildcards_l2~1\n13|PENDING||rule_embed|odd\n")
    log = folder / ".snakemake/log/2026-11-25T163635.732386.snakemake.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"host: vm\nSLURM run ID: {RUN}\n")
    return place


def killed(**changes: object) -> launch_lock.Launch:
    """Leave the record of a launch whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    launch = replace(launch_lock.here(WORDS), process=process.pid, **changes)  # type: ignore[arg-type]
    launch_lock.write(Path("results"), launch)
    return launch


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_where_nothing_happened_there_is_nothing_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recover"]) == 0
    assert said(capsys) == "Nothing is in the way: the same command as before continues.\n"
    (folder / "results/launch.lock").unlink()
    (folder / "results").rmdir()
    assert main(["recover"]) == 0
    assert "no results here" in said(capsys)


def test_a_launch_that_runs_is_left_alone(folder: Path, slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".snakemake/locks").mkdir()
    lock = locks.take("results/launch.lock")
    assert lock is not None
    mine = launch_lock.here(WORDS)
    launch_lock.write(Path("results"), mine)
    with locks.released(lock):
        assert main(["recover"]) == 1
    assert str(mine) in said(capsys)
    assert not (slurm / "cancelled").exists()
    assert (folder / ".snakemake/locks").exists()


def test_after_a_kill_locks_and_half_written_files_go_and_the_next_launch_begins(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = killed()
    host = socket.gethostname()
    dead = [f"results/demo/.a.tsv.{host}-{launch.process}.tsv", f"results/demo/.audio.{host}-{launch.process}"]
    kept = [
        f"results/demo/.a.tsv.{host}-{os.getpid()}.tsv",
        "results/demo/.b.tsv.elsewhere-1.tsv",
        "results/demo/a.tsv",
    ]
    for name in (dead[0], *kept, f"{dead[1]}/1.wav", ".snakemake/locks/0.input.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert main(["recover"]) == 0
    told = said(capsys)
    assert f"A launch was killed: {launch}" in told
    assert all(f"half-written: {name}\n" in told for name in dead)
    assert [name for name in (*dead, ".snakemake/locks") if (folder / name).exists()] == []
    assert [name for name in kept if not (folder / name).exists()] == []
    assert main(["recover"]) == 0
    assert said(capsys).count("\n") == 1
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())


def test_jobs_of_slurm_are_in_the_way_and_are_cancelled(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch = killed()
    in_the_way = launch_lock.begin(WORDS)
    assert "SLURM job 12, RUNNING on node1: rule_train_model_wildcards_l2~1" in in_the_way
    assert "SLURM job 13, PENDING: rule_embed|odd" in in_the_way
    assert launch_lock.read(Path("results")) == launch
    assert main(["recover", "--cancel"]) == 0
    assert (slurm / "cancelled").read_text() == "12 13\n"
    assert "Ending SLURM job 12" in said(capsys)
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())


def test_jobs_of_slurm_can_be_waited_for(
    slurm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed()
    monkeypatch.setattr(recovery, "TELL_S", 0.0)
    (slurm / "ending").touch()
    assert main(["recover", "--wait"]) == 0
    assert not (slurm / "cancelled").exists()
    assert "Waiting for SLURM job 12" in (told := said(capsys))
    assert "Still waiting, for 1" in told


def test_jobs_of_slurm_that_do_not_end_are_named(
    slurm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = killed()
    (slurm / "scancel").write_text("#!/bin/sh\n")
    monkeypatch.setattr(recovery, "CANCEL_S", 0.1)
    assert main(["recover"]) == 1
    assert "They have not ended: SLURM job 12" in said(capsys)
    assert launch_lock.read(Path("results")) == launch


def test_a_slurm_that_does_not_answer_stops_the_launch_and_the_recovery(
    slurm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed()
    (slurm / "down").touch()
    assert "SLURM must answer; squeue ended with 1: Unable to contact" in launch_lock.begin(WORDS)
    assert main(["recover"]) == 1
    assert "SLURM must answer" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert "there is no squeue here" in launch_lock.begin(WORDS)


def test_jobs_that_a_launch_could_not_cancel_as_it_ended_are_in_the_way(slurm: Path) -> None:
    launch_lock.write(Path("results"), launch_lock.closed(killed()))
    assert "SLURM job 12, RUNNING on node1" in launch_lock.begin(WORDS)
    assert main(["recover"]) == 0
    assert (slurm / "cancelled").read_text() == "12 13\n"


def test_a_slurm_that_is_away_stops_nothing_after_a_launch_that_ended_by_itself_or_used_none(slurm: Path) -> None:
    (slurm / "down").touch()
    launch_lock.write(Path("results"), launch_lock.closed(killed()))
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())
    killed(began=time.time() + 7200)
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())


def test_with_an_empty_queue_what_nodes_left_half_written_goes_too(folder: Path, slurm: Path) -> None:
    killed()
    left = folder / "results/.b.tsv.node1-1.tsv"
    left.write_text("x")
    assert main(["recover"]) == 0
    assert not left.exists()


def test_another_machine_must_be_given_up_by_the_user(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch = killed(host="elsewhere", boot="another")
    left = folder / "results/.b.tsv.elsewhere-1.tsv"
    left.write_text("x")
    assert main(["recover"]) == 1
    assert str(launch) in said(capsys)
    assert main(["recover", "--ended", "nobody"]) == 1
    assert left.exists()
    assert main(["recover", "--ended", "nobody", "elsewhere"]) == 0
    assert not left.exists()
    assert launch_lock.in_the_way(Path("results")) == ""


@pytest.mark.parametrize("wait", [False, True])
def test_processes_that_go_on_are_ended_or_waited_for(
    folder: Path, capsys: pytest.CaptureFixture[str], wait: bool
) -> None:
    killed()
    script = folder / ".snakemake/scripts/tmp0.embed_trained.py"
    script.parent.mkdir(parents=True)
    script.write_text(f"import time; time.sleep({0.5 if wait else 600}); open('done', 'w')")
    with subprocess.Popen([sys.executable, str(script)]) as process:
        try:
            while not orphans.here([folder]):
                assert process.poll() is None
            assert main(["recover", *(["--wait"] if wait else [])]) == 0
        finally:
            process.kill()
    assert Path("done").exists() == wait
    assert f"{'Waiting for' if wait else 'Ending'} embed_trained, process {process.pid}" in said(capsys)


def test_dates_in_the_future_are_in_the_way_and_are_mended(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hour = time.time() + 3600
    files = ["demo/runs.tsv", "features/x/y/features.h5.sha256", "datasets/x/audio/.snakemake_timestamp"]
    no_inputs = ["datasets/x/audio/1.wav", "logs/a.log", "demo/.hidden", "launch.json", "checkpoints/demo/a.h5"]
    for name in (*files, *no_inputs):
        path = folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        os.utime(path, (hour, hour))
    found = clock_skew.ahead(Path("results"), time.time())
    assert {str(path.relative_to("results")) for path, _ in found} == set(files)
    assert all(3590 < seconds <= 3600 for _, seconds in found)
    told = launch_lock.begin(WORDS)
    assert all(name in told for name in files)
    assert not any(name in told for name in no_inputs)
    assert main(["recover"]) == 0
    assert re.search(r"Dated now, 3 files that were dated in the future, by up to 3,\d+ s", said(capsys))
    assert clock_skew.ahead(Path("results"), time.time()) == []
    assert launch_lock.begin(WORDS) == ""
    launch_lock.end(Path("results").absolute())


def test_many_dates_in_the_future_are_counted() -> None:
    found = [(Path(str(number)), 60.0) for number in range(5)]
    assert "and 2 more" in clock_skew.told(found)
    assert clock_skew.told([]) == ""
