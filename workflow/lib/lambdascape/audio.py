"""Waveforms: any file that libsndfile reads, as one channel at one rate."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from lambdascape.errors import InputError

BLOCK = 1 << 20  # frames decoded at once, so that many channels of a long clip never fill the memory
TRUNCATED = "should be"  # libsndfile's only trace of a file that is shorter than its header says


def read_mono(path: str | Path, sr: int, channel: int | None = None) -> npt.NDArray[np.float32]:
    """Read one channel of a file, or the mean of all, at the rate `sr`.

    Args:
        path: audio that libsndfile reads.
        sr: wanted rate in Hz; another rate is resampled by soxr at its quality HQ.
        channel: the channel, from 1; None for the mean of all.

    Returns:
        Shape (sample,), float32, full scale at ±1.

    Raises:
        InputError: the file cannot be decoded, is shorter than it says, lacks the channel, or holds values that
            are not finite.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if channel is not None and not 1 <= channel <= file.channels:
                raise InputError(f"{path}: must have the channel {channel}; it has {file.channels}")
            mono, rate, frames, remarks = _mix(file, channel), file.samplerate, file.frames, file.extra_info
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise InputError(f"{path}: must be audio that libsndfile can decode; {error}") from None
    if len(mono) != frames or TRUNCATED in remarks:
        raise InputError(f"{path}: must hold the {frames} frames of its header to the end; {len(mono)} were decoded")
    if not np.isfinite(mono).all():
        raise InputError(f"{path}: every value must be finite; {(~np.isfinite(mono)).sum()} of {len(mono)} are not")
    return mono if rate == sr else soxr.resample(mono, rate, sr, quality="HQ")


def _mix(file: soundfile.SoundFile, channel: int | None) -> npt.NDArray[np.float32]:
    """One channel, or the mean over all, shape (sample,); a product with equal weights is the fastest mean."""
    weights = np.full(file.channels, 1 / file.channels, np.float32)
    blocks = [
        block @ weights if channel is None else block[:, channel - 1].copy()
        for block in file.blocks(BLOCK, dtype="float32", always_2d=True)
    ]
    return np.concatenate([*blocks, np.empty(0, np.float32)])
