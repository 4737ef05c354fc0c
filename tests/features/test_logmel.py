from typing import Any, get_args

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdascape.config.settings import FeatureRecipe, FeatureSettings
from lambdascape.core.errors import InputError
from lambdascape.features import logmel

SEED: dict[str, Any] = {
    "sr": 16000, "n_fft": 1024, "win_length": 480, "hop_length": 160, "n_mels": 128, "fmin": 50.0, "fmax": 8000.0,
    "htk": True, "filterbank": "tensorflow", "log_offset": 1e-6,
}  # fmt: skip
SMALL = SEED | {"n_fft": 256, "win_length": 200, "hop_length": 100, "n_mels": 12}


LIBROSAS = [  # the published recipe but for its filters, the default, and Slaney's scale from 0 Hz
    SEED | {"filterbank": "librosa"},
    SEED | {"filterbank": "librosa", "hop_length": 320, "n_mels": 40},
    SEED | {"filterbank": "librosa", "n_fft": 512, "n_mels": 64, "fmin": 0.0, "htk": False},
]


def waveform(seconds: float) -> np.ndarray:
    """Noise, then a rising tone, then all but silence."""
    samples = round(16000 * seconds)
    third = samples // 3
    rng = np.random.default_rng([11, samples])
    sound = rng.normal(0, 0.1, samples)
    time = np.arange(third) / 16000
    sound[third : 2 * third] = 0.5 * np.sin(2 * np.pi * (100 * time + 3000 * time**2 / (2 * time[-1])))
    sound[2 * third :] *= 1e-6
    return sound.astype(np.float32)


def by_tensorflow(sound: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """The published study's own features, computed in the precision of `sound`."""
    tf = pytest.importorskip("tensorflow")
    spectrum = tf.abs(tf.signal.stft(sound, settings["win_length"], settings["hop_length"], settings["n_fft"]))
    bands, bins, edges = settings["n_mels"], settings["n_fft"] // 2 + 1, (settings["fmin"], settings["fmax"])
    mel = tf.signal.linear_to_mel_weight_matrix(bands, bins, settings["sr"], *edges, tf.as_dtype(sound.dtype))
    return tf.math.log(spectrum @ mel + settings["log_offset"]).numpy()


def by_librosa(sound: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """By `librosa.feature.melspectrogram`, which places the window in the middle of `n_fft`."""
    beside = settings["n_fft"] - settings["win_length"]
    padded = np.pad(sound, (beside // 2, beside - beside // 2))
    names = ("sr", "n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax", "htk")
    options = {name: settings[name] for name in names}
    mel = librosa.feature.melspectrogram(y=padded, center=False, power=1.0, **options)
    return np.log(mel.T + settings["log_offset"])


def by_loop(sound: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """The same from the definitions, one frame and one band at a time."""
    hop, length, n_fft = settings["hop_length"], settings["win_length"], settings["n_fft"]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)

    def mel(frequency: float) -> float:
        return 2595 * np.log10(1 + frequency / 700)

    edges = np.linspace(mel(settings["fmin"]), mel(settings["fmax"]), settings["n_mels"] + 2)
    frames = []
    for start in range(0, len(sound) - length + 1, hop):
        magnitude = np.abs(np.fft.rfft(sound[start : start + length] * window, n_fft))
        bands = np.zeros(settings["n_mels"])
        for band, (low, centre, high) in enumerate(zip(edges[:-2], edges[1:-1], edges[2:], strict=True)):
            for k, value in enumerate(magnitude):
                place = mel(k * settings["sr"] / n_fft)
                slopes = (place - low) / (centre - low), (high - place) / (high - centre)
                bands[band] += value * max(0, min(slopes))
        frames.append(np.log(bands + settings["log_offset"]))
    return np.array(frames)


@pytest.mark.parametrize("settings", LIBROSAS)
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_equal_to_librosa(settings: dict[str, Any], precision: type) -> None:
    sound = waveform(5) + np.random.default_rng([12]).normal(0, 0.01, 80000).astype(np.float32)
    ours, theirs = logmel.log_mel(sound, FeatureRecipe.of(settings)), by_librosa(sound.astype(precision), settings)
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def test_the_config_offers_these_filters() -> None:
    assert get_args(FeatureSettings.model_fields["filterbank"].annotation) == tuple(logmel.FILTER_BANKS)


@pytest.mark.parametrize(("seconds", "frames"), [(10, 998), (5, 498)])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_equal_to_tensorflow(seconds: float, frames: int, precision: type) -> None:
    """Over noise, as any recording has it; the next test looks at what single precision does without."""
    sound = waveform(seconds) + np.random.default_rng([12]).normal(0, 0.01, round(16000 * seconds)).astype(np.float32)
    ours, theirs = logmel.log_mel(sound, FeatureRecipe.of(SEED)), by_tensorflow(sound.astype(precision), SEED)
    assert ours.shape == theirs.shape == (frames, 128)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=0)


def test_beside_a_pure_tone_the_error_is_a_millionth_of_the_tone() -> None:
    """Single precision adds 1e-6 of a frame's loudest band to all its bands; TensorFlow's own adds as much."""
    sound = waveform(5)
    ours = np.exp(logmel.log_mel(sound, FeatureRecipe.of(SEED)))
    exact = np.exp(by_tensorflow(sound.astype(np.float64), SEED))
    assert (np.abs(ours - exact) <= 1e-3 * exact + 1e-6 * exact.max(axis=1, keepdims=True)).all()


def test_equal_to_the_definitions() -> None:
    sound = waveform(0.1) + np.random.default_rng([13]).normal(0, 0.01, 1600).astype(np.float32)
    np.testing.assert_allclose(logmel.log_mel(sound, FeatureRecipe.of(SMALL)), by_loop(sound, SMALL), atol=1e-4, rtol=0)


@given(start=st.integers(0, 4))
def test_a_tile_of_the_waveform_is_a_slice_of_the_frames(start: int) -> None:
    """A tile of 5 s from second s is the frames [100 s, 100 s + 498)."""
    sound = waveform(10)
    tile = logmel.log_mel(sound[16000 * start : 16000 * (start + 5)], FeatureRecipe.of(SEED))
    np.testing.assert_allclose(
        logmel.log_mel(sound, FeatureRecipe.of(SEED))[100 * start : 100 * start + 498], tile, atol=1e-5, rtol=0
    )


@given(samples=st.integers(0, 2000))
def test_frames_of_counts_what_log_mel_returns(samples: int) -> None:
    frames = logmel.frames_of(samples, FeatureRecipe.of(SMALL))
    assert logmel.log_mel(np.zeros(samples, np.float32), FeatureRecipe.of(SMALL)).shape == (frames, 12)
    assert frames == len(range(0, samples - 200 + 1, 100))


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = logmel.log_mel(waveform(1), FeatureRecipe.of(SMALL))
    monkeypatch.setattr(logmel, "BLOCK", 7)
    np.testing.assert_allclose(logmel.log_mel(waveform(1), FeatureRecipe.of(SMALL)), whole, atol=1e-5, rtol=0)


def test_silence_is_the_log_of_the_offset() -> None:
    silence = logmel.log_mel(np.zeros(1000, np.float32), FeatureRecipe.of(SMALL))
    np.testing.assert_allclose(silence, np.log(1e-6), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_mels": 400}, "Lower n_mels"),
        ({"fmax": 9000.0}, "fmax 9000"),
        ({"fmin": 8000.0}, "fmin 8000"),
        ({"win_length": 2000}, "2000 > 1024"),
        ({"htk": False}, "htk must be true"),
        ({"filterbank": "librosa", "n_mels": 400}, "Lower n_mels"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        logmel.log_mel(waveform(1), FeatureRecipe.of(SEED | change))
