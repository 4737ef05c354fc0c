"""How fast triplets come out of a warm store, and what the data cost a real training step.

make bench-input
"""

import argparse
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import librosa
import numpy as np
import soundfile
from step_keras import settings_of

from lambdascape.core.hdf5 import create
from lambdascape.features.store import Features, crcs_of, open_features, write_index
from lambdascape.models.batches import Batches
from lambdascape.models.training import compiled_model

RECIPE: dict[str, Any] = {
    "sr": 16000, "n_fft": 1024, "win_length": 480, "hop_length": 160, "n_mels": 128, "fmin": 50.0, "fmax": 8000.0,
    "htk": True, "filterbank": "librosa", "log_offset": 1e-6,
}  # fmt: skip
CLIP_FRAMES, CLIP_S, CHANNELS = 998, 10, 4
TILE_FRAMES, TILE_S = 498, 5.0
BATCH = 128


def make_store(path: Path, clips: int) -> Features:
    """A store of noise; clip after clip, so that it may be larger than the memory."""
    frames = np.random.default_rng(1).normal(size=(CLIP_FRAMES, RECIPE["n_mels"])).astype(np.float16)
    start = np.arange(clips + 1) * CLIP_FRAMES
    with create(path, "features", {"recipe": RECIPE}) as file:
        stored = file.create_dataset("frames", (clips * CLIP_FRAMES, RECIPE["n_mels"]), "f2")
        for first in start[:-1]:
            stored[first : first + CLIP_FRAMES] = frames
        write_index(
            file, start, [str(number) for number in range(clips)], np.repeat(crcs_of(frames, [0, CLIP_FRAMES]), clips)
        )
    return open_features(path)


def draw(clips: int, triplets: int, seed: int) -> np.ndarray:
    """Starts as the published study draws them: both halves of a clip and one half of another, shape (triplet, 3)."""
    rng = np.random.default_rng(seed)
    own, other = rng.integers(clips, size=(2, triplets))
    first = rng.integers(2, size=triplets)
    half = CLIP_FRAMES - TILE_FRAMES
    starts = [own * CLIP_FRAMES + first * half, own * CLIP_FRAMES + (1 - first) * half]
    return np.stack([*starts, other * CLIP_FRAMES + rng.integers(2, size=triplets) * half], axis=1)


def rate(batches: Iterator[Any], triplets: int) -> float:
    """Triplets a second over one pass."""
    begun = time.perf_counter()
    for (tiles,) in batches:
        keras.ops.convert_to_tensor(tiles)
    return triplets / (time.perf_counter() - begun)


def plain_rate(folder: Path, triplets: int) -> float:
    """Triplets a second where each tile is read and transformed when it is asked for, in one process."""
    path = folder / "clip.wav"
    noise = np.random.default_rng(1).normal(0, 0.1, (CLIP_S * RECIPE["sr"], CHANNELS))
    soundfile.write(path, noise, RECIPE["sr"], subtype="PCM_16")
    begun = time.perf_counter()
    for number in range(3 * triplets):
        first = int(number % 2 * TILE_S * RECIPE["sr"])
        sound, sr = soundfile.read(path, frames=int(TILE_S * RECIPE["sr"]), start=first, dtype="float32")
        mel = librosa.feature.melspectrogram(
            y=sound.mean(axis=1), sr=sr, n_fft=RECIPE["n_fft"], hop_length=RECIPE["hop_length"], power=1.0, htk=True,
            win_length=RECIPE["win_length"], n_mels=RECIPE["n_mels"], fmin=50.0, fmax=8000.0, center=False,
        )  # fmt: skip
        np.log(mel + RECIPE["log_offset"])
    return triplets / (time.perf_counter() - begun)


def memory_after(batches: Batches) -> float:
    """Megabytes that this process holds by itself after a pass; the mapped pages of the store are everybody's."""
    for (tiles,) in batches.stream():
        keras.ops.convert_to_tensor(tiles)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def step_ratio(features: Features, clips: int, rounds: int, batch: int, steps: int) -> tuple[float, float]:
    """Seconds of a step that is fed from the store, and how many times those of one on a resident batch."""
    options = argparse.Namespace(backend=keras.backend.backend(), precision="float32", batch=batch)
    model = compiled_model(TILE_FRAMES, RECIPE["n_mels"], settings_of(options), 1, 1)
    resident = keras.ops.convert_to_tensor(features.tiles(draw(clips, batch, 0), TILE_FRAMES))

    def fed(number: int) -> float:
        batches = Batches(features, draw(clips, steps * batch, number), TILE_FRAMES, batch)
        return seconds_of(lambda: model.fit(batches.stream(), verbose=0, shuffle=False)) / steps

    def at_rest() -> float:
        return seconds_of(lambda: [model.train_on_batch(resident) for _ in range(steps)]) / steps

    fed(0), at_rest()
    pairs = [(fed(number), at_rest()) for number in range(1, rounds + 1)]
    return statistics.median(one for one, _ in pairs), statistics.median(one / other for one, other in pairs)


def seconds_of(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--clips", type=int, default=4000, help="clips of 10 s in the store (default: 4000, 1 GB)")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions (default: 5)")
    parser.add_argument("--batch", type=int, default=8, help="triplets of the real step (default: 8)")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": platform.machine(), "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        features = make_store(folder / "features.h5", options.clips)
        features.check_all()  # warm, and every clip held against its crc, as after the first epoch
        triplets = 20 * BATCH
        passes = [
            Batches(features, draw(options.clips, triplets, seed), TILE_FRAMES, BATCH) for seed in range(options.rounds)
        ]
        found["triplets_per_s"] = statistics.median(rate(batches.stream(), triplets) for batches in passes)
        found["plain_triplets_per_s"] = statistics.median(plain_rate(folder, 20) for _ in range(options.rounds))
        small = make_store(folder / "small.h5", options.clips // 10)
        starts = draw(options.clips // 10, triplets, 1)
        found["mb_of_small_store"] = memory_after(Batches(small, starts, TILE_FRAMES, BATCH))
        found["mb_of_large_store"] = memory_after(passes[0])
        seconds, ratio = step_ratio(features, options.clips, options.rounds, options.batch, steps=4)
        found |= {"step_s": seconds, "step_ratio": ratio}
        found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{found['triplets_per_s']:.0f} triplets/s of {TILE_FRAMES} x {RECIPE['n_mels']} tiles from a warm store, "
        f"{found['triplets_per_s'] / found['plain_triplets_per_s']:.0f} times the plain loop's "
        f"{found['plain_triplets_per_s']:.0f} (one process)\n"
        f"a step on {options.batch} triplets from the store: {found['step_s']:.3f} s, "
        f"{found['step_ratio']:.3f} times the same on a resident batch\n"
        f"memory of its own: {found['mb_of_small_store']:.0f} MB over a store of {options.clips // 10} clips, "
        f"{found['mb_of_large_store']:.0f} MB over {options.clips}"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
