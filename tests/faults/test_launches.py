"""One launch writes, and a killed one costs a command (rows K3, K4, K5, L1, L2 and C1 of the table of faults)."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from checkouts import Checkout, numbers_of_page, without_times
from lambdascape.operations import launch_lock, orphans
from lambdascape.operations.verify import verify

Count = Callable[[int, int], int]
RUN = "l2~1_seed~1"
RUNS_AGAIN = ("results/tiny/runs.tsv", "--forcerun", "write_runs")  # behind the target, which it would take for a rule
HISTORY = f"results/tiny/models/{RUN}/history.tsv"
# What a trial makes anew: the target, and the files to delete for it; without its checkpoint a model is trained.
STAGES = (
    (HISTORY, f"models/{RUN}/*", f"../checkpoints/tiny/{RUN}.h5"),
    ("results/tiny/embeddings/mean_logmel.h5", "embeddings/mean_logmel.h5*"),
    ("results/tiny/probes/mean_logmel/converged.tsv", "probes/mean_logmel/converged*"),
    ("results/tiny/report/index.html", "report/*", "tables/training.tsv", "tables/claims.tsv"),
    (f"results/tiny/geometry/{RUN}.tsv", f"geometry/{RUN}*"),
    ("similarity", "similarity/*.tsv"),
)
MODEL = (f"models/{RUN}/*.sha256", f"models/{RUN}/*.tsv")
PRODUCTS = ("tables/*.tsv", "probes/*/*.tsv", "geometry/*.tsv", "similarity/*.tsv", "models/*/*.tsv", "*/*.sha256")


@pytest.fixture(scope="module")
def disturbed(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A finished study of this module's own, to be torn and mended."""
    return finished.copy_to(tmp_path_factory.mktemp("disturbed") / "checkout")


def forget(checkout: Checkout, stage: int) -> str:
    """Delete the products of a stage; returns the target that makes them."""
    target, *patterns = STAGES[stage]
    for pattern in patterns:
        for path in (checkout.folder / "results/tiny").glob(pattern):
            path.unlink()
    return target


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None, seconds: float = 120) -> Any:
    """Wait for something to be true, at most until a process has ended; returns it."""
    limit = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < limit and (process is None or process.poll() is None):
        time.sleep(0.02)
    return met


def jobs(checkout: Checkout) -> list[orphans.Orphan]:
    """The processes that run jobs of a checkout."""
    return orphans.here([checkout.folder])


def started(checkout: Checkout, rng: np.random.Generator, *words: str) -> tuple[subprocess.Popen[str], orphans.Orphan]:
    """A launch whose first job has run for a random while."""
    process = checkout.start("--cores", "2", *words)
    found = until(lambda: jobs(checkout), process)
    assert found, process.communicate()[0]
    time.sleep(rng.uniform(0, 1.5))
    return process, found[0]


def ended(process: subprocess.Popen[str]) -> str:
    """What a launch has said, when it has ended."""
    return process.communicate(timeout=300)[0]


def content(path: Path) -> Any:
    """What stands in a product, but for what its making took."""
    return without_times(path) if path.suffix == ".tsv" else path.read_text()


def assert_as_if_undisturbed(checkout: Checkout, finished: Checkout, *patterns: str) -> None:
    """Products are those that a launch makes which nobody disturbs; only times may differ."""
    for pattern in patterns:
        good = sorted((finished.folder / "results/tiny").glob(pattern))
        assert good
        for path in good:
            place = checkout.folder / path.relative_to(finished.folder)
            assert content(place) == content(path), place


@pytest.mark.fault("K3")
@pytest.mark.slow
def test_a_kill_of_everything_costs_the_same_command(disturbed: Checkout, finished: Checkout, count: Count) -> None:
    rng = np.random.default_rng(1)
    kills = 0
    for trial in range(count(5, 30)):
        target = forget(disturbed, trial % len(STAGES))
        process, _ = started(disturbed, rng, target)
        os.killpg(process.pid, signal.SIGKILL)
        said = ended(process)
        assert "WorkflowError" not in said
        kills += process.returncode == -signal.SIGKILL
        assert until(lambda: not jobs(disturbed))
        again = disturbed.snakemake("--cores", "2", target)
        assert again.returncode == 0, again.stdout
    assert kills
    last = disturbed.snakemake("--cores", "2")  # what follows from the model that was trained anew
    assert last.returncode == 0, last.stdout
    assert disturbed.planned() == {}
    assert_as_if_undisturbed(disturbed, finished, *PRODUCTS)
    assert len(numbers := numbers_of_page(finished)) > 100
    assert numbers_of_page(disturbed) == numbers
    assert disturbed.lambdascape("recover").returncode == 0  # half-written files of killed jobs go
    assert verify(disturbed.folder / "results")[0] == []


@pytest.mark.fault("K4")
@pytest.mark.slow
def test_a_kill_of_the_main_process_alone_leaves_jobs_that_stop_the_next(
    disturbed: Checkout, finished: Checkout, count: Count
) -> None:
    rng = np.random.default_rng(2)
    for trial in range(count(3, 20)):
        forget(disturbed, 0)
        process, job = started(disturbed, rng, HISTORY)
        process.kill()
        second = disturbed.snakemake("--cores", "2", HISTORY)
        assert second.returncode != 0
        assert f"train_model, process {job.process.pid}, since " in second.stdout
        assert "Building DAG" not in second.stdout
        recovered = disturbed.lambdascape("recover", *(["--wait"] if trial % 3 == 2 else []))
        assert recovered.returncode == 0, recovered.stdout
        assert f"A launch was killed: process {process.pid} on " in recovered.stdout
        assert f"train_model, process {job.process.pid}, since " in recovered.stdout
        assert jobs(disturbed) == []
        ended(process)
        again = disturbed.snakemake("--cores", "2", HISTORY)
        assert again.returncode == 0, again.stdout
    assert_as_if_undisturbed(disturbed, finished, *MODEL)


@pytest.mark.fault("K5")
@pytest.mark.slow
def test_a_signal_stops_with_an_exit_code_and_leaves_no_job_unnamed(
    disturbed: Checkout, finished: Checkout, injected: Callable[[int], None]
) -> None:
    rng = np.random.default_rng(3)
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    injected(len(signals) * 3)
    for number in signals:
        for whom in ("main", "group", "job"):
            forget(disturbed, 0)
            process, job = started(disturbed, rng, HISTORY)
            target = job.process.pid if whom == "job" else process.pid
            (os.killpg if whom == "group" else os.kill)(target, number)
            said = ended(process)
            assert process.returncode != 0, (number, whom, said)
            if not until(lambda: not jobs(disturbed), seconds=10):
                second = disturbed.snakemake("--cores", "2", HISTORY)
                if second.returncode:  # else the job ended while the second launch started, and all is made
                    assert f"process {job.process.pid}, since " in second.stdout
                assert disturbed.lambdascape("recover").returncode == 0
            assert jobs(disturbed) == []
    again = disturbed.snakemake("--cores", "2", HISTORY)
    assert again.returncode == 0, again.stdout
    assert_as_if_undisturbed(disturbed, finished, *MODEL)


def owner_among(checkout: Checkout, processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str] | None:
    """Which of some launches owns the results."""
    launch = launch_lock.read(checkout.folder / "results")
    return next((one for one in processes if launch and not launch.ended and launch.process == one.pid), None)


@pytest.mark.fault("L1")
@pytest.mark.slow
def test_of_two_launches_at_once_one_runs_and_the_other_hears_of_it_at_once(disturbed: Checkout, count: Count) -> None:
    seconds = []
    runs = disturbed.folder / "results/tiny/runs.tsv"
    good = runs.read_bytes()
    for trial in range(count(20, 100)):
        other = RUNS_AGAIN if trial % 2 else ("datasets",)
        pair = [
            disturbed.start("--cores", "1", *RUNS_AGAIN),
            disturbed.start("--cores", "1", *other),
        ]
        winner = until(partial(owner_among, disturbed, pair))
        assert winner
        loser = next(process for process in pair if process is not winner)
        winner.send_signal(signal.SIGSTOP)  # else it may have ended before the other asks, on a busy machine
        said = ended_with_its_cost(loser, seconds)
        winner.send_signal(signal.SIGCONT)
        told = ended(winner)
        assert (winner.returncode, loser.returncode) == (0, 1), (told, said)
        assert f"One launch at a time: here runs process {winner.pid} on " in said
        assert "Building DAG" not in said
    assert runs.read_bytes() == good
    print(f"a launch that is refused takes {np.median(seconds):.2f} s of one core, at most {max(seconds):.2f} s")
    assert np.median(seconds) < 2  # of a core, which a busy machine gives late


def ended_with_its_cost(process: subprocess.Popen[str], seconds: list[float]) -> str:
    """What a launch has said, when it has ended; the seconds of a core that it took are noted."""
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds.append(usage.ru_utime + usage.ru_stime)
    return said


@pytest.mark.fault("L2")
def test_a_lock_of_the_dead_is_taken_over_and_one_of_another_machine_is_not(
    disturbed: Checkout, injected: Callable[[int], None]
) -> None:
    injected(2)
    results = disturbed.folder / "results"
    process = subprocess.Popen(["true"])
    process.wait()
    dead = launch_lock.here(["snakemake", "--cores", "all"]).__dict__ | {"process": process.pid, "tick": "1"}
    (results / launch_lock.RECORD).write_text(json.dumps(dead))
    stale = disturbed.folder / ".snakemake/locks/0.output.lock"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_text("results/tiny/runs.tsv\n")
    words = ("--cores", "1", *RUNS_AGAIN)
    run = disturbed.snakemake(*words)
    assert run.returncode == 0, run.stdout
    elsewhere = dead | {"host": "elsewhere", "boot": "another"}
    (results / launch_lock.RECORD).write_text(json.dumps(elsewhere))
    run = disturbed.snakemake(*words)
    assert run.returncode != 0
    assert f"there may still run process {process.pid} on elsewhere, since " in run.stdout
    assert "`make recover` on elsewhere" in run.stdout
    assert disturbed.lambdascape("recover").returncode == 1
    assert disturbed.lambdascape("recover", "--ended", "elsewhere").returncode == 0
    assert disturbed.snakemake(*words).returncode == 0


def dated(folder: Path, date: Callable[[float], float]) -> None:
    """Change the dates of all files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (date(path.stat().st_mtime),) * 2)


FOLDER = """\
study: dated
dataset: {name: dated, adapter: folder, path: audio, title: noise, licence: none}
features: {n_mels: 16, n_shards: 1}
triplets: {tile_s: 0.4, neighbourhood_s: 0.4}
"""
HOUR, TEN_YEARS = 3600.0, 10 * 365 * 86400.0


@pytest.mark.fault("C1")
@pytest.mark.slow
def test_dates_of_the_users_audio_decide_nothing(checkout: Checkout, injected: Callable[[int], None]) -> None:
    injected(3)
    audio = checkout.folder / "audio"
    audio.mkdir()
    for number in range(6):
        samples = np.random.default_rng(number).normal(scale=0.1, size=16000)
        soundfile.write(audio / f"{number}.wav", samples, 16000)
    (checkout.folder / "dated.yaml").write_text(FOLDER)
    dated(audio, lambda now: now + 2 * HOUR)
    run = checkout.snakemake("--cores", "2", "features", config="dated.yaml")
    assert run.returncode == 0, run.stdout
    for date in (lambda now: now - TEN_YEARS, lambda now: 1.6e9):
        dated(audio, date)
        assert checkout.planned("features", config="dated.yaml") == {}
        run = checkout.snakemake("--cores", "1", "datasets", "--forcerun", "list_clips", config="dated.yaml")
        assert run.returncode == 0, run.stdout


@pytest.mark.fault("C1")
def test_results_of_one_date_or_of_the_past_redo_nothing(
    finished: Checkout, tmp_path: Path, injected: Callable[[int], None]
) -> None:
    injected(2)
    checkout = finished.copy_to(tmp_path / "checkout")
    for date in (lambda then: then - HOUR, lambda then: 1.6e9):
        dated(checkout.folder / "results", date)
        assert checkout.planned() == {}


@pytest.mark.fault("C1")
def test_results_of_the_future_are_named_before_any_job_and_one_command_mends_them(
    finished: Checkout, tmp_path: Path
) -> None:
    """A clock that ran an hour ahead while they were made, or runs an hour behind now."""
    checkout = finished.copy_to(tmp_path / "checkout")
    results = checkout.folder / "results"
    dated(results, lambda then: then + HOUR)
    (results / "tiny/runs.tsv").unlink()
    places = ("tiny", "datasets", "features")
    before = {path: path.read_bytes() for place in places for path in (results / place).rglob("*.*") if path.is_file()}
    run = checkout.snakemake("--cores", "2")
    assert run.returncode != 0
    assert "Dated in the future" in run.stdout
    assert "make recover" in run.stdout
    assert {path: path.read_bytes() for path in before} == before
    recovered = checkout.lambdascape("recover")
    assert recovered.returncode == 0
    assert re.search(r"Dated now, \d+ files that were dated in the future", recovered.stdout)
    run = checkout.snakemake("--cores", "2", "results/tiny/runs.tsv")
    assert run.returncode == 0, run.stdout
    assert (results / "tiny/runs.tsv").read_bytes() == (finished.folder / "results/tiny/runs.tsv").read_bytes()
    assert {path: path.read_bytes() for path in before} == before
    assert checkout.planned() == {}
