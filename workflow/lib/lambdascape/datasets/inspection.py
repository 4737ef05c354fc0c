"""A look into each file: is it whole audio, and what is in its header."""

import stat
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import soundfile
from tqdm import tqdm

from lambdascape.audio import TRUNCATED
from lambdascape.datasets.listing import UNSAFE, Reject, shown
from lambdascape.files import content_digest

LOWEST_RATE, HIGHEST_RATE = 1_000, 400_000  # Hz; a header outside is damaged
MOST_FRAMES = 1 << 31  # per channel: 37 hours at 16 kHz; a header beyond is damaged, or its length unknown


class Header(NamedTuple):
    """What a file says of itself: rate in Hz, channels, frames per channel; and `files.content_digest`."""

    rate: int
    channels: int
    frames: int
    content: str


def inspect(root: Path, candidates: pd.DataFrame, threads: int) -> tuple[pd.DataFrame, list[Reject]]:
    """Look into every candidate.

    Args:
        root: the data set's folder.
        candidates: rows with `path` relative to it.
        threads: files looked at in parallel.

    Returns:
        The rows whose files can be used, with `rate`, `channels`, `frames` and `content` added; and a
        rejected row for each of the others.
    """
    rows = candidates.to_dict("records")
    with ThreadPoolExecutor(threads) as pool:
        looks = pool.map(partial(_look, root), rows)
        found = list(tqdm(looks, total=len(rows), desc="clips", unit="clip", disable=None))
    columns = [*candidates.columns, *Header._fields]
    good = [row | look._asdict() for row, look in zip(rows, found, strict=True) if isinstance(look, Header)]
    return pd.DataFrame(good, columns=columns), [look for look in found if isinstance(look, Reject)]


def _look(root: Path, row: dict[str, str]) -> Header | Reject:
    """Header of a good file, or the first rule that a bad one breaks."""
    path = row["path"]
    unsafe = [name for name, value in row.items() if UNSAFE.search(value)]
    if unsafe:
        return Reject(
            path,
            "names must be plain text",
            f"control characters in its {unsafe[0]}",
            "no tabs or line breaks",
        )
    try:
        status = (root / path).stat()
        if not stat.S_ISREG(status.st_mode):
            return Reject(path, "it must be a regular file", "a folder or a device", "a file")
        if status.st_size == 0:
            return Reject(path, "the file must not be empty", "0 bytes", "audio")
        return _listen(path, root / path)
    except FileNotFoundError:
        return Reject(path, "the file must exist", "nothing at this path", "a file")
    except OSError as error:
        return Reject(path, "the file must be readable", shown(error.strerror or str(error)), "a file that may be read")


def _listen(path: str, file: Path) -> Header | Reject:
    """The same for a regular file."""
    content = content_digest(file)
    try:
        with soundfile.SoundFile(file) as sound:
            header = Header(sound.samplerate, sound.channels, sound.frames, content)
            truncated = [line.strip() for line in sound.extra_info.splitlines() if TRUNCATED in line]
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        return Reject(path, "it must be audio that libsndfile reads", shown(str(error)), "wav, flac, ogg or mp3")
    if truncated:
        return Reject(path, "the file must be as long as its header says", shown(truncated[0]), "the whole file")
    if not 0 < header.frames < MOST_FRAMES:
        return Reject(path, "it must hold sound", f"{header.frames} frames", f"1 to {MOST_FRAMES - 1} frames")
    if not LOWEST_RATE <= header.rate <= HIGHEST_RATE:
        return Reject(path, "its rate must be plausible", f"{header.rate} Hz", f"{LOWEST_RATE} to {HIGHEST_RATE} Hz")
    return header
