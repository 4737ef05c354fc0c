"""A fault costs a training one epoch at most and changes nothing (rows K2, K5, F1, F2, D2 and O1 of the faults)."""

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import RunSettings
from lambdascape.core import hdf5
from lambdascape.core.tsv import read_table
from lambdascape.features import store
from lambdascape.jobs.job import job
from lambdascape.models import checkpoints
from support.networks import NETWORK, TRAINING
from support.stores import write_clips

Count = Callable[[int, int], int]
EPOCHS = 4
SETTINGS: dict[str, Any] = {
    "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
    "network": NETWORK | {"l2": 0.1},
    "training": TRAINING | {"epochs": EPOCHS, "lr_schedule": "exponential"},
}
PRODUCTS = ("embedder.weights.h5", "history.tsv", "layers.tsv", "checkpoint.h5")


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_clips(tmp_path_factory.mktemp("audio"), 16, held_out=6, tone=0.0)


def train_in(folder: Path, audio: tuple[Path, Path], fault: Callable[[], None] | None = None) -> None:
    """One job that trains, in a process of its own; one block is enough to learn, and is traced in seconds."""
    from lambdascape.models.networks import resnet
    from lambdascape.models.training import train

    resnet.DEPTHS["resnet18"] = (1,)
    if fault:
        fault()
    with job(str(folder / "log.txt")):
        train(*audio, "b", RunSettings.of(SETTINGS), 1, *(folder / name for name in PRODUCTS), code="code")
    assert os.environ.get("KERAS_BACKEND") != "jax" or "tensorflow" not in sys.modules  # which costs seconds


def started(folder: Path, audio: tuple[Path, Path], fault: Callable[[], None] | None = None) -> Any:
    """The process: the packages are imported once, in the server from which all of them fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lambdascape.models.training"])
    folder.mkdir(exist_ok=True)
    process = context.Process(target=train_in, args=(folder, audio, fault))
    process.start()
    return process


def outcome(folder: Path) -> tuple[list[np.ndarray], pd.DataFrame, pd.DataFrame]:
    """Every weight, the history without the seconds, and what became of the layers."""
    arrays: list[np.ndarray] = []
    with h5py.File(folder / PRODUCTS[0], "r") as file:
        file.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    history = read_table(folder / PRODUCTS[1], text=("split", "device")).drop(columns="seconds")
    return arrays, history, read_table(folder / PRODUCTS[2], text=("group",))


def optimiser(folder: Path) -> list[np.ndarray]:
    """Every variable that the checkpoint holds, the optimiser's among them."""
    with h5py.File(folder / PRODUCTS[-1], "r") as file:
        return [file[name][()] for name in sorted(file)]


def started_on_jax(folder: Path, audio: tuple[Path, Path]) -> Any:
    """The same with the other backend, which each process imports for itself."""
    folder.mkdir(exist_ok=True)
    process = multiprocessing.get_context("spawn").Process(target=train_in, args=(folder, audio))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        process.start()
    return process


def timed(process: Any) -> float:
    """Seconds until the process has ended well."""
    begun = time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def whole(audio: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The folder of a run that nothing disturbed, and how many seconds it took."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, timed(started(folder, audio))


def assert_same(folder: Path, whole: Path) -> None:
    (arrays, *tables), (expected, *expected_tables) = outcome(folder), outcome(whole)
    for table, expected_table in zip(tables, expected_tables, strict=True):
        pd.testing.assert_frame_equal(table, expected_table, check_exact=True)
    for found, wanted in ((arrays, expected), (optimiser(folder), optimiser(whole))):
        assert len(found) == len(wanted)
        assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert [path.name for path in folder.glob(".*")] == []


def kill_at_random(start: Callable[[], Any], rng: np.random.Generator, seconds: float) -> int:
    """Start and kill until the training ends by itself; how many times it was killed."""
    kills = 0
    while True:
        process = start()
        process.join(rng.uniform(0.2, 1) * seconds * 1.2**kills)  # a machine that has become slow gets there, too
        if process.exitcode is not None:
            assert process.exitcode == 0
            return kills
        os.kill(process.pid, rng.choice([signal.SIGKILL, signal.SIGTERM]))
        process.join()
        kills += 1


def kill_until(kills: int, start: Callable[[Path], Any], folder: Path, whole: tuple[Path, float]) -> None:
    """Kill trainings, so many times in all; each must end as the one that nothing disturbed."""
    rng, done, trial = np.random.default_rng(1), 0, 0
    while done < kills:
        done += kill_at_random(partial(start, folder / str(trial)), rng, whole[1])
        assert_same(folder / str(trial), whole[0])
        trial += 1


@pytest.mark.fault("K2")
def test_kills_at_any_time_change_nothing(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    kill_until(count(5, 50), partial(started, audio=audio), tmp_path, whole)


@pytest.mark.long
@pytest.mark.fault("K2")
def test_kills_at_any_time_change_nothing_on_jax(audio: tuple[Path, Path], tmp_path: Path, count: Count) -> None:
    seconds = timed(started_on_jax(tmp_path / "whole", audio))
    start = partial(started_on_jax, audio=audio)
    kill_until(count(5, 50), start, tmp_path, (tmp_path / "whole", seconds))


def kill_inside_the_save() -> None:
    """Let the second save die before the rename."""
    saves = []
    original = checkpoints.save

    def save(path: Path, key: str, state: checkpoints.State) -> None:
        saves.append(path)
        if len(saves) == 2:
            replace = Path.replace
            Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
            original(path, key, state)
            Path.replace = replace  # type: ignore[method-assign]
        original(path, key, state)

    checkpoints.save = save


def no_memory_for_batch(number: int) -> None:
    """Let one batch, counted from the start of the process, find no memory."""
    calls = []
    original = store.Features.tiles

    def tiles(*values: Any) -> Any:
        calls.append(values)
        if len(calls) == number:
            raise MemoryError("no memory for a batch")
        return original(*values)

    store.Features.tiles = tiles  # type: ignore[method-assign]


def full_disk_at_the_save(number: int, ballast: Path, room: int) -> None:
    """Let one save find so many bytes on the disk."""
    saves = []
    original = checkpoints.save

    def save(path: Path, key: str, state: checkpoints.State) -> None:
        saves.append(path)
        if len(saves) == number:
            free = shutil.disk_usage(ballast.parent).free
            ballast.write_bytes(bytes(free - room))
        original(path, key, state)

    checkpoints.save = save


def no_more_address_space(epoch: int) -> None:
    """Let the process get no more memory than it has after an epoch, as `ulimit -v` does."""
    original = checkpoints.save

    def save(path: Path, key: str, state: checkpoints.State) -> None:
        original(path, key, state)
        if state.epoch == epoch:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)

    checkpoints.save = save


def ended(process: Any) -> int:
    process.join()
    return int(process.exitcode)


def assert_goes_on(folder: Path, audio: tuple[Path, Path], whole: tuple[Path, float], saved: int) -> None:
    """A fault left the checkpoint of the epoch before it, and no product; the next start ends as if undisturbed."""
    assert not any((folder / name).exists() for name in PRODUCTS[:-1])
    assert (folder / PRODUCTS[-1]).exists() == bool(saved)
    if saved:
        with hdf5.open_checked(folder / PRODUCTS[-1], "checkpoint") as file:
            assert hdf5.about(file)["epoch"] == saved
    assert ended(started(folder, audio)) == 0
    assert_same(folder, whole[0])


@pytest.mark.fault("K2")
def test_a_kill_inside_the_save_leaves_the_one_before(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path
) -> None:
    assert ended(started(tmp_path, audio, kill_inside_the_save)) == -signal.SIGKILL
    assert_goes_on(tmp_path, audio, whole, saved=1)


def count_batches(journal: Path) -> None:
    """Note for every batch how many epochs were saved before it."""
    saves = []
    save, tiles = checkpoints.save, store.Features.tiles

    def counted(*values: Any) -> Any:
        with journal.open("a") as stream:
            print(len(saves), file=stream)
        return tiles(*values)

    checkpoints.save = lambda *values: (save(*values), saves.append(values))
    store.Features.tiles = counted  # type: ignore[method-assign]


@pytest.mark.fault("F2")
def test_memory_that_lacks_for_any_batch_is_named_and_costs_an_epoch_at_most(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    assert ended(started(tmp_path / "counted", audio, partial(count_batches, tmp_path / "journal"))) == 0
    saved = list(map(int, (tmp_path / "journal").read_text().split()))
    assert EPOCHS * 2 <= len(saved) <= 50
    for number in np.linspace(1, len(saved), count(2, len(saved))).round().astype(int):
        folder = tmp_path / str(number)
        assert ended(started(folder, audio, partial(no_memory_for_batch, number))) == 1
        assert_told(folder, "error: out of memory. Give the job more", "training.batch_size")
        assert_goes_on(folder, audio, whole, saved[number - 1])


def assert_told(folder: Path, *words: str) -> None:
    """The log holds one error, in words; TensorFlow's threads may print after it."""
    said = (folder / "log.txt").read_text()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert all(word in errors[0] for word in words), said


@pytest.mark.fault("D2")
def test_a_full_disk_in_the_save_is_named_and_room_mends_it(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    size, rng = (whole[0] / PRODUCTS[-1]).stat().st_size, np.random.default_rng(1)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * size + (1 << 20)}", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs: a full disk is not tested here")
    try:
        for trial in range(count(3, 10)):
            folder, number = disk / str(trial), 1 + trial % EPOCHS
            room = int(rng.integers(size * 9 // 10)) if trial else 0
            fault = partial(full_disk_at_the_save, number, disk / "ballast", room)
            assert ended(started(folder, audio, fault)) == 1
            (disk / "ballast").unlink()
            assert_told(folder, "error: disk full; free are ", "Make room, then the same command")
            assert_goes_on(folder, audio, whole, saved=number - 1)
            shutil.rmtree(folder)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.fault("O1")
def test_a_limit_of_memory_stops_a_training_that_goes_on_where_there_is_more(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    for trial in range(count(1, 10)):
        folder, epoch = tmp_path / str(trial), 1 + trial % (EPOCHS - 1)
        status = ended(started(folder, audio, partial(no_more_address_space, epoch)))
        assert status != 0
        if status > 0:  # else a library ended the process itself
            assert_told(folder, "error: out of memory. Give the job more")
        assert_goes_on(folder, audio, whole, saved=epoch)
