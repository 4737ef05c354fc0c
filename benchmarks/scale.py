"""What the data set's size costs: the manifest of 72,984 clips, memory at 500 and at 50,000 clips, and a second worker.

make bench-scale
"""

import argparse
import json
import multiprocessing
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from lambdascape.config.settings import FeatureRecipe, ReadingSettings
from lambdascape.core.tsv import read_text_table
from lambdascape.datasets.manifest import list_clips
from lambdascape.features.extraction import consolidate, extract_shard
from lambdascape.jobs.job import THREAD_VARIABLES

RECIPE: dict[str, Any] = {
    "sr": 16000, "n_fft": 1024, "win_length": 480, "hop_length": 160, "n_mels": 128, "fmin": 50.0, "fmax": 8000.0,
    "htk": True, "filterbank": "librosa", "log_offset": 1e-6,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "folds": 4,
    "channels": "mean",
    "on_bad_clip": "fail",
    "max_rejected_fraction": 0.0,
    "plugins": [],
}
LABELS = ("absence", "cooking", "dishwashing", "eating", "other", "social_activity", "vacuum_cleaner", "watching_tv")
NODES, SESSIONS, FOLDS = 4, 266, 4  # of DCASE 2018 Task 5
MEGABYTE = 1024  # of the KiB in which Linux counts memory


def in_a_process(function: Callable[..., Any], *values: Any) -> tuple[Any, float]:
    """What the function gives in a process of its own, and the most memory that the process held, in MB."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_measured, function, *values).result()


def _measured(function: Callable[..., Any], *values: Any) -> tuple[Any, float]:
    result = function(*values)
    # Not what getrusage tells: it starts at what the parent held when it started this process.
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return result, int(most) / MEGABYTE


# --- the manifest --------------------------------------------------------------------------------------------


def make_layout(root: Path, clips: int) -> None:
    """DCASE 2018 Task 5 with so many clips: each 1.3 MB long, of which one block of noise is on the disk."""
    rng = np.random.default_rng(1)
    (root / "audio").mkdir(parents=True)
    (root / "evaluation_setup").mkdir()
    header, length = _header(root), 10 * 16000 * 4 * 2
    moments = np.array_split(np.arange(clips // NODES), SESSIONS)
    rows: list[tuple[str, str, str, int]] = []
    for session, segments in enumerate(moments):
        for segment in segments:
            for node in range(1, NODES + 1):
                path = f"audio/DevNode{node}_ex{session + 1}_{segment + 1}.wav"
                with (root / path).open("wb") as stream:
                    stream.write(header + rng.bytes(1024))
                    stream.truncate(len(header) + length)
                rows.append((path, LABELS[session % len(LABELS)], f"s{session + 1}", session // 8 % FOLDS + 1))
    (root / "meta.txt").write_text(_lines(rows, columns=3))
    for fold in range(1, FOLDS + 1):
        tested = [row for row in rows if row[3] == fold]
        lists = {"train": _lines([row for row in rows if row[3] != fold], columns=3)}
        lists |= {"test": _lines(tested, columns=1), "evaluate": _lines(tested, columns=2)}
        for part, text in lists.items():
            (root / f"evaluation_setup/fold{fold}_{part}.txt").write_text(text)


def _lines(rows: Sequence[tuple[Any, ...]], columns: int) -> str:
    return "\n".join("\t".join(row[:columns]) for row in rows)


def _header(root: Path) -> bytes:
    """The 44 bytes before the samples of such a clip."""
    soundfile.write(root / "one.wav", np.zeros((10 * 16000, 4), np.int16), 16000, subtype="PCM_16")
    header = (root / "one.wav").read_bytes()[:44]
    (root / "one.wav").unlink()
    return header


def list_all(root: Path, out: Path, threads: int) -> dict[str, float]:
    """Seconds to make the manifest, files being cached, and seconds in which a job reads it."""
    paths = [out / f"{name}.tsv" for name in ("clips", "rejected", "warnings")]
    seconds = _timed(
        lambda: list_clips(root, ReadingSettings(adapter="dcase2018_task5", **SETTINGS), *paths, threads=threads)
    )
    return {"clips": len(read_text_table(paths[0])), "made": seconds, "read": _timed(lambda: read_text_table(paths[0]))}


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- memory --------------------------------------------------------------------------------------------------


def make_clips(root: Path, count: int, seconds: float, channels: int) -> None:
    """A folder of clips of noise."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(count)
    for number in range(count):
        noise = rng.integers(-9000, 9000, (round(seconds * 16000), channels)).astype(np.int16)
        soundfile.write(root / f"{number}.wav", noise, 16000, subtype="PCM_16")
    list_clips(
        root,
        ReadingSettings(adapter="folder", **SETTINGS),
        *(root / f"{name}.tsv" for name in ("clips", "rejected", "warnings")),
    )


def extract(root: Path, shard: int, n_shards: int) -> str:
    """One share of a folder of `make_clips`."""
    output = root / f"{shard} of {n_shards}.h5"
    extract_shard(root / "clips.tsv", root, FeatureRecipe.of(RECIPE), shard, n_shards, output)
    return str(output)


def join(root: Path, shards: Sequence[str]) -> None:
    """The store of a folder of `make_clips`."""
    consolidate(root / "clips.tsv", shards, root / "features.h5")


# --- workers -------------------------------------------------------------------------------------------------


def _work(root: Path, shard: int, n_shards: int, ready: Any, ends: Any) -> None:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[shard]})
    extract(root, shard, 64 * n_shards)  # warm
    ready.wait()
    extract(root, shard, n_shards)
    ends.put(time.time())


def wall_time(root: Path, workers: int, n_shards: int) -> float:
    """Seconds in which so many workers, each on a core of its own, extract a share of 1 / `n_shards` each."""
    context = multiprocessing.get_context("spawn")
    ready, ends = context.Barrier(workers + 1), context.Queue()
    jobs = [context.Process(target=_work, args=(root, shard, n_shards, ready, ends)) for shard in range(workers)]
    for job in jobs:
        job.start()
    ready.wait()
    start = time.time()
    last = max(ends.get() for _ in jobs)
    for job in jobs:
        job.join()
    return last - start


# --- consolidation -------------------------------------------------------------------------------------------


def joining_beside_copying(root: Path) -> float:
    """How many times as long the store takes as a plain copy of its shard to the same disk, with its checksums."""
    shard = extract(root, 0, 1)
    copy, store = root / "copy.h5", root / "features.h5"

    def copied() -> None:
        with Path(shard).open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())

    ratios = []
    for _ in range(5):
        for path in (copy, store):
            path.unlink(missing_ok=True)
        plain = _timed(copied)
        ratios.append(_timed(lambda: join(root, [shard])) / plain)
    return float(np.median(ratios))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/scale.json"), help="where to write")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # as a job of one thread, for the processes to come
    found: dict[str, Any] = {"cpu": platform.processor() or platform.machine(), "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_layout(root / "dcase", 72_984)
        found["manifest"], most = in_a_process(list_all, root / "dcase", root / "listed", 2)
        made, read = found["manifest"]["made"], found["manifest"]["read"]
        print(f"manifest of 72,984 clips: made in {made:.1f} s by 2 threads, read in {read:.2f} s, {most:.0f} MB")
        found["memory_mb"] = {}
        for count in (500, 50_000):
            make_clips(root / str(count), count, 0.2, 1)
            shard, worker = in_a_process(extract, root / str(count), 0, 1)
            _, joining = in_a_process(join, root / str(count), [shard])
            found["memory_mb"][count] = {"worker": worker, "consolidation": joining}
            print(f"{count} clips: a worker held at most {worker:.0f} MB, the consolidation {joining:.0f} MB")
        make_clips(root / "long", 600, 10, 4)
        # Two workers do two halves in the time in which one does one of them, if they do not disturb each other.
        pairs = [(wall_time(root / "long", 1, 2), wall_time(root / "long", 2, 2)) for _ in range(options.repetitions)]
        found["two_workers"] = float(np.median([2 * alone / both for alone, both in pairs]))
        print(f"two workers do {found['two_workers']:.2f} times the work of one in the same time")
        found["joining_beside_copying"] = joining_beside_copying(root / "long")
        print(f"the store takes {found['joining_beside_copying']:.1f} × as long as a plain copy of its shard")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
