"""Waveforms: any file that libsndfile reads, as one channel at one rate, block by block."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from lambdascape.errors import InputError

VALUES = 1 << 22  # decoded at once, over all channels: 26 s of 10 channels at 16 kHz; bounds the memory
TRUNCATED = "should be"  # libsndfile's only trace of a file that is shorter than its header says
INT16_FULL_SCALE = 32768
Waveform = npt.NDArray[np.float32]


def read_mono(path: str | Path, sr: int) -> Iterator[Waveform]:
    """Read a file as the mean of its channels at the rate `sr`, in blocks that bound the memory.

    Args:
        path: audio that libsndfile reads.
        sr: wanted rate in Hz; another rate is resampled by soxr at its quality HQ.

    Yields:
        Blocks of shape (sample,), float32, full scale at ±1: together the whole file.

    Raises:
        InputError: the file cannot be decoded, is shorter than it says, or holds values that are not finite.
    """
    try:
        with soundfile.SoundFile(path) as file:
            blocks = _checked(_mixed(file), file.frames, file.extra_info, path)
            yield from blocks if file.samplerate == sr else _resampled(blocks, file.samplerate, sr)
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise InputError(f"{path}: must be audio that libsndfile can decode; {error}") from None


def _mixed(file: soundfile.SoundFile) -> Iterator[Waveform]:
    """Mean over the channels; a product with equal weights is the fastest mean, 16-bit values the fastest to read."""
    as_stored = file.subtype == "PCM_16"
    scale = 1 / INT16_FULL_SCALE if as_stored else 1
    weights = np.full(file.channels, scale / file.channels, np.float32)
    dtype = "int16" if as_stored else "float32"
    for block in file.blocks(max(1, VALUES // file.channels), dtype=dtype, always_2d=True):
        yield block @ weights


def _checked(blocks: Iterator[Waveform], frames: int, remarks: str, path: str | Path) -> Iterator[Waveform]:
    """The same blocks; stops at values that are not finite, and at the end where frames are missing."""
    decoded = 0
    for block in blocks:
        if not np.isfinite(block).all():
            odd = np.flatnonzero(~np.isfinite(block))
            raise InputError(
                f"{path}: every value must be finite; {len(odd)} of {len(block)} are not, the first is frame "
                f"{decoded + odd[0]}"
            )
        decoded += len(block)
        yield block
    if decoded != frames or TRUNCATED in remarks:
        raise InputError(f"{path}: must hold the {frames} frames of its header to the end; {decoded} were decoded")


def _resampled(blocks: Iterator[Waveform], rate: int, sr: int) -> Iterator[Waveform]:
    """The blocks at another rate, without a seam."""
    stream = soxr.ResampleStream(rate, sr, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)
