"""Damaged audio never becomes features unseen (rows A1 to A4 of the table of faults)."""

import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.core.files import content_digest
from lambdascape.core.tsv import write_table
from lambdascape.datasets.candidates import Reject
from lambdascape.datasets.inspection import inspect
from lambdascape.features.decode import read_mono
from lambdascape.features.extraction import extract_shard
from support.memory import held_within

Count = Callable[[int, int], int]
RATE, FRAMES, CHANNELS = 16000, 4000, 2
SETTINGS = {
    "sr": RATE, "n_fft": 1024, "win_length": 480, "hop_length": 160, "n_mels": 16, "fmin": 125.0, "fmax": 7500.0,
    "htk": True, "filterbank": "librosa", "log_offset": 1e-2,
}  # fmt: skip
SECONDS, MEGABYTES = 2, 500  # what one damaged file may cost at most


def noise(frames: int = FRAMES, channels: int = CHANNELS) -> np.ndarray:
    return np.random.default_rng([8, frames]).uniform(-0.5, 0.5, (frames, channels))


def looked(path: Path) -> pd.Series | Reject:
    """What the manifest says of one file: its row, or why it is rejected."""
    clips, rejects = inspect(path.parent, pd.DataFrame({"path": [path.name]}), 1)
    return rejects[0] if rejects else clips.iloc[0]


@contextmanager
def in_time() -> Iterator[None]:
    """Fail where the block takes longer than a damaged file may."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"a damaged file must be told within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- A1: cut at any byte -----------------------------------------------------------------------------------


@pytest.mark.fault("A1")
@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16"), ("ogg", "VORBIS")],
)
def test_every_cut_is_seen(tmp_path: Path, count: Count, suffix: str, subtype: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(), RATE, subtype=subtype)
    whole = path.read_bytes()
    assert not isinstance(looked(path), Reject)
    unseen = []
    for cut in np.random.default_rng(1).integers(0, len(whole), count(200, 2000)):
        path.write_bytes(whole[:cut])
        if not isinstance(looked(path), Reject):
            unseen.append(int(cut))
    assert unseen == []


# --- A2: a damaged header ------------------------------------------------------------------------------------


@pytest.mark.fault("A2")
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_damaged_header_is_refused_or_does_no_harm(tmp_path: Path, count: Count, subtype: str) -> None:
    """One to four random bytes in the 44 of the header: then the same frames at the same rate, or a reject."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), RATE, subtype=subtype)
    whole, rng = path.read_bytes(), np.random.default_rng(2)
    good, sound = looked(path), np.concatenate(list(read_mono(path, RATE)))
    assert not isinstance(good, Reject)
    refused = 0
    for _ in range(count(500, 20000)):
        damaged = bytearray(whole)
        for place in rng.choice(44, rng.integers(1, 5), replace=False):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with in_time(), held_within(MEGABYTES):
            found = looked(path)
            if isinstance(found, Reject):
                refused += 1
                continue
            same = found[["rate", "channels", "frames"]].equals(good[["rate", "channels", "frames"]])
            assert same, bytes(damaged[:44])
            np.testing.assert_array_equal(np.concatenate(list(read_mono(path, RATE))), sound)
    assert refused > 0


# --- A3: the catalogue ---------------------------------------------------------------------------------------


def wav(samples: bytes, *, size: int | None = None, **changes: int) -> bytes:
    """A WAV file of 16 bits in which any field can be wrong."""
    form = {"tag": 1, "channels": 1, "rate": RATE, "byte_rate": 2 * RATE, "frame_size": 2, "bits": 16} | changes
    data = struct.pack("<4sI", b"data", len(samples) if size is None else size) + samples
    body = b"WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, *form.values()) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


SAMPLES = np.random.default_rng(3).integers(-9999, 9999, 400).astype("<i2").tobytes()
BYTES: dict[str, tuple[bytes, str | None]] = {
    "whole": (wav(SAMPLES), None),
    "with chunks behind the samples": (wav(SAMPLES + struct.pack("<4sI", b"LIST", 4) + b"INFO", size=800), None),
    "with more behind its own end": (wav(SAMPLES) + bytes(100), None),
    "odd number of bytes and no byte to fill it": (
        wav(SAMPLES[:399] + struct.pack("<4sI", b"LIST", 4) + b"INFO", size=399, bits=8, byte_rate=RATE, frame_size=1),
        None,
    ),
    "empty": (b"", "the file must not be empty"),
    "text": (b"no audio at all, but longer than a header of 44 bytes", "it must be audio that libsndfile reads"),
    "header only": (wav(SAMPLES)[:44], "the file must be as long as its header says"),
    "half": (wav(SAMPLES)[:444], "the file must be as long as its header says"),
    "half a header": (wav(SAMPLES)[:30], "the file must be as long as its header says"),
    "no format": (wav(SAMPLES).replace(b"fmt ", b"junk"), "a WAV file must hold its format and then its samples"),
    "no samples": (wav(b""), "it must hold sound"),
    "one frame": (wav(SAMPLES[:2]), None),
    "half a frame": (wav(SAMPLES[:401]), "the samples must fill whole frames"),
    "fewer samples than bytes": (wav(SAMPLES, size=400), "the chunks of a WAV file must fill it"),
    "more samples than bytes": (wav(SAMPLES, size=1000), "the file must be as long as its header says"),
    "length unknown": (wav(SAMPLES, size=0xFFFFFFFF), "the file must be as long as its header says"),
    "two channels of one": (wav(SAMPLES, channels=2), "a WAV file's format must agree with itself"),
    "no channel": (wav(SAMPLES, channels=0), "a WAV file's format must agree with itself"),
    "absurd rate": (wav(SAMPLES, rate=2**31, byte_rate=0), "a WAV file's format must agree with itself"),
    "low rate": (wav(SAMPLES, rate=7, byte_rate=14), "its rate must be plausible"),
    "absurd rate that agrees": (wav(SAMPLES, rate=2**20, byte_rate=2**21), "its rate must be plausible"),
    "24 bits of 16": (wav(SAMPLES, bits=24), "a WAV file's format must agree with itself"),
    "unknown tag": (wav(SAMPLES, tag=0x7777), "it must be audio that libsndfile reads"),
}  # fmt: skip


@pytest.mark.fault("A3")
@pytest.mark.parametrize("name", BYTES)
def test_the_bytes_of_a_file_are_judged(tmp_path: Path, name: str) -> None:
    content, rule = BYTES[name]
    (tmp_path / "a.wav").write_bytes(content)
    found = looked(tmp_path / "a.wav")
    assert (found.rule if isinstance(found, Reject) else None) == rule


NOT_FINITE = "every value must be finite"
SOUNDS: dict[str, tuple[np.ndarray, int, str, str | None]] = {
    "two channels": (noise(100), RATE, "PCM_16", None),
    "44.1 kHz": (noise(100), 44100, "PCM_16", None),
    "silence": (np.zeros((100, 1)), RATE, "PCM_16", None),
    "NaN": (np.full((100, 1), np.nan), RATE, "FLOAT", NOT_FINITE),
    "infinite at the end": (np.append(noise(99999, 1), [[np.inf]], 0), RATE, "DOUBLE", NOT_FINITE),
    "beyond all sound": (np.append(noise(99999, 1), [[1e30]], 0), RATE, "FLOAT", "every value must be of a sound"),
}  # fmt: skip


@pytest.mark.fault("A3")
@pytest.mark.parametrize("name", SOUNDS)
def test_the_sound_in_a_file_is_judged(tmp_path: Path, name: str) -> None:
    sound, rate, subtype, rule = SOUNDS[name]
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype=subtype)
    found = looked(tmp_path / "a.wav")
    assert (found.rule if isinstance(found, Reject) else None) == rule
    if rule is None:
        assert not isinstance(found, Reject)
        assert (found["rate"], found["channels"], found["frames"]) == (rate, sound.shape[1], len(sound))
        assert found["silent"] == (name == "silence")


def absent(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.fault("A3")
@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (absent, "the file must exist"),
        (Path.mkdir, "it must be a regular file"),
        (os.mkfifo, "it must be a regular file"),
        (lambda path: path.symlink_to(path), "the file must be readable"),
    ],
    ids=["absent", "folder", "pipe", "link to itself"],
)
def test_what_is_no_file_is_rejected(tmp_path: Path, make: Callable[[Path], object], rule: str) -> None:
    make(tmp_path / "a.wav")
    found = looked(tmp_path / "a.wav")
    assert isinstance(found, Reject)
    assert found.rule == rule


@pytest.mark.fault("A3")
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """Silence for two hours in 200 kB of FLAC: 461 MB of whole numbers."""
    with soundfile.SoundFile(tmp_path / "a.flac", "w", RATE, 2) as file:
        for _ in range(120):
            file.write(np.zeros((60 * RATE, 2), np.int16))
    assert (tmp_path / "a.flac").stat().st_size < 1 << 20
    with in_time(), held_within(50):
        found = looked(tmp_path / "a.flac")
    assert isinstance(found, Reject)
    assert found.rule == "it must not be compressed beyond all sound"


# --- A4: a file that changes between manifest and read -------------------------------------------------------


@pytest.mark.fault("A4")
@pytest.mark.parametrize(
    "change",
    [
        absent,
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: soundfile.write(path, noise()[::-1], RATE),
        lambda path: path.write_text("no audio"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["absent", "cut", "replaced", "text", "folder"],
)
def test_a_file_that_changes_after_the_manifest_stops_its_shard(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        soundfile.write(tmp_path / name, noise(), RATE)
    names = ["a", "b", "c"]
    contents = [content_digest(tmp_path / f"{name}.wav") for name in names]
    paths = [f"{name}.wav" for name in names]
    table = pd.DataFrame({"clip": names, "path": paths, "content": contents, "channel": ""})
    table = table.assign(rate=RATE, frames=FRAMES)
    write_table(table, tmp_path / "clips.tsv")
    shard = tmp_path / "shard.h5"
    extract_shard(tmp_path / "clips.tsv", tmp_path, FeatureRecipe.of(SETTINGS), 0, 1, shard)
    shutil.move(shard, tmp_path / "good.h5")
    change(tmp_path / "c.wav")
    with pytest.raises(InputError, match=r"c\.wav: must be "):
        extract_shard(tmp_path / "clips.tsv", tmp_path, FeatureRecipe.of(SETTINGS), 0, 1, shard)
    assert list(tmp_path.glob("*shard*")) == []
