import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from lambdascape import features, store
from lambdascape.audio import read_mono
from lambdascape.errors import InputError
from lambdascape.files import file_digest, write_table

SEED: dict[str, Any] = {
    "sr": 16000,
    "n_fft": 1024,
    "win_length": 480,
    "hop_length": 160,
    "n_mels": 128,
    "fmin": 50.0,
    "fmax": 8000.0,
    "htk": True,
    "log_offset": 1e-6,
}
SMALL = SEED | {"n_fft": 256, "win_length": 200, "hop_length": 100, "n_mels": 12}


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


@pytest.mark.parametrize(("seconds", "frames"), [(10, 998), (5, 498)])
def test_equal_to_tensorflow(seconds: float, frames: int) -> None:
    sound = waveform(seconds)
    ours, theirs = features.log_mel(sound, SEED), by_tensorflow(sound.astype(np.float64), SEED)
    assert ours.shape == theirs.shape == (frames, 128)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=0)


def test_equal_to_tensorflow_in_single_precision() -> None:
    """As the study ran it, but over noise: beside a pure tone its own rounding reaches 1.3."""
    sound = waveform(5) + np.random.default_rng([12]).normal(0, 0.01, 80000).astype(np.float32)
    np.testing.assert_allclose(features.log_mel(sound, SEED), by_tensorflow(sound, SEED), atol=1e-3, rtol=0)


def test_equal_to_the_definitions() -> None:
    sound = waveform(0.1)
    np.testing.assert_allclose(features.log_mel(sound, SMALL), by_loop(sound, SMALL), atol=1e-4, rtol=0)


@given(start=st.integers(0, 4))
def test_a_tile_of_the_waveform_is_a_slice_of_the_frames(start: int) -> None:
    """A tile of 5 s from second s is the frames [100 s, 100 s + 498)."""
    sound = waveform(10)
    tile = features.log_mel(sound[16000 * start : 16000 * (start + 5)], SEED)
    np.testing.assert_allclose(features.log_mel(sound, SEED)[100 * start : 100 * start + 498], tile, atol=1e-5, rtol=0)


@given(samples=st.integers(0, 2000))
def test_frames_of_counts_what_log_mel_returns(samples: int) -> None:
    frames = features.frames_of(samples, SMALL)
    assert features.log_mel(np.zeros(samples, np.float32), SMALL).shape == (frames, 12)
    assert frames == len(range(0, samples - 200 + 1, 100))


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features.log_mel(waveform(1), SMALL)
    monkeypatch.setattr(features, "BLOCK", 7)
    np.testing.assert_allclose(features.log_mel(waveform(1), SMALL), whole, atol=1e-5, rtol=0)


def test_silence_is_the_log_of_the_offset() -> None:
    np.testing.assert_allclose(features.log_mel(np.zeros(1000, np.float32), SMALL), np.log(1e-6), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_mels": 400}, "Lower n_mels"),
        ({"fmax": 9000.0}, "fmax 9000"),
        ({"fmin": 8000.0}, "fmin 8000"),
        ({"win_length": 2000}, "2000 > 1024"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        features.log_mel(waveform(1), SEED | change)


LENGTHS = (8000, 150, 4321, 200, 16000, 199, 0)  # samples; three are shorter than a window


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips of ragged lengths and their manifest."""
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for number, samples in enumerate(LENGTHS):
        soundfile.write(root / f"{number}.wav", waveform(2)[::-1][:samples], 16000)
        content = file_digest(root / f"{number}.wav")
        rows.append({"clip": f"é {number}", "path": f"{number}.wav", "channel": "", "content": content})
    write_table(pd.DataFrame(rows), root / "clips.tsv")
    return root


def build(dataset: Path, folder: Path, n_shards: int) -> Path:
    shards = [folder / f"{shard}.h5" for shard in range(n_shards)]
    for shard, path in enumerate(shards):
        features.extract_shard(dataset / "clips.tsv", dataset, SMALL, shard, n_shards, path)
    features.consolidate(dataset / "clips.tsv", shards, folder / "features.h5")
    return folder / "features.h5"


def test_the_store_holds_what_is_computed_directly(dataset: Path, tmp_path: Path) -> None:
    stored = store.open_features(build(dataset, tmp_path, 3))
    assert stored.clips == [f"é {number}" for number in range(len(LENGTHS))]
    assert stored.about["recipe"] == SMALL
    assert stored.frames.dtype == np.float16
    assert len(stored.frames) == stored.clip_start[-1]
    for number, samples in enumerate(LENGTHS):
        frames = stored.frames[stored.clip_start[number] : stored.clip_start[number + 1]]
        direct = features.log_mel(read_mono(dataset / f"{number}.wav", 16000), SMALL)
        assert len(frames) == features.frames_of(samples, SMALL)
        # float16 has 11 bits: below 16 it rounds by at most 2^-8, which is 0.034 dB.
        assert np.abs(frames.astype(np.float32) - direct).max(initial=0) <= 2**-8


def test_the_number_of_shards_changes_nothing(dataset: Path, tmp_path: Path) -> None:
    digests = {hashlib.sha256(build(dataset, tmp_path / str(n), n).read_bytes()).hexdigest() for n in (1, 2, 7, 9)}
    assert len(digests) == 1


def test_shards_must_be_those_of_the_manifest(dataset: Path, tmp_path: Path) -> None:
    build(dataset, tmp_path, 2)
    shards = [tmp_path / "1.h5", tmp_path / "0.h5"]
    with pytest.raises(InputError, match="in its order"):
        features.consolidate(dataset / "clips.tsv", shards, tmp_path / "wrong.h5")
    features.extract_shard(dataset / "clips.tsv", dataset, SMALL | {"fmax": 7000.0}, 1, 2, shards[0])
    with pytest.raises(InputError, match="share one recipe"):
        features.consolidate(dataset / "clips.tsv", shards[::-1], tmp_path / "wrong.h5")
    assert not (tmp_path / "wrong.h5").exists()


def test_clips_that_are_all_too_short_are_refused(dataset: Path, tmp_path: Path) -> None:
    features.extract_shard(
        dataset / "clips.tsv", dataset, SMALL | {"win_length": 40000, "n_fft": 65536}, 0, 1, tmp_path / "0.h5"
    )
    with pytest.raises(InputError, match="40000 samples; none is"):
        features.consolidate(dataset / "clips.tsv", [tmp_path / "0.h5"], tmp_path / "features.h5")


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_a_file_that_is_not_the_manifests_is_named(dataset: Path, tmp_path: Path, fault: str) -> None:
    soundfile.write(tmp_path / "0.wav", np.zeros(LENGTHS[0]), 16000)
    if fault == "gone":
        (tmp_path / "0.wav").unlink()
    with pytest.raises(InputError, match=r"0\.wav: must be"):
        features.extract_shard(dataset / "clips.tsv", tmp_path, SMALL, 0, 1, tmp_path / "0.h5")
    assert not (tmp_path / "0.h5").exists()
