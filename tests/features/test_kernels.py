import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from lambdascape.features import kernels
from lambdascape.features.logmel import to_float16


def by_numpy(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return values.astype(np.float16)


def assert_cast_alike(values: np.ndarray) -> None:
    """To the bit, the sign of zero included; of what is no number, only that it stays none."""
    ours, numbers = np.empty(values.shape, np.float16), ~np.isnan(values)
    to_float16(values, ours)
    np.testing.assert_array_equal(ours[numbers].view(np.uint16), by_numpy(values)[numbers].view(np.uint16))
    assert np.isnan(ours[~numbers]).all()


def test_the_cast_rounds_as_numpys_does() -> None:
    """Eight million floats from end to end, both signs, every exponent."""
    assert_cast_alike(np.arange(0, 1 << 32, 509, dtype=np.uint64).astype(np.uint32).view(np.float32))


def test_the_cast_rounds_ties_and_their_neighbours_as_numpys_does() -> None:
    """Every float16, the middle between it and the next, the floats on both sides of each, and odd values."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    exact = np.concatenate([halves, (halves[:-1] + halves[1:]) / 2, [np.float32(65520)]]).astype(np.float32)
    near = [np.nextafter(exact, np.float32(side)) for side in (-np.inf, np.inf)]
    positive = np.concatenate([exact, *near])
    assert_cast_alike(np.concatenate([positive, -positive]))
    odd = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-38, 65519.996, 3e38]
    assert_cast_alike(np.array(odd, np.float32))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8])
def test_the_mix_is_the_mean_at_the_ends_of_the_range_too(channels: int) -> None:
    values = np.random.default_rng([3, channels]).integers(-32768, 32768, (1001, channels)).astype(np.int16)
    values[:2] = [[-32768], [32767]]
    mono = np.empty(1001, np.float32)
    kernels.mix(values, np.float32(1 / channels / 32768), mono)
    np.testing.assert_allclose(mono, values.mean(axis=1, dtype=np.float64) / 32768, rtol=0, atol=1e-7)


def test_magnitudes_are_those_of_numpy() -> None:
    parts = np.random.default_rng(4).normal(0, 1, (2, 7, 33)) * np.logspace(-12, 12, 33)
    spectrum = (parts[0] + 1j * parts[1]).astype(np.complex64)
    result = np.empty(spectrum.shape, np.float32)
    kernels.magnitudes(spectrum, result)
    np.testing.assert_allclose(result, np.abs(spectrum.astype(np.complex128)), rtol=1e-6)


def test_frames_are_laid_out_one_hop_after_the_other() -> None:
    waveform, window = np.arange(100, dtype=np.float32), np.linspace(0, 1, 9, dtype=np.float32)
    padded = np.zeros((5, 16), np.float32)
    kernels.lay_out(waveform, 7, window, padded)
    for frame in range(5):
        np.testing.assert_array_equal(padded[frame, :9], waveform[7 * frame : 7 * frame + 9] * window)
    assert not padded[:, 9:].any()


def test_kernels_are_compiled_where_no_folder_can_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        kernels.numba.njit("int64(int64)", cache=True)(lambda value: value + 1)
    doubled = np.zeros(3, np.float32)

    @kernels.compiled("void(float32[::1])")
    def add_two(values: np.ndarray) -> None:
        for k in range(len(values)):
            values[k] += np.float32(2)

    add_two(doubled)
    assert doubled.tolist() == [2, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["damaged", "no folder"])
def test_a_cache_that_cannot_be_used_is_done_without(tmp_path: Path, fault: str) -> None:
    """Cache files that were cut and a NUMBA_CACHE_DIR below a file: each in a process of its own."""
    cache = tmp_path / "cache"
    code = "from lambdascape.features.kernels import *; h = np.zeros(2, 'u2'); to_half(U32([0, 2**30]), h); print(h)"
    words = [sys.executable, "-c", code]
    environment = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(kernels.__file__).parents[2])}
    if fault == "no folder":
        cache.write_text("no folder")
    else:
        subprocess.run(words, env=environment, check=True, capture_output=True)
        kept = [path for path in cache.rglob("*") if path.is_file()]
        assert len(kept) >= 8  # an index and the code of each kernel
        for path in kept:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    assert run.stdout == "[    0 16384]\n"
