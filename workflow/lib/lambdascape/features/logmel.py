"""Log-mel spectra: the numbers of `librosa.feature.melspectrogram`, several times as fast.

Frames are not centred, so a tile cut from a waveform and a slice of its clip's frames are the same numbers:
frame t covers the samples `[t · hop_length, t · hop_length + win_length)`.
"""

import warnings
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec

import librosa
import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal
from librosa.filters import mel as librosas_mel

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.features import kernels

BLOCK = 128  # frames transformed at once: what lies between the steps stays in the processor's cache
BANDS_AT_ONCE = 16  # bands multiplied at once: neighbours share a narrow range of frequencies, the rest is zero


class LogMel:
    """A recipe made ready: filters, window and buffers, for one waveform after the other.

    Natural log of the mel magnitude plus `log_offset`: periodic Hann window at the start of each frame, zeros up to
    `n_fft`, magnitude and not power, no centring. With librosa's filters these are the numbers of
    `librosa.feature.melspectrogram(power=1.0, center=False)` over the waveform with `(n_fft - win_length) // 2` zeros
    on both sides, for librosa places the window in the middle of `n_fft`.

    Args:
        settings: the recipe: `sr`, `n_fft`, `win_length`, `hop_length`, `log_offset`, and those of `mel_matrix`.

    Raises:
        InputError: see `mel_matrix`; or the window is longer than the FFT.
    """

    def __init__(self, settings: FeatureRecipe) -> None:
        win_length, n_fft = settings.win_length, settings.n_fft
        if win_length > n_fft:
            raise InputError(f"features: win_length must not exceed n_fft; got {win_length} > {n_fft}")
        self.settings = settings
        self.window = scipy.signal.get_window("hann", win_length, fftbins=True).astype(np.float32)
        self.filters = _narrow(mel_matrix(settings))
        self.padded = np.zeros((BLOCK, n_fft), np.float32)
        self.spectrum = np.empty((BLOCK, n_fft // 2 + 1), np.complex64)
        self.magnitude = np.empty(self.spectrum.shape, np.float32)
        self.mel = np.empty((BLOCK, settings.n_mels), np.float32)
        self.fft = FFTS[fft_library()]

    def __call__(self, waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Transform a waveform: shape (sample,), float32, at the rate `sr`, to shape (frame, mel), float32."""
        result = np.empty((frames_of(len(waveform), self.settings), self.settings.n_mels), np.float32)
        for start, frames in self._blocks(waveform, len(result)):
            result[start : start + len(frames)] = frames
        return result

    def stream(self, blocks: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float16]]:
        """Transform a waveform that comes in blocks, (sample,) each, to blocks of frames as the store has them.

        Yields:
            Shape (frame, mel), float16.
        """
        hop_length, rest, skip = self.settings.hop_length, np.empty(0, np.float32), 0
        for block in blocks:
            waveform = np.concatenate([rest, block])[skip:] if len(rest) else block[skip:]
            result = np.empty((frames_of(len(waveform), self.settings), self.settings.n_mels), np.float16)
            for start, frames in self._blocks(waveform, len(result)):
                to_float16(frames, result[start : start + len(frames)])
            yield result
            done = len(result) * hop_length
            rest, skip = waveform[done:], max(0, done - len(waveform))

    def _blocks(self, waveform: npt.NDArray[np.float32], count: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """The first frame and the frames, (frame, mel), of each block, in memory that the next block takes."""
        waveform = np.ascontiguousarray(waveform, np.float32)
        hop_length, offset = self.settings.hop_length, np.float32(self.settings.log_offset)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            padded, magnitude, mel = self.padded[:size], self.magnitude[:size], self.mel[:size]
            kernels.lay_out(waveform[start * hop_length :], hop_length, self.window, padded)
            kernels.magnitudes(self.fft(padded, self.spectrum[:size]), magnitude)
            for frequencies, bands, weights in self.filters:
                np.matmul(magnitude[:, frequencies], weights, out=mel[:, bands])
            mel += offset
            yield start, np.log(mel, out=mel)


def to_float16(values: npt.NDArray[np.float32], result: npt.NDArray[np.float16]) -> None:
    """Write what `values.astype(np.float16)` gives, more quickly; neither array has gaps between its values."""
    kernels.to_half(values.reshape(-1).view(np.uint32), result.reshape(-1).view(np.uint16))


def log_mel(waveform: npt.NDArray[np.float32], settings: FeatureRecipe) -> npt.NDArray[np.float32]:
    """One waveform by a recipe, see `LogMel`: shape (sample,) to shape (frame, mel), float32."""
    return LogMel(settings)(waveform)


def frames_of(samples: int, settings: FeatureRecipe) -> int:
    """Number of frames of a waveform; 0 when it is shorter than one window.

    Args:
        samples: length of the waveform at the rate `sr`.
        settings: `win_length`, `hop_length` in samples.
    """
    return max(0, 1 + (samples - settings.win_length) // settings.hop_length)


def mel_matrix(settings: FeatureRecipe) -> npt.NDArray[np.float32]:
    """Triangular mel filters.

    Args:
        settings: `sr`, `fmin`, `fmax` in Hz; `n_fft` in samples; `n_mels` bands; `htk`: HTK's mel scale, else
            Slaney's; `filterbank`: see `FILTER_BANKS`.

    Returns:
        Shape (frequency, mel), float32, with n_fft // 2 + 1 frequencies.

    Raises:
        InputError: the range of frequencies is not within 0 and sr / 2; a band is so narrow that it holds
            no frequency; or TensorFlow's filters are to have another scale than HTK's.
    """
    sr, fmin, fmax = settings.sr, settings.fmin, settings.fmax
    if not 0 <= fmin < fmax <= sr / 2:
        raise InputError(f"features: needs 0 <= fmin < fmax <= sr / 2; got fmin {fmin}, fmax {fmax}, sr {sr}")
    if settings.filterbank == "tensorflow" and not settings.htk:
        raise InputError("features: htk must be true for TensorFlow's filters, which know no other scale; got false")
    weights = FILTER_BANKS[settings.filterbank](settings)
    empty = np.flatnonzero(weights.max(axis=0) <= 0)
    if len(empty):
        raise InputError(
            f"features: every mel band must hold a frequency of the FFT; {len(empty)} of "
            f"{settings.n_mels} hold none, "
            f"the first is band {empty[0]}. Lower n_mels, or raise n_fft or fmin."
        )
    return weights


def _librosas_filters(settings: FeatureRecipe) -> npt.NDArray[np.float32]:
    """`librosa.filters.mel`: slopes straight over Hz, each filter of area 1 over Hz."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of empty bands, which are refused
        weights: npt.NDArray[np.float32] = librosas_mel(
            sr=settings.sr,
            n_fft=settings.n_fft,
            n_mels=settings.n_mels,
            fmin=settings.fmin,
            fmax=settings.fmax,
            htk=settings.htk,
        )
    return weights.T


def _tensorflows_filters(settings: FeatureRecipe) -> npt.NDArray[np.float32]:
    """`tf.signal.linear_to_mel_weight_matrix`: slopes straight over HTK's mel scale, each filter of height 1."""
    frequencies = librosa.fft_frequencies(sr=settings.sr, n_fft=settings.n_fft)
    bins = librosa.hz_to_mel(frequencies, htk=True)[:, np.newaxis]  # (frequency, 1)
    low, high = (librosa.hz_to_mel(float(edge), htk=True) for edge in (settings.fmin, settings.fmax))
    edges = np.linspace(low, high, settings.n_mels + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]  # (mel,)
    slopes = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    return np.maximum(0, slopes).astype(np.float32)


FILTER_BANKS = {"librosa": _librosas_filters, "tensorflow": _tensorflows_filters}


def _narrow(weights: npt.NDArray[np.float32]) -> list[tuple[slice, slice, npt.NDArray[np.float32]]]:
    """The filters in groups of bands: their range of frequencies, their bands, shape (frequency, mel) within."""
    groups = []
    for first in range(0, weights.shape[1], BANDS_AT_ONCE):
        bands = slice(first, min(first + BANDS_AT_ONCE, weights.shape[1]))
        used = np.flatnonzero(weights[:, bands].any(axis=1))
        frequencies = slice(used[0], used[-1] + 1)
        groups.append((frequencies, bands, np.ascontiguousarray(weights[frequencies, bands])))
    return groups


def fft_library() -> str:
    """The FFT that transforms: `mkl_fft` where it is installed, for it is faster, else `scipy`."""
    return "mkl_fft" if find_spec("mkl_fft") else "scipy"


def _by_scipy(frames: npt.NDArray[np.float32], _: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    spectrum: npt.NDArray[np.complex64] = scipy.fft.rfft(frames, axis=1)
    return spectrum


def _by_mkl(frames: npt.NDArray[np.float32], out: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    spectrum: npt.NDArray[np.complex64] = import_module("mkl_fft").rfft(frames, axis=1, out=out)
    return spectrum


FFTS = {"scipy": _by_scipy, "mkl_fft": _by_mkl}
