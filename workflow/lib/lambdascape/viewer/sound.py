"""The sound of the points, for the page to play: only where the data set may be passed on."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.files import write_text
from lambdascape.core.tsv import read_table, write_table
from lambdascape.embeddings.shown import place_of
from lambdascape.viewer.points import TEXT

COLUMNS = ["point", "mp3"]
RATE = 16000  # Hz; with it, 24 kbit/s sound as they should
LEVEL = 0.9  # of libsndfile's compression: 24 kbit/s at that rate
MOST_CHARACTERS = 5_000_000  # of base64: what the sound adds to the page
ATTRIBUTION, MOST_WORDS = "ATTRIBUTION.txt", 200_000  # characters
SEED = 1  # of the order in which tiles are taken until the room is used up


def encode_sound(
    points: str | Path,
    audit: str | Path,
    audio: str | None,
    tile_s: float,
    sound: str | Path,
    attribution: str | Path,
) -> None:
    """Encode tiles as MP3 until the room on the page is used up: the audit's first, then each class with its share.

    Args:
        points: points.tsv.
        audit: audit.tsv.
        audio: folder of the data set, or None: then no file is opened and the table has only its header.
        tile_s: length of a tile in seconds.
        sound: table `COLUMNS`: mp3 is base64.
        attribution: text of the data set's `ATTRIBUTION.txt`, which says whose the audio is; empty where there is none.

    Raises:
        InputError: a file cannot be decoded.
    """
    rows: list[tuple[int, str]] = []
    words = ""
    if audio is not None:
        rows = encode_tiles(in_order(read_table(points, TEXT), read_table(audit, ("clip",))), Path(audio), tile_s)
        file = Path(audio) / ATTRIBUTION
        words = file.read_text(encoding="utf-8", errors="replace")[:MOST_WORDS] if file.is_file() else ""
    write_table(pd.DataFrame(rows, columns=COLUMNS), sound)
    write_text(words, attribution)


def in_order(points: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Points of the audit first, then the others so that any beginning of their list has each class with its share."""
    found = place_of(points).isin(place_of(audit))
    others = points[~found].sample(frac=1, random_state=SEED)
    label = others.groupby("label")["label"]
    place = (label.cumcount() + 0.5) / label.transform("size")
    return pd.concat([points[found], others.iloc[np.argsort(place.to_numpy(), kind="stable")]])


def encode_tiles(
    points: pd.DataFrame, audio: Path, tile_s: float, most: int = MOST_CHARACTERS
) -> list[tuple[int, str]]:
    """Number and base64 of the MP3 of each tile, in order, until `most` characters are used up."""
    rows: list[tuple[int, str]] = []
    used = 0
    for row in points.itertuples():
        channel = int(str(row.channel)) if row.channel else None
        tile = read_tile(audio / str(row.path), float(str(row.start_s)), tile_s, channel)
        text = base64.b64encode(mp3(tile)).decode()
        used += len(text)
        if used > most:
            break
        rows.append((int(str(row.point)), text))
    return rows


def read_tile(path: Path, start_s: float, tile_s: float, channel: int | None) -> npt.NDArray[np.float32]:
    """One tile of a file at `RATE`, one channel (from 1) or the mean of all: shape (sample,), within ±1.

    Raises:
        InputError: the file cannot be decoded.
    """
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(path) as file:
            file.seek(min(round(start_s * file.samplerate), file.frames))
            values = file.read(round(tile_s * file.samplerate), dtype="float32", always_2d=True)
            rate = file.samplerate
    except (OSError, TypeError, soundfile.SoundFileError) as error:
        raise InputError(f"{path}: must be audio that libsndfile can decode; {error}") from None
    mono = values.mean(axis=1) if channel is None else values[:, channel - 1]
    return np.clip(soxr.resample(np.ascontiguousarray(mono), rate, RATE), -1, 1)


def mp3(samples: npt.NDArray[np.float32]) -> bytes:
    """One channel at `RATE` as MP3."""
    import soundfile

    stream: Any = io.BytesIO()
    options: Any = {"compression_level": LEVEL, "bitrate_mode": "CONSTANT"}
    soundfile.write(stream, samples, RATE, format="MP3", subtype="MPEG_LAYER_III", **options)
    return bytes(stream.getvalue())
