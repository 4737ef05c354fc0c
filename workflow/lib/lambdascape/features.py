"""Log-mel features: the seed study's recipe, extracted in shards and joined into one flat store.

Frames are not centred, so a tile cut from a waveform and a slice of its clip's frames are the same numbers:
frame t covers the samples `[t · hop_length, t · hop_length + win_length)`.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import librosa
import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from lambdascape import store
from lambdascape.audio import read_mono
from lambdascape.errors import InputError
from lambdascape.files import file_digest, read_text_table

BLOCK = 8192  # frames transformed or copied at once: bounds the memory whatever a clip's length
Settings = dict[str, Any]


def mel_matrix(settings: Settings) -> npt.NDArray[np.float32]:
    """Triangular mel filters of height 1, as `tf.signal.linear_to_mel_weight_matrix` makes them.

    Their slopes are straight over mel; those of `librosa.filters.mel` are straight over Hz.

    Args:
        settings: `sr`, `fmin`, `fmax` in Hz; `n_fft` in samples; `n_mels` bands; `htk`: HTK's mel scale, else
            Slaney's.

    Returns:
        Shape (frequency, mel), float32, with n_fft // 2 + 1 frequencies.

    Raises:
        InputError: the range of frequencies is not within 0 and sr / 2, or a band is so narrow that it holds
            no frequency.
    """
    sr, fmin, fmax, htk = settings["sr"], settings["fmin"], settings["fmax"], settings["htk"]
    if not 0 <= fmin < fmax <= sr / 2:
        raise InputError(f"features: needs 0 <= fmin < fmax <= sr / 2; got fmin {fmin}, fmax {fmax}, sr {sr}")
    frequencies = librosa.fft_frequencies(sr=sr, n_fft=settings["n_fft"])
    bins = librosa.hz_to_mel(frequencies, htk=htk)[:, np.newaxis]  # (frequency, 1)
    low, high = (librosa.hz_to_mel(float(edge), htk=htk) for edge in (fmin, fmax))
    edges = np.linspace(low, high, settings["n_mels"] + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]  # (mel,)
    weights = np.maximum(0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    empty = np.flatnonzero(weights.max(axis=0) <= 0)
    if len(empty):
        raise InputError(
            f"features: every mel band must hold a frequency of the FFT; {len(empty)} of "
            f"{settings['n_mels']} hold none, "
            f"the first is band {empty[0]}. Lower n_mels, or raise n_fft or fmin."
        )
    return weights.astype(np.float32)


def frames_of(samples: int, settings: Settings) -> int:
    """Number of frames of a waveform; 0 when it is shorter than one window.

    Args:
        samples: length of the waveform at the rate `sr`.
        settings: `win_length`, `hop_length` in samples.
    """
    return max(0, 1 + (samples - settings["win_length"]) // settings["hop_length"])


def log_mel(waveform: npt.NDArray[np.float32], settings: Settings) -> npt.NDArray[np.float32]:
    """Natural log of the mel magnitude plus `log_offset`.

    Periodic Hann window, no centring, magnitude and not power: librosa centres a short window inside `n_fft`,
    so zeros before and after the waveform put frame t on the samples `[t · hop_length, t · hop_length +
    win_length)`.

    Args:
        waveform: shape (sample,), float32, at the rate `sr`.
        settings: the recipe: `sr`, `n_fft`, `win_length`, `hop_length`, `n_mels`, `fmin`, `fmax`, `htk`,
            `log_offset`.

    Returns:
        Shape (frame, mel), float32.

    Raises:
        InputError: see `mel_matrix`; or the window is longer than the FFT.
    """
    return _log_mel(waveform, mel_matrix(settings), settings)


def _log_mel(
    waveform: npt.NDArray[np.float32], mel: npt.NDArray[np.float32], settings: Settings
) -> npt.NDArray[np.float32]:
    """The same with the filters at hand, block by block."""
    n_fft, win_length, hop_length = settings["n_fft"], settings["win_length"], settings["hop_length"]
    if win_length > n_fft:
        raise InputError(f"features: win_length must not exceed n_fft; got {win_length} > {n_fft}")
    before = (n_fft - win_length) // 2
    padding = (before, n_fft - win_length - before)
    frames = frames_of(len(waveform), settings)
    result = np.empty((frames, mel.shape[1]), np.float32)
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        part = waveform[start * hop_length : (stop - 1) * hop_length + win_length]
        spectrum = librosa.stft(
            np.pad(part, padding),
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            window="hann",
            center=False,
        )  # (frequency, frame)
        result[start:stop] = np.log(np.abs(spectrum).T @ mel + np.float32(settings["log_offset"]))
    return result


def extract_shard(
    clips_path: str | Path,
    root: str | Path,
    settings: Settings,
    shard: int,
    n_shards: int,
    output: str | Path,
) -> None:
    """Write the frames of one contiguous share of the manifest.

    Args:
        clips_path: the manifest.
        root: the data set's folder, to which the manifest's paths are relative.
        settings: the recipe.
        shard: 0 to n_shards - 1.
        n_shards: number of shares.
        output: HDF5 file with `frames` (frame, mel) float16, `clip_start` (clip + 1,) int64 and `clip`; a
            clip that is shorter than one window has no frames.

    Raises:
        InputError: a file is unreadable or not the one that the manifest saw.
    """
    clips = read_text_table(clips_path)
    share = clips.iloc[shard * len(clips) // n_shards : (shard + 1) * len(clips) // n_shards]
    mel = mel_matrix(settings)
    with store.create(output, "features", {"recipe": settings, "shard": shard}) as file:
        frames = file.create_dataset(
            "frames",
            (0, mel.shape[1]),
            np.float16,
            maxshape=(None, mel.shape[1]),
            chunks=(1024, mel.shape[1]),
        )
        clip_start = [0]
        for values in _frames_of_clips(Path(root), share, mel, settings):
            clip_start.append(clip_start[-1] + len(values))
            frames.resize(clip_start[-1], axis=0)
            frames[clip_start[-2] :] = values
        _write_index(file, clip_start, share["clip"])


def _frames_of_clips(
    root: Path, clips: pd.DataFrame, mel: npt.NDArray[np.float32], settings: Settings
) -> Iterator[npt.NDArray[np.float16]]:
    """The frames of each clip in turn, shape (frame, mel)."""
    rows = zip(clips["path"], clips["content"], clips["channel"], strict=True)
    for path, content, number in tqdm(rows, total=len(clips), desc="features", unit="clip", disable=None):
        file = root / path
        _check_unchanged(file, content)
        channel = int(number) if number else None
        yield _log_mel(read_mono(file, settings["sr"], channel), mel, settings).astype(np.float16)


def _check_unchanged(file: Path, content: str) -> None:
    """Stop unless the file has the bytes that the manifest saw."""
    try:
        unchanged = file_digest(file) == content
    except OSError as error:
        raise InputError(f"{file}: must be readable; {error.strerror}") from None
    if not unchanged:
        raise InputError(f"{file}: must be the file that the manifest saw; it changed. Make the manifest anew.")


def _write_index(file: h5py.File, clip_start: Sequence[int], clips: pd.Series) -> None:
    file["clip_start"] = np.asarray(clip_start, np.int64)
    file.create_dataset("clip", data=clips.tolist(), dtype=store.TEXT)


def consolidate(clips_path: str | Path, shards: Sequence[str | Path], output: str | Path) -> None:
    """Join shards into one contiguous, uncompressed store, in bounded memory.

    Args:
        clips_path: the manifest.
        shards: files of `extract_shard`, in order.
        output: a store for `store.open_features`.

    Raises:
        InputError: the shards differ in recipe, do not hold the manifest's clips in its order, or hold no
            frame at all.
    """
    clips = read_text_table(clips_path)["clip"]
    with ExitStack() as stack:
        parts = [stack.enter_context(store.open_checked(shard, "features")) for shard in shards]
        recipe = _common_recipe(parts)
        found = [str(clip) for part in parts for clip in part["clip"].asstr()[:]]
        if found != clips.tolist():
            raise InputError(
                f"{output}: shards must hold the {len(clips)} clips of {clips_path} in its order; delete them and rerun"
            )
        lengths = np.concatenate([np.diff(part["clip_start"][:]) for part in parts])
        if not lengths.sum():
            raise InputError(
                f"{clips_path}: a clip must be as long as a window of {recipe['win_length']} samples; none is"
            )
        about = {"recipe": recipe, "manifest": file_digest(clips_path)}
        with store.create(output, "features", about) as file:
            _join(parts, file.create_dataset("frames", (int(lengths.sum()), recipe["n_mels"]), np.float16))
            _write_index(file, [0, *np.cumsum(lengths)], clips)


def _common_recipe(parts: Sequence[h5py.File]) -> Settings:
    recipes = [store.about(part)["recipe"] for part in parts]
    if not recipes or any(recipe != recipes[0] for recipe in recipes):
        raise InputError(f"features: shards must exist and share one recipe; got {recipes}")
    return dict(recipes[0])


def _join(parts: Sequence[h5py.File], frames: h5py.Dataset) -> None:
    """Copy the shards' frames one after another."""
    at = 0
    total = sum(math.ceil(len(part["frames"]) / BLOCK) for part in parts)
    with tqdm(total=total, desc="store", unit="block", disable=None) as progress:
        for part in parts:
            for start in range(0, len(part["frames"]), BLOCK):
                block = part["frames"][start : start + BLOCK]
                frames[at : at + len(block)] = block
                at += len(block)
                progress.update()
