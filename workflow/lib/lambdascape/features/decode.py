"""Waveforms: any file that libsndfile reads, as one channel at one rate, block by block."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from lambdascape.core.errors import InputError

VALUES = 1 << 22  # decoded at once, over all channels: 26 s of 10 channels at 16 kHz; bounds the memory
TRUNCATED = "(should be"  # libsndfile's only trace of a file that is shorter than its header says
QUALITY = "HQ"  # of the resampling, in soxr's words
WHOLE, INT16_FULL_SCALE = "PCM_16", 32768
LOUDEST = 1e9  # full scale is 1; what lies beyond is damage, and its square would overflow
Waveform = npt.NDArray[np.float32]


def read_mono(path: str | Path, sr: int, channel: int | None = None) -> Iterator[Waveform]:
    """Read one channel of a file, or the mean of all, at the rate `sr`, in blocks that bound the memory.

    Args:
        path: audio that libsndfile reads.
        sr: wanted rate in Hz; another rate is resampled by soxr at `QUALITY`.
        channel: the channel, from 1; None for the mean of all.

    Yields:
        Blocks of shape (sample,), float32, full scale at ±1: together the whole file.

    Raises:
        InputError: the file cannot be decoded, is shorter than it says, lacks the channel, or holds values that
            are not finite or beyond `LOUDEST`.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if channel is not None and not 1 <= channel <= file.channels:
                raise InputError(f"{path}: must have the channel {channel}; it has {file.channels}")
            blocks = _mixed(file, channel)
            if file.subtype != WHOLE:
                blocks = _sound(blocks, path)
            blocks = _whole(blocks, file.frames, file.extra_info, path)
            yield from blocks if file.samplerate == sr else _resampled(blocks, file.samplerate, sr)
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise InputError(f"{path}: must be audio that libsndfile can decode; {error}") from None


def _mixed(file: soundfile.SoundFile, channel: int | None) -> Iterator[Waveform]:
    """One channel, or the mean of all; 16 bits are read as such, which is the fastest."""
    from lambdascape.features import kernels

    whole = file.subtype == WHOLE
    scale = np.float32(1 / INT16_FULL_SCALE if whole else 1)
    weights = np.full(file.channels, scale / file.channels, np.float32)
    size = max(1, min(VALUES // file.channels, file.frames))
    values = _memory(size, file.channels, np.int16 if whole else np.float32)
    while len(block := file.read(out=values)):  # `file.blocks` would copy each block
        if channel is not None:
            yield block[:, channel - 1] * scale
        elif whole:
            mono = np.empty(len(block), np.float32)
            kernels.mix(block, weights[0], mono)
            yield mono
        else:
            yield block @ weights


@lru_cache(maxsize=1)
def _memory(frames: int, channels: int, dtype: type) -> npt.NDArray[Any]:
    """Where values are decoded to, kept for the next file of its length: new memory is slow."""
    return np.empty((frames, channels), dtype)


def _sound(blocks: Iterator[Waveform], path: str | Path) -> Iterator[Waveform]:
    """The same blocks; stops at values that are no sound."""
    decoded = 0
    for block in blocks:
        if not within_reason(block):
            odd = np.flatnonzero(~(np.abs(block) <= LOUDEST))
            raise InputError(
                f"{path}: every value must be finite and at most {LOUDEST:g}; {len(odd)} of {len(block)} are not, the "
                f"first is frame {decoded + odd[0]}"
            )
        decoded += len(block)
        yield block


def _whole(blocks: Iterator[Waveform], frames: int, remarks: str, path: str | Path) -> Iterator[Waveform]:
    """The same blocks; stops at the end where frames are missing."""
    decoded = 0
    for block in blocks:
        decoded += len(block)
        yield block
    if decoded != frames or TRUNCATED in remarks:
        raise InputError(f"{path}: must hold the {frames} frames of its header to the end; {decoded} were decoded")


def within_reason(block: Waveform) -> bool:
    """Whether every value is a number of at most `LOUDEST`; NaN is the smallest and the largest of any block."""
    return not block.size or bool(block.min() >= -LOUDEST and block.max() <= LOUDEST)


def _resampled(blocks: Iterator[Waveform], rate: int, sr: int) -> Iterator[Waveform]:
    """The blocks at another rate, without a seam."""
    stream = soxr.ResampleStream(rate, sr, 1, dtype="float32", quality=QUALITY)
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)
