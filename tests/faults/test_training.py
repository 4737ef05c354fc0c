"""A kill costs a training one epoch at most and changes nothing (rows K2, K5, F1, F2 and D2 of the table of faults)."""

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from lambdascape import checkpoints, store
from lambdascape.files import read_table, write_table
from networks import NETWORK, TRAINING
from stores import write_store

Count = Callable[[int, int], int]
RECIPE = {"sr": 1000, "win_length": 20, "hop_length": 10, "n_mels": 16}
EPOCHS = 4
SETTINGS: dict[str, Any] = {
    "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
    "network": NETWORK | {"l2": 0.1},
    "training": TRAINING | {"epochs": EPOCHS, "lr_schedule": "exponential"},
}
PRODUCTS = ("embedder.weights.h5", "history.tsv", "layers.tsv", "checkpoint.h5")


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Sixteen clips of 119 frames in two folds."""
    folder = tmp_path_factory.mktemp("audio")
    names, rng = [f"clip{i}" for i in range(16)], np.random.default_rng(3)
    write_store(folder / "features.h5", rng.normal(size=(16 * 119, 16)), np.arange(17) * 119, names, {"recipe": RECIPE})
    table = pd.DataFrame({"clip": names, "session": [f"s{i // 2}" for i in range(16)], "fold": ["a"] * 10 + ["b"] * 6})
    write_table(table, folder / "clips.tsv")
    return folder / "features.h5", folder / "clips.tsv"


def train_in(
    folder: Path, audio: tuple[Path, Path], fault: Callable[[], None] | None = None, blocks: tuple[int, ...] = (2, 2)
) -> None:
    """One call of `train`, in a process of its own; two stages of two blocks are enough to learn."""
    from lambdascape import network
    from lambdascape.training import train

    network.DEPTHS["resnet18"] = blocks
    if fault:
        fault()
    train(*audio, "b", SETTINGS, 1, *(folder / name for name in PRODUCTS), code="code")


def started(folder: Path, audio: tuple[Path, Path], fault: Callable[[], None] | None = None) -> Any:
    """The process: the packages are imported once, in the server from which all of them fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lambdascape.training"])
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
    with h5py.File(folder / PRODUCTS[3], "r") as file:
        return [file[name][()] for name in sorted(file)]


def started_on_jax(folder: Path, audio: tuple[Path, Path]) -> Any:
    """The same with the other backend, which each process imports for itself; one block compiles in a few seconds."""
    folder.mkdir(exist_ok=True)
    process = multiprocessing.get_context("spawn").Process(target=train_in, args=(folder, audio, None, (1,)))
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
        process.join(rng.uniform(0.2, 1) * seconds)
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


def test_kills_at_any_time_change_nothing(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    kill_until(count(5, 50), partial(started, audio=audio), tmp_path, whole)


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


def full_disk_at_the_save() -> None:
    """Let the second save find the disk full."""
    saves = []
    original = checkpoints.save

    def save(path: Path, key: str, state: checkpoints.State) -> None:
        saves.append(path)
        if len(saves) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        original(path, key, state)

    checkpoints.save = save


def no_memory_for_a_batch() -> None:
    """Let a batch of a later epoch find no memory."""
    calls = []
    original = store.Features.tiles

    def tiles(*values: Any) -> Any:
        calls.append(values)
        if len(calls) == 12:
            raise MemoryError("no memory for a batch")
        return original(*values)

    store.Features.tiles = tiles  # type: ignore[method-assign]


@pytest.mark.parametrize("fault", [kill_inside_the_save, full_disk_at_the_save, no_memory_for_a_batch])
def test_after_a_fault_the_last_good_checkpoint_leads_to_the_same_end(
    audio: tuple[Path, Path], whole: tuple[Path, float], tmp_path: Path, fault: Callable[[], None]
) -> None:
    process = started(tmp_path, audio, fault)
    process.join()
    assert process.exitcode != 0
    assert not (tmp_path / PRODUCTS[0]).exists()
    with h5py.File(tmp_path / PRODUCTS[3], "r") as file:
        assert store.about(file)["epoch"] >= 1
    again = started(tmp_path, audio)
    again.join()
    assert again.exitcode == 0
    assert_same(tmp_path, whole[0])
