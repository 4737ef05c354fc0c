"""The doctor lists what there is, and problems with their remedies; on machines that are made up here."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lambdascape.cli.main import main
from lambdascape.core import locks
from lambdascape.core.errors import InputError
from lambdascape.jobs import gpu_locks
from lambdascape.operations import doctor, launches, survivors
from lambdascape.operations.doctor import NOTE, OK, PROBLEM, Problem
from support.drivers import fake_driver, no_driver

GB = 1e9
AUTO = {"backend": "tensorflow", "device": "auto"}
GPU = AUTO | {"device": "gpu"}


@pytest.fixture(autouse=True)
def bare(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has chosen a card, and the locks of cards lie in a folder of the test."""
    for name in (gpu_locks.VISIBLE, *gpu_locks.SCHEDULED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("tmp")))


def state_of(finding: Problem) -> str:
    """Its state; a problem always has a remedy."""
    assert finding.remedy or finding.state != PROBLEM
    return finding.state


def test_a_package_that_is_missing_is_a_problem_and_another_version_a_note(tmp_path: Path) -> None:
    lock = tmp_path / "run.txt"
    found = doctor.metadata.version("numpy")
    good = f"numpy=={found} \\\n    --hash=sha256:00\n"
    lock.write_text(good + "no-such-package-here==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n")
    assert doctor.packages(lock) == Problem("packages", OK, "those of the lock (2)")
    lock.write_text(good + "pandas==0.1 \\\n")
    assert state_of(doctor.packages(lock)) == NOTE
    assert re.search(r"pandas [\d.]+ for 0\.1", doctor.packages(lock).words)
    lock.write_text(good + "no-such-package-here==1.0 \\\n")
    missing = doctor.packages(lock)
    assert (state_of(missing), missing.words) == (PROBLEM, "missing are no-such-package-here")
    assert state_of(doctor.packages(tmp_path / "none.txt")) == NOTE


def test_a_python_that_the_lock_does_not_know_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_of(doctor.python()) == OK
    monkeypatch.setattr(doctor, "PYTHONS", ((2, 7),))
    assert state_of(doctor.python()) == PROBLEM


@pytest.mark.parametrize(
    ("numbers", "state", "words"),
    [
        ((64 * GB, 50 * GB, None), OK, "64.0 GB, of which 50.0 GB free"),
        ((64 * GB, 50 * GB, 2 * GB), NOTE, "limited to 2.0 GB here"),
        ((8 * GB, 1 * GB, None), NOTE, "1.0 GB free"),
        ((None, None, None), NOTE, "not known"),
    ],
)
def test_memory_is_what_is_free_and_what_the_container_leaves(numbers: Any, state: str, words: str) -> None:
    found = doctor.room(*numbers)
    assert state_of(found) == state
    assert words in found.words


def test_cards_that_are_hidden_or_missing_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_driver(monkeypatch)
    assert "no driver of NVIDIA is installed" in doctor.driver(*gpu_locks.listed()).words
    fake_driver(monkeypatch, "Fake A", "Fake B")
    both = doctor.driver(*gpu_locks.listed())
    assert (state_of(both), both.words) == (OK, "0: Fake A, 1: Fake B")
    assert "--resources gpu=2" in both.remedy
    monkeypatch.setenv(gpu_locks.VISIBLE, "1")
    assert doctor.driver(*gpu_locks.listed()).words.endswith("CUDA_VISIBLE_DEVICES leaves 1")
    monkeypatch.setenv(gpu_locks.VISIBLE, "")
    assert state_of(doctor.driver(*gpu_locks.listed())) == NOTE


@pytest.mark.parametrize(
    ("seen", "present", "training", "state", "words", "remedy"),
    [
        (("cpu", ""), [], AUTO, OK, "computes on the processor, which the study uses", ""),
        (("Fake A", ""), ["Fake A"], AUTO, OK, "sees Fake A, which the study uses", ""),
        (("Fake A", ""), ["Fake A"], AUTO | {"device": "cpu"}, OK, "but on the processor: training.device", ""),
        (("cpu", ""), ["Fake A"], AUTO, NOTE, "though there is a GPU", "make env ACCELERATOR=cuda"),
        (("cpu", ""), ["Fake A"], AUTO | {"device": "cpu"}, OK, "computes on the processor", ""),
        (("cpu", ""), ["Fake A"], GPU, PROBLEM, "the study's training.device is gpu", "make env ACCELERATOR=cuda"),
        (("cpu", ""), [], GPU, PROBLEM, "sees no GPU", "Set training.device: auto"),
        (("", "ended with -11: no word"), [], AUTO, PROBLEM, "cannot be used, which the study uses; it ended", "anew"),
        (("", "said nothing in 1 s"), [], AUTO | {"backend": "jax"}, NOTE, "said nothing in 1 s", "anew"),
    ],
)
def test_a_backend_reports_what_it_computes_on_and_what_prevents_more(
    seen: tuple[str, str], present: list[str], training: dict[str, str], state: str, words: str, remedy: str
) -> None:
    found = doctor.backend_device("tensorflow", seen, present, training["backend"], training["device"])
    assert state_of(found) == state
    assert words in found.words
    assert remedy in found.remedy
    assert bool(found.remedy) == bool(remedy)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print('sees', 'Fake A')", ("Fake A", "")),
        ("import sys; print('noise'); sys.exit('ImportError: libcuda')", ("", "ended with 1: ImportError: libcuda")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ("", "ended with -11: no word")),
        ("import time; time.sleep(60)", ("", "said nothing in 0.5 s")),
    ],
)
def test_a_backend_that_crashes_or_hangs_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, program: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr(doctor, "ASK", program)
    assert doctor.ask("tensorflow", 0.5 if "sleep" in program else 60) == expected


@pytest.mark.parametrize(("free", "state"), [(100 * GB, OK), (5 * GB, NOTE), (0.5 * GB, PROBLEM)])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, state: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, int(free)))
    assert state_of(doctor.disk("results", tmp_path / "not/there/yet")) == state


def test_a_folder_in_the_place_of_which_lies_a_file_cannot_be_written_to(tmp_path: Path) -> None:
    assert state_of(doctor.writable("results", tmp_path / "not/there", "")) == OK
    (tmp_path / "file").write_text("")
    assert state_of(doctor.writable("results", tmp_path / "file/results", "")) == PROBLEM
    home = {"HOME": str(tmp_path / "file"), "MPLCONFIGDIR": str(tmp_path)}
    states = [state_of(finding) for finding in doctor.homes(home)]
    assert states == [PROBLEM, PROBLEM, OK]
    assert [state_of(finding) for finding in doctor.homes({"HOME": str(tmp_path)})] == [OK, OK, OK]


@pytest.mark.parametrize(
    ("written", "state"), [(100.5, OK), (101.05, OK), (99.95, OK), (102.0, NOTE), (99.0, NOTE), (90.0, PROBLEM)]
)
def test_a_file_systems_clock_that_differs_is_told(written: float, state: str) -> None:
    assert state_of(doctor.judged_clock(100, written, 101)) == state


def test_this_machines_clock_is_compared_and_nothing_stays_behind(tmp_path: Path) -> None:
    assert state_of(doctor.clock(tmp_path / "results")) == OK
    assert list(tmp_path.iterdir()) == []


def test_a_snakemake_that_runs_or_was_killed_and_jobs_that_go_on_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.launched(tmp_path) == Problem("runs", OK, "no Snakemake, no job")
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    assert state_of(doctor.launched(tmp_path)) == NOTE
    lock = tmp_path / "results/locks/demo/models/l2~1.lock"
    lock.parent.mkdir(parents=True)
    stream = locks.take(lock)
    assert stream is not None
    with locks.released(stream):
        found = doctor.launched(tmp_path)
        assert (state_of(found), found.remedy) == (PROBLEM, "`make recover` ends them")
        assert f"demo/models/l2~1, {locks.this_process()}" in found.words
        monkeypatch.setattr(launches, "running", lambda _: [launches.Launch(7, "noon", "snakemake")])
        assert doctor.launched(tmp_path).words.startswith("Snakemake runs here: process 7 on ")


def test_a_slurm_that_does_not_answer_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise InputError("SLURM must answer; squeue ended with 1")

    monkeypatch.setattr(survivors, "find", fail)
    assert state_of(doctor.launched(tmp_path)) == PROBLEM


def test_half_written_files_of_the_dead_are_told_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = socket.gethostname()
    (tmp_path / f".a.tsv.{host}-{os.getpid()}.tsv").write_text("half")
    (tmp_path / ".b.tsv.elsewhere-1.tsv").write_text("half")
    assert state_of(doctor.left_over(tmp_path)) == OK
    (tmp_path / "deep").mkdir()
    dead = tmp_path / f"deep/.a.tsv.{host}-{ended.pid}.tsv"
    dead.write_text("half")
    found = doctor.left_over(tmp_path)
    assert (state_of(found), found.words) == (NOTE, f"half-written: {dead}")


def test_only_a_problem_gives_exit_code_1_and_remedies_stand_below(capsys: pytest.CaptureFixture[str]) -> None:
    fine = [Problem("a", OK, "good"), Problem("b", NOTE, "odd", "look")]
    assert doctor.report(fine) == 0
    assert doctor.report([*fine, Problem("c", PROBLEM, "bad", "mend")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "note", "→", "ok", "note", "→", "problem", "→"]


def test_the_command_fits_a_screen_and_asks_what_the_study_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "ask", lambda backend: ("cpu", ""))
    no_driver(monkeypatch)
    (tmp_path / "base.yaml").write_text("study: x\ntraining: {backend: jax, device: auto}\n")
    (tmp_path / "over.yaml").write_text("training: {device: gpu}\n")
    assert main(["doctor", "--study", "base.yaml"]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= 24
    assert max(map(len, said.splitlines())) <= 160
    assert re.search(r"^ok +jax +computes on the processor, which the study uses$", said, re.M)
    assert main(["doctor", "--study", "base.yaml", "over.yaml"]) == 1
    assert re.search(r"^problem +jax +sees no GPU", capsys.readouterr().out, re.M)
    assert main(["doctor", "--study", "none.yaml"]) == 1
    assert "--study: must be a readable YAML file" in capsys.readouterr().err


def test_the_doctor_comes_where_no_package_is_installed(repo: Path) -> None:
    code = "import sys, lambdascape.cli.main, lambdascape.operations.doctor; print('numpy' in sys.modules)"
    environment = {"PYTHONPATH": str(repo / "workflow/lib"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "False\n"), run.stderr
