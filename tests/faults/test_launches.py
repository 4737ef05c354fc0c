"""Two writers never spoil a result, and a kill costs a command (rows K3, K4, K5, L1, L2, C1 of the table of faults)."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lambdascape.jobs import job_locks
from lambdascape.operations import launches
from lambdascape.operations.verify import verify
from support.checkouts import Checkout, numbers_of_page, without_times

pytestmark = pytest.mark.long
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


def jobs(checkout: Checkout) -> list[int]:
    """The processes that run jobs of a checkout, by the locks that they hold."""
    return [holder.process for holder in job_locks.held(checkout.folder / "results").values()]


def started(checkout: Checkout, rng: np.random.Generator, *words: str) -> tuple[subprocess.Popen[str], int]:
    """A launch whose first job has run for a random while, and that job's process."""
    recovered = checkout.lambdascape("recover", "--if-idle")  # SIGHUP and SIGKILL leave Snakemake's lock behind
    assert recovered.returncode == 0, recovered.stdout
    process = checkout.start("--cores", "2", *words)
    found = until(lambda: jobs(checkout), process)
    assert found, process.communicate()[0]
    time.sleep(rng.uniform(0, 1.5))
    return process, found[0]


def make(checkout: Checkout, *words: str) -> subprocess.CompletedProcess[str]:
    """What `make run` does: recover where nothing runs, else stop; then Snakemake."""
    recovered = checkout.lambdascape("recover", "--if-idle")
    return recovered if recovered.returncode else checkout.snakemake("--cores", "2", *words)


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
        again = make(disturbed, target)
        assert again.returncode == 0, again.stdout
    assert kills
    last = make(disturbed)  # what follows from the model that was trained anew
    assert last.returncode == 0, last.stdout
    assert disturbed.planned() == {}
    assert_as_if_undisturbed(disturbed, finished, *PRODUCTS)
    assert len(numbers := numbers_of_page(finished)) > 100
    assert numbers_of_page(disturbed) == numbers
    assert disturbed.lambdascape("recover").returncode == 0  # half-written files of killed jobs go
    assert verify(disturbed.folder / "results")[0] == []


@pytest.mark.fault("K4")
def test_jobs_that_survive_the_main_process_are_named_and_a_second_writer_is_refused(
    disturbed: Checkout, finished: Checkout, count: Count
) -> None:
    rng = np.random.default_rng(2)
    for trial in range(count(3, 20)):
        forget(disturbed, 0)
        process, job = started(disturbed, rng, HISTORY)
        os.kill(job, signal.SIGSTOP)  # else it may have ended before the others ask
        process.kill()
        process.wait()
        named = f"tiny/models/{RUN}, process {job} on "
        second = make(disturbed, HISTORY)
        assert second.returncode == 1
        assert named in second.stdout
        second = disturbed.snakemake("--cores", "2", HISTORY)
        assert second.returncode != 0
        assert "LockException" in second.stdout
        # Whom that does not stop, the lock of the job does.
        third = disturbed.snakemake("--cores", "2", "--nolock", HISTORY)
        assert third.returncode != 0
        log = f"results/logs/tiny/models/{RUN}.log"
        assert f"one process at a time may make what {log} is the log of; process {job} on " in third.stdout
        os.kill(job, signal.SIGCONT)
        way = ["--wait"] if trial % 3 == 2 else []
        recovered = disturbed.lambdascape("recover", *way)
        assert recovered.returncode == 0, recovered.stdout
        assert f"{'Waiting for' if way else 'Ending'} {named}" in recovered.stdout or not jobs(disturbed)
        assert jobs(disturbed) == []
        ended(process)
        again = make(disturbed, HISTORY)
        assert again.returncode == 0, again.stdout
    assert_as_if_undisturbed(disturbed, finished, *MODEL)


@pytest.mark.fault("K5")
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
            (os.killpg if whom == "group" else os.kill)(job if whom == "job" else process.pid, number)
            said = ended(process)
            assert process.returncode != 0, (number, whom, said)
            if not until(lambda: not jobs(disturbed), seconds=10):
                second = make(disturbed, HISTORY)
                if second.returncode:  # else the job ended meanwhile, and all is made
                    assert f"process {job} on " in second.stdout
                assert disturbed.lambdascape("recover").returncode == 0
            assert jobs(disturbed) == []
    again = make(disturbed, HISTORY)
    assert again.returncode == 0, again.stdout
    assert_as_if_undisturbed(disturbed, finished, *MODEL)


@pytest.mark.fault("L1")
def test_of_two_launches_that_write_the_same_one_runs_and_snakemake_refuses_the_other(
    disturbed: Checkout, count: Count
) -> None:
    """Which of them runs, `make run` says at once; Snakemake lets those run side by side that share no file."""
    runs = disturbed.folder / "results/tiny/runs.tsv"
    good = runs.read_bytes()
    assert disturbed.lambdascape("recover").returncode == 0
    locked = disturbed.folder / ".snakemake/locks"
    seconds = []
    for trial in range(count(4, 20)):
        first = disturbed.start("--cores", "1", *RUNS_AGAIN)
        assert until(lambda: any(locked.glob("*.output.lock")), first)
        time.sleep(0.1)  # until the lock says what it locks
        first.send_signal(signal.SIGSTOP)  # else it may have ended before the others ask, on a busy machine
        second = disturbed.snakemake("--cores", "1", *RUNS_AGAIN)
        assert second.returncode == 1
        assert "LockException" in second.stdout
        before = seconds_of_children()
        told = make(disturbed, *(RUNS_AGAIN if trial % 2 else ("datasets",)))
        seconds.append(seconds_of_children() - before)
        assert told.returncode == 1
        assert f"Snakemake runs here: process {first.pid} on " in told.stdout
        first.send_signal(signal.SIGCONT)
        said = ended(first)
        assert first.returncode == 0, said
    assert runs.read_bytes() == good
    print(f"`make run` names the first after {np.median(seconds):.2f} s of one core, at most {max(seconds):.2f} s")
    assert np.median(seconds) < 2  # of a core, which a busy machine gives late


def seconds_of_children() -> float:
    """Seconds of a core that the processes took which this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.fault("L1")
def test_of_two_launches_at_once_no_result_is_spoilt(disturbed: Checkout, count: Count) -> None:
    runs = disturbed.folder / "results/tiny/runs.tsv"
    good = runs.read_bytes()
    for _ in range(count(3, 20)):
        pair = [disturbed.start("--cores", "1", *RUNS_AGAIN) for _ in range(2)]
        said = [ended(process) for process in pair]
        assert 0 in [process.returncode for process in pair], said
    again = make(disturbed, *RUNS_AGAIN)
    assert again.returncode == 0, again.stdout
    assert runs.read_bytes() == good


@pytest.mark.fault("L2")
def test_a_lock_of_the_dead_is_taken_over_and_one_of_another_machine_is_not(
    disturbed: Checkout, injected: Callable[[int], None]
) -> None:
    injected(2)
    process = disturbed.start("--cores", "1", *RUNS_AGAIN)
    assert until(lambda: launches.is_locked(disturbed.folder), process)
    os.killpg(process.pid, signal.SIGKILL)
    ended(process)
    assert until(lambda: not jobs(disturbed))
    run = disturbed.snakemake("--cores", "1", *RUNS_AGAIN)
    assert "LockException" in run.stdout
    run = make(disturbed, *RUNS_AGAIN)
    assert run.returncode == 0, run.stdout
    locks = disturbed.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/tiny/runs.tsv\n")
    log = max((disturbed.folder / ".snakemake/log").glob("*.snakemake.log"))
    log.write_text("  Host: elsewhere\n")
    run = make(disturbed, *RUNS_AGAIN)
    assert run.returncode == 1
    assert "Snakemake has locked this folder on elsewhere" in run.stdout
    assert "run `make recover` on elsewhere" in run.stdout
    assert disturbed.lambdascape("recover").returncode == 1
    assert disturbed.lambdascape("recover", "--ended", "elsewhere").returncode == 0
    assert make(disturbed, *RUNS_AGAIN).returncode == 0


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
def test_results_of_the_future_stop_what_is_made_of_them_and_a_touch_mends_them(
    finished: Checkout, tmp_path: Path
) -> None:
    """A clock that ran an hour ahead while they were made. Snakemake names files and dates; a training is kept."""
    checkout = finished.copy_to(tmp_path / "checkout")
    results = checkout.folder / "results"
    dated(results, lambda then: then + HOUR)
    forget(checkout, 0)
    model = results / f"tiny/models/{RUN}"
    run = checkout.snakemake("--cores", "2", HISTORY)
    assert run.returncode != 0
    assert "has older modification time" in run.stdout
    assert "clock skew" in run.stdout
    assert not (model / "history.tsv").exists()
    assert (results / f"checkpoints/tiny/{RUN}.h5").exists()
    for path in results.rglob("*"):
        path.touch()
    run = checkout.snakemake("--cores", "2", HISTORY)
    assert run.returncode == 0, run.stdout
    assert "going on after epoch 2" in (results / f"logs/tiny/models/{RUN}.log").read_text()
    assert content(model / "history.tsv") == content(finished.folder / HISTORY)
    assert "train_model" not in checkout.planned()
