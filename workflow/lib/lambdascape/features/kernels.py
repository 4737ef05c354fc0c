"""The loops over samples that NumPy has no quick step for, compiled by Numba.

Compiling takes two seconds; the result is kept beside this file, or in NUMBA_CACHE_DIR.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

U32 = np.uint32
# Bits of float32: the smallest normal float16, what lies beyond float16, infinity; how far their exponents differ.
SMALLEST_NORMAL, BEYOND, INFINITE, REBIAS = U32(0x38800000), U32(0x47800000), U32(0x7F800000), U32(0x38000000)
NOT_A_NUMBER = U32(0x7E00)  # of float16


def compiled(signature: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a function for the given types at once, or take it from the cache; a cache is a help, never a need."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        result: Callable[..., None]
        try:
            result = numba.njit(signature, cache=True, error_model="numpy")(function)
        except Exception:  # no folder that can be written, a full disk, a damaged file: whatever pickle raises
            result = numba.njit(signature, error_model="numpy")(function)
        return result

    return decorate


@compiled("void(int16[:, ::1], float32, float32[::1])")
def mix(values: Any, scale: Any, mono: Any) -> None:
    """Sum of the channels of 16-bit samples, times `scale`: (sample, channel), int16, to (sample,), float32."""
    samples, channels = values.shape
    if channels == 4:
        for k in range(samples):
            mono[k] = np.float32(np.int32(values[k, 0]) + values[k, 1] + values[k, 2] + values[k, 3]) * scale
    elif channels == 2:
        for k in range(samples):
            mono[k] = np.float32(np.int32(values[k, 0]) + values[k, 1]) * scale
    else:
        for k in range(samples):
            total = 0
            for channel in range(channels):
                total += values[k, channel]
            mono[k] = np.float32(total) * scale


@compiled("void(float32[::1], int64, float32[::1], float32[:, ::1])")
def lay_out(waveform: Any, hop_length: Any, window: Any, padded: Any) -> None:
    """Windowed frames of a waveform, (sample,), at the start of each row of (frame, n_fft)."""
    for frame in range(padded.shape[0]):
        first = frame * hop_length
        for k in range(len(window)):
            padded[frame, k] = waveform[first + k] * window[k]


@compiled("void(complex64[:, ::1], float32[:, ::1])")
def magnitudes(spectrum: Any, result: Any) -> None:
    """Magnitudes of spectra, both (frame, frequency), of which no square overflows."""
    for frame in range(spectrum.shape[0]):
        for k in range(spectrum.shape[1]):
            real, imaginary = spectrum[frame, k].real, spectrum[frame, k].imag
            result[frame, k] = np.sqrt(real * real + imaginary * imaginary)


@compiled("void(uint32[::1], uint16[::1])")
def to_half(bits: Any, halves: Any) -> None:
    """Round float32 to float16 as IEEE 754 asks for: to the nearest, and to the even one of two.

    NumPy does the same several times more slowly. Each step says that it has 32 bits, or Numba takes 64.

    Args:
        bits: (value,), those of float32.
        halves: (value,), the bits of float16.
    """
    for place in range(len(bits)):
        value = bits[place]
        size = U32(value & U32(0x7FFFFFFF))
        # A normal number loses 13 bits of its fraction; one that is too large becomes infinite.
        capped = size if size < BEYOND else BEYOND
        last = U32(U32(capped >> U32(13)) & U32(1))
        normal = U32(U32(U32(U32(capped - REBIAS) + U32(0xFFF)) + last) >> U32(13))
        # A subnormal one is a whole number of 2^-24.
        fraction = U32(U32(size & U32(0x7FFFFF)) | U32(0x800000))
        exponent = U32(size >> U32(23))
        shift = U32(U32(126) - exponent) if exponent < U32(125) else U32(1)
        shift = shift if shift < U32(31) else U32(31)
        odd = U32(U32(fraction >> shift) & U32(1))
        below_half = U32(U32(U32(U32(1) << shift) >> U32(1)) - U32(1))
        subnormal = U32(U32(U32(fraction + below_half) + odd) >> shift)
        half = normal if size >= SMALLEST_NORMAL else subnormal
        half = NOT_A_NUMBER if size > INFINITE else half
        halves[place] = np.uint16(U32(U32(U32(value >> U32(16)) & U32(0x8000)) | half))
