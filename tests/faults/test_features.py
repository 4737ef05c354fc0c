"""Kills, full disks, failing calls, damaged files leave no bad features (rows K1, K6, F1, F3, D1, H1, H3, H5, R1)."""

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from tqdm import tqdm

from lambdascape.config.settings import FeatureRecipe, ReadingSettings
from lambdascape.core import hdf5
from lambdascape.core.errors import InputError
from lambdascape.datasets.manifest import list_clips
from lambdascape.features import store
from lambdascape.features.extraction import consolidate, extract_shard
from support.memory import held_within
from support.stores import write_store

Count = Callable[[int, int], int]
RECIPE = {
    "sr": 8000, "n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 16, "fmin": 100.0, "fmax": 4000.0,
    "htk": True, "filterbank": "librosa", "log_offset": 1e-6,
}  # fmt: skip
CLIPS, SHARDS = 20, 2


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips and their manifest."""
    root = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(1)
    for number in range(CLIPS):
        soundfile.write(root / f"{number}.wav", rng.uniform(-0.5, 0.5, 4000 + 100 * number), 8000)
    settings = ReadingSettings(
        adapter="folder", folds=2, channels="mean", on_bad_clip="fail", max_rejected_fraction=0.0, plugins=[]
    )
    list_clips(root, settings, *(root / f"{name}.tsv" for name in ("clips", "rejected", "warnings")))
    return root


def make(audio: Path, folder: Path) -> None:
    """The shards that are not there yet, and the store."""
    shards = [folder / f"{number}.h5" for number in range(SHARDS)]
    for number, shard in enumerate(shards):
        if not shard.exists():
            extract_shard(audio / "clips.tsv", audio, FeatureRecipe.of(RECIPE), number, SHARDS, shard)
    consolidate(audio / "clips.tsv", shards, folder / "features.h5")


@pytest.fixture(scope="module")
def reference(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The folder of a store that nothing disturbed, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("reference")
    begun = time.monotonic()
    make(audio, folder)
    return folder, time.monotonic() - begun


def payload(path: Path) -> list[Any]:
    features = store.open_features(path)
    return [features.frames.tobytes(), features.clip_start.tolist(), features.clips, features.crc.tolist()]


def assert_good(folder: Path, reference: tuple[Path, float]) -> None:
    assert payload(folder / "features.h5") == payload(reference[0] / "features.h5")


def only_good_names(folder: Path, reference: tuple[Path, float]) -> None:
    """What has its final name is what it must be."""
    for path in folder.glob("[!.]*.h5"):
        with hdf5.open_checked(path, "features") as one, h5py.File(reference[0] / path.name) as other:
            assert one["frames"][:].tobytes() == other["frames"][:].tobytes()


# --- K1, K6, H3: killed at any time ----------------------------------------------------------------------------


def make_in_a_fork(audio: Path, folder: Path) -> None:
    """`make`, with a lock of its own: forks share the lock of tqdm, and one killed holding it stops all."""
    tqdm.set_lock(threading.RLock())
    make(audio, folder)


@pytest.mark.fault("K1", "K6", "H3")
def test_kills_at_any_time_leave_nothing_half(
    audio: Path, reference: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    context, rng = multiprocessing.get_context("fork"), np.random.default_rng(1)
    for trial in range(count(30, 220)):
        folder = tmp_path / str(trial)
        folder.mkdir()
        process = context.Process(target=make_in_a_fork, args=(audio, folder))
        process.start()
        process.join(rng.uniform(0, 1) * reference[1])
        if process.pid and process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        only_good_names(folder, reference)
        make(audio, folder)
        assert_good(folder, reference)
        shutil.rmtree(folder)


# --- F1, F3: a call fails -------------------------------------------------------------------------------------


class Failing:
    """Lets the N-th call of a function raise."""

    def __init__(self, function: Callable[..., Any], number: int, error: Exception) -> None:
        self.function, self.number, self.error, self.calls = function, number, error, 0

    def __call__(self, *values: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == self.number:
            raise self.error
        return self.function(*values, **options)


def faults_of(owner: Any, name: str, error: Exception, work: Callable[[], None]) -> Iterator[bool]:
    """Do the work with the first call failing, with the second, … ; yields whether it raised, ends when it did not."""
    for number in range(1, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            failing = Failing(getattr(owner, name), number, error)
            patch.setattr(owner, name, lambda *values, f=failing, **options: f(*values, **options))
            raised = None
            try:
                work()
            except OSError as found:
                raised = found
            assert raised is (error if failing.calls >= number else None)
            yield raised is not None
            if raised is None:
                return


@pytest.mark.fault("F1", "F3")
@pytest.mark.parametrize(
    ("owner", "name"),
    [(os, "fsync"), (os, "open"), (Path, "replace"), (h5py.Dataset, "__setitem__"), (h5py.Dataset, "resize")],
    ids=["fsync", "open", "replace", "write", "grow"],
)
def test_every_failing_call_leaves_no_bad_file(
    audio: Path, reference: tuple[Path, float], tmp_path: Path, owner: Any, name: str, injected: Callable[[int], None]
) -> None:
    folder = tmp_path / "out"

    def work() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(audio, folder)

    raised = []
    for failed in faults_of(owner, name, OSError(errno.EIO, "injected"), work):
        raised.append(failed)
        only_good_names(folder, reference)
        assert list(folder.glob(".*")) == []
    assert raised[:-1].count(True) >= SHARDS
    injected(len(raised))
    assert_good(folder, reference)


# --- D1: a full disk --------------------------------------------------------------------------------------------

JOB = """
import sys
from lambdascape.jobs.job import job
audio, folder, recipe = sys.argv[1], sys.argv[2], {recipe}
with job(f"{{audio}}/log.txt", 1):
    import test_features
    from pathlib import Path
    if {blind}:
        from lambdascape.features import extraction
        extraction.require_space = lambda *_: None
    test_features.make(Path(audio), Path(folder))
"""


@pytest.mark.fault("D1")
@pytest.mark.parametrize("blind", [False, True], ids=["asked before", "found while writing"])
def test_a_full_disk_is_named_and_room_mends_it(
    audio: Path, reference: tuple[Path, float], tmp_path: Path, blind: bool, count: Count
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    for kilobytes in np.linspace(12, 84, count(4, 12)).round().astype(int):
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a tmpfs: a full disk is not tested here")
        try:
            code = JOB.format(recipe=RECIPE, blind=blind)
            folders = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(store.__file__).parents[2])]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
            run = subprocess.run([sys.executable, "-c", code, audio, disk], env=environment, check=False)
            said = (audio / "log.txt").read_text()
            assert run.returncode == 1
            assert "disk full" in said.splitlines()[-1]
            assert "Traceback" not in said
            only_good_names(disk, reference)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    make(audio, disk)
    assert_good(disk, reference)


# --- H1: damaged files --------------------------------------------------------------------------------------


def read_all(path: Path) -> None:
    """Every tile of one frame."""
    features = store.open_features(path)
    features.tiles(np.arange(len(features.frames)), 1)


@pytest.mark.fault("H1")
def test_a_flipped_bit_is_told_by_who_reads_the_frames(
    reference: tuple[Path, float], tmp_path: Path, count: Count
) -> None:
    whole, path, rng = (reference[0] / "features.h5").read_bytes(), tmp_path / "features.h5", np.random.default_rng(1)
    features = store.open_features(reference[0] / "features.h5")
    start, size = whole.index(features.frames.tobytes()), features.frames.nbytes
    for _ in range(count(300, 3000)):
        at, bit = start + int(rng.integers(size)), 1 << int(rng.integers(8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        with pytest.raises(InputError, match="damaged"):
            read_all(path)


@pytest.mark.fault("H1")
def test_a_flipped_bit_in_a_shard_stops_the_store(audio: Path, reference: tuple[Path, float], tmp_path: Path) -> None:
    shards = [Path(shutil.copy(reference[0] / f"{number}.h5", tmp_path)) for number in range(SHARDS)]
    with h5py.File(shards[1], "r+") as file:
        file["frames"][7, 3] += 1
    with pytest.raises(InputError, match=r"1\.h5: must hold the frames that were written"):
        consolidate(audio / "clips.tsv", shards, tmp_path / "features.h5")
    assert not (tmp_path / "features.h5").exists()


# --- H5: hostile files ------------------------------------------------------------------------------------------


def replaced(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    """A store in which the frames are something else."""

    def write(path: Path) -> None:
        write_store(path, np.zeros((30, 2)), [0, 10, 30], ["a", "b"], {})
        with h5py.File(path, "r+") as file:
            del file["frames"]
            change(file)

    return write


def outside(file: h5py.File) -> None:
    secret = Path(file.filename).with_name("secret")
    secret.write_bytes(bytes(120))
    file.create_dataset("frames", (30, 2), np.float16, external=[(str(secret), 0, 120)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((30, 2), np.float16)
    layout[:] = h5py.VirtualSource("other.h5", "frames", (30, 2))
    file.create_virtual_dataset("frames", layout)


HOSTILE = {
    "external storage": outside,
    "virtual": virtual,
    "external link": lambda file: file.__setitem__("frames", h5py.ExternalLink("other.h5", "frames")),
    "soft link": lambda file: file.__setitem__("frames", h5py.SoftLink("/clip_start")),
    "absurd shape": lambda file: file.create_dataset("frames", (10**12, 2), np.float16, chunks=(1, 2)),
    "absurd block": lambda file: file.create_dataset("frames", (10**12, 2), np.float16),
    "other type": lambda file: file.create_dataset("frames", (30, 2), np.float64),
    "a group": lambda file: file.create_group("frames"),
    "nothing": lambda file: None,
}


@pytest.mark.fault("H5")
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_store_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "features.h5"
    replaced(HOSTILE[kind])(path)
    with held_within(100), pytest.raises(InputError, match="frames must be"):
        store.open_features(path)


# --- R1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("R1")
def test_a_read_only_folder_of_audio_is_enough(audio: Path, reference: tuple[Path, float], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(audio, tmp_path / "audio"))
    for path in (*copy.iterdir(), copy):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        (tmp_path / "out").mkdir()
        make(copy, tmp_path / "out")
        assert_good(tmp_path / "out", reference)
    finally:
        copy.chmod(0o755)
