from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from lambdascape.core.errors import InputError
from lambdascape.features import decode


def read_whole(path: Path) -> np.ndarray:
    return np.concatenate(list(decode.read_mono(path, 16000)))


def noise(frames: int, channels: int) -> np.ndarray:
    return np.random.default_rng([5, frames]).uniform(-0.5, 0.5, (frames, channels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_mono_is_the_mean_of_the_channels(tmp_path: Path, channels: int) -> None:
    sound = noise(1000, channels).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    mono = read_whole(tmp_path / "a.wav")
    assert mono.dtype == np.float32
    np.testing.assert_allclose(mono, [sum(map(float, row)) / channels for row in sound], atol=1e-7)


def test_values_of_16_bits_are_read_as_they_are_stored(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1000, 4), 16000, subtype="PCM_16")
    decoded, _ = soundfile.read(tmp_path / "a.wav", dtype="float64")
    np.testing.assert_allclose(read_whole(tmp_path / "a.wav"), decoded.mean(axis=1), atol=1e-7)


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", noise(5001, 2), 16000)
    whole = read_whole(tmp_path / "a.wav")
    monkeypatch.setattr(decode, "VALUES", 200)
    np.testing.assert_allclose(read_whole(tmp_path / "a.wav"), whole, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_is_librosas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    """The same library at the same quality, but block by block; librosa may round the length up where soxr does not."""
    monkeypatch.setattr(decode, "VALUES", 4096)
    sound = noise(30011, 1)[:, 0].astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    ours, theirs = read_whole(tmp_path / "a.wav"), librosa.resample(sound, orig_sr=rate, target_sr=16000)
    assert len(theirs) - len(ours) in (0, 1)
    np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-5, rtol=0)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_formats_are_read_whole(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", noise(20000, 2), 16000)
    mono = read_whole(tmp_path / f"a.{suffix}")
    assert 20000 <= len(mono) < 20000 + 2 * 1152  # MP3 rounds up to its own frames
    assert np.abs(mono).max() > 0.1


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.{'flac' if 'flac' in kind else 'wav'}"
    if kind == "text":
        path.write_text("no audio")
    elif kind == "not finite":
        soundfile.write(path, np.array([0.0, np.nan, np.inf]), 16000, subtype="FLOAT")
    elif kind == "beyond all sound":
        soundfile.write(path, np.array([0.0, 9e8, -1e30]), 16000, subtype="FLOAT")
    elif kind.startswith("truncated"):
        soundfile.write(path, noise(20000, 1), 16000)
        path.write_bytes(path.read_bytes()[:15001])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("absent", "can decode"),
        ("text", "can decode"),
        ("not finite", "2 of 3 are not"),
        ("beyond all sound", "1 of 3 are not, the first is frame 2"),
        ("truncated", "to the end"),
        ("truncated flac", "decode|to the end"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, kind: str, message: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(InputError, match=message) as error:
        read_whole(path)
    assert str(path) in str(error.value)
