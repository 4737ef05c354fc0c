"""How fast one worker turns audio into features, beside the plain loop and beside the floor of the best single steps.

One core, medians of interleaved repetitions in one run, in time of the processor, so that other programs disturb less.
The candidates for the FFT are those that are installed:
`pip install mkl_fft ducc0 pyfftw torch` adds what the lock does not hold.

    make bench-features
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy.fft
import scipy.sparse
import soundfile
from threadpoolctl import threadpool_limits

from lambdascape.config.settings import FeatureRecipe
from lambdascape.features import kernels
from lambdascape.features.decode import INT16_FULL_SCALE, read_mono
from lambdascape.features.logmel import LogMel, fft_library, mel_matrix

RECIPE: dict[str, Any] = {
    "sr": 16000, "n_fft": 1024, "win_length": 480, "hop_length": 160, "n_mels": 128, "fmin": 50.0, "fmax": 8000.0,
    "htk": True, "filterbank": "librosa", "log_offset": 1e-6,
}  # fmt: skip
SECONDS, CHANNELS = 10, 4
Step = Callable[[], object]


def write_clip(path: Path) -> None:
    """A clip like those of DCASE 2018 Task 5: 10 s, 16 kHz, 16 bit, 4 channels."""
    noise = np.random.default_rng(1).normal(0, 0.1, (SECONDS * RECIPE["sr"], CHANNELS))
    soundfile.write(path, noise, RECIPE["sr"], subtype="PCM_16")


def plain_loop(path: Path) -> np.ndarray:
    """What anybody would write."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mel = librosa.feature.melspectrogram(
        y=sound.mean(axis=1), sr=rate, n_fft=RECIPE["n_fft"], hop_length=RECIPE["hop_length"], power=1.0, center=False,
        win_length=RECIPE["win_length"], n_mels=RECIPE["n_mels"], fmin=RECIPE["fmin"], fmax=RECIPE["fmax"], htk=True,
    )  # fmt: skip
    return np.log(mel + RECIPE["log_offset"]).astype(np.float16)


def workers_way(path: Path, to_log_mel: LogMel) -> list[np.ndarray]:
    """What a job of `extract_shard` does with a clip."""
    return list(to_log_mel.stream(read_mono(path, RECIPE["sr"])))


def floor_steps(path: Path) -> dict[str, dict[str, Step]]:
    """Candidates for each single step, each with its input made ready."""
    weights = np.full(CHANNELS, 1 / CHANNELS / INT16_FULL_SCALE, np.float32)

    def read_and_mix() -> np.ndarray:
        return soundfile.read(path, dtype="int16", always_2d=True)[0] @ weights

    def read_and_mix_compiled() -> np.ndarray:
        mono = np.empty(SECONDS * RECIPE["sr"], np.float32)
        kernels.mix(soundfile.read(path, dtype="int16", always_2d=True)[0], weights[0], mono)
        return mono

    mono = read_and_mix()
    frames = np.lib.stride_tricks.sliding_window_view(mono, RECIPE["win_length"])[:: RECIPE["hop_length"]]
    padded = np.zeros((len(frames), RECIPE["n_fft"]), np.float32)
    padded[:, : RECIPE["win_length"]] = frames
    spectrum = scipy.fft.rfft(padded, axis=1)
    magnitude = np.abs(spectrum)
    by_band = np.ascontiguousarray(magnitude.T)
    filters, groups = (
        scipy.sparse.csr_matrix(mel_matrix(FeatureRecipe.of(RECIPE)).T),
        LogMel(FeatureRecipe.of(RECIPE)).filters,
    )
    mel = (magnitude @ mel_matrix(FeatureRecipe.of(RECIPE))).astype(np.float32)
    logs, halves = np.log(mel), np.empty(mel.size, np.uint16)

    def by_groups() -> None:
        for frequencies, bands, heights in groups:
            np.matmul(magnitude[:, frequencies], heights, out=mel[:, bands])

    steps = {
        "read and mix": {"soundfile int16, numpy": read_and_mix, "soundfile int16, kernel": read_and_mix_compiled},
        "FFT": ffts(padded, np.empty_like(spectrum)),
        "magnitude": {
            "numpy": partial(np.abs, spectrum, out=magnitude),
            "kernel": partial(kernels.magnitudes, spectrum, magnitude),
        },
        "mel": {"sparse": lambda: filters @ by_band, "in groups": by_groups},
        "log": {"numpy": partial(np.log, mel, out=np.empty_like(mel))},
        "cast": {
            "numpy": lambda: logs.astype(np.float16),
            "kernel": partial(kernels.to_half, logs.view(np.uint32).ravel(), halves),
        },
    }
    if find_spec("torch"):
        torch = import_module("torch")
        torch.set_num_threads(1)
        window, sound = torch.hann_window(RECIPE["win_length"]), torch.from_numpy(mono)
        options = (RECIPE["n_fft"], RECIPE["hop_length"], RECIPE["win_length"], window)
        steps["FFT"]["torch stft"] = partial(torch.stft, sound, *options, center=False, return_complex=True)
        steps["cast"]["torch"] = lambda: torch.from_numpy(logs).half()
    return steps


def ffts(padded: np.ndarray, out: np.ndarray) -> dict[str, Step]:
    """The real FFTs that are installed, over frames laid out zero-padded and contiguous."""
    found: dict[str, Step] = {"scipy": lambda: scipy.fft.rfft(padded, axis=1)}
    if find_spec("mkl_fft"):
        found["mkl_fft"] = partial(import_module("mkl_fft").rfft, padded, axis=1, out=out)
    if find_spec("ducc0"):
        found["ducc0"] = partial(import_module("ducc0").fft.r2c, padded, axes=(1,), out=out)
    if find_spec("pyfftw"):
        found["pyfftw"] = import_module("pyfftw").builders.rfft(padded.copy(), axis=1, threads=1)
    return found


def medians(steps: dict[str, Step], repetitions: int) -> dict[str, float]:
    """Milliseconds of each step: the steps take turns, so that a slow moment of the machine hits all of them.

    In each turn a step runs twice and the second time counts, as in a job that does nothing else: what ran before has
    filled the caches with other data and given memory back to the system.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(repetitions + 1):
        for name, step in steps.items():
            step()
            started = time.process_time()
            step()
            if repetition:  # the first turn warms up
                times[name].append(1000 * (time.process_time() - started))
    return {name: float(np.median(values)) for name, values in times.items()}


def measure(repetitions: int) -> dict[str, Any]:
    """All times and both ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        write_clip(path)
        single = floor_steps(path)
        steps: dict[str, Step] = {f"{step}: {name}": run for step, runs in single.items() for name, run in runs.items()}
        steps["the plain loop"] = partial(plain_loop, path)
        steps["one worker"] = partial(workers_way, path, LogMel(FeatureRecipe.of(RECIPE)))
        found = medians(steps, repetitions)
    floor = sum(min(found[f"{step}: {name}"] for name in runs) for step, runs in single.items())
    return {
        "milliseconds": found,
        "floor": floor,
        "plain loop / worker": found["the plain loop"] / found["one worker"],
        "worker / floor": found["one worker"] / floor,
        "fft": fft_library(),
        "processor": platform.processor() or platform.machine(),
        "repetitions": repetitions,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=51, help="turns of which the median is taken (default: 51)")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with threadpool_limits(1):
        result = measure(options.repetitions)
    print(f"one clip of {SECONDS} s, {CHANNELS} channels, on one core; FFT of the worker: {result['fft']}\n")
    for name, value in result["milliseconds"].items():
        print(f"{name:32s} {value:8.2f} ms")
    print(f"{'floor: sum of the best steps':32s} {result['floor']:8.2f} ms\n")
    print(f"the worker is {result['plain loop / worker']:.2f} × as fast as the plain loop (wanted: at least 4)")
    print(f"the worker takes {result['worker / floor']:.2f} × the floor (wanted: at most 1.4)")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
