"""A look into each file before any job decodes it: is it whole audio, what is in its header, is there sound in it."""

import multiprocessing
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from lambdascape.core.files import content_digest, file_digest
from lambdascape.core.tsv import read_text_table, write_table
from lambdascape.datasets.candidates import UNSAFE, Reject, UnusableError, shown
from lambdascape.datasets.containers import check_ogg, frames_of_wav
from lambdascape.features.decode import LOUDEST, TRUNCATED, within_reason

FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")  # libsndfile's names of what the workflow reads
LOWEST_RATE, HIGHEST_RATE = 1_000, 400_000  # Hz; a header outside is damaged
MOST_FRAMES = 1 << 31  # per channel: 37 hours at 16 kHz; a header beyond is damaged, or its length unknown
MOST_RATIO = 1_000  # bytes of float32 per byte of the file: only silence, or a bomb, is compressed as much
ANY_RATIO = 1 << 16  # bytes of a file; smaller ones do no harm
WHOLE_NUMBERS = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW")  # no value of them is infinite
LOOKS = ["path", "rate", "channels", "frames", "content", "silent", "whole", "rule", "found", "expected"]
AT_ONCE = 100  # files that a process is given at a time
BLOCK = 1 << 12  # values decoded at once, over all channels


class Header(NamedTuple):
    """What a file says of itself: rate in Hz, channels, frames per channel; and `files.content_digest`."""

    rate: int
    channels: int
    frames: int
    content: str


class Inspected(NamedTuple):
    """What was seen of a good file: its header, and whether every value in it is zero."""

    header: Header
    silent: bool


def inspect(root: Path, candidates: pd.DataFrame, threads: int) -> tuple[pd.DataFrame, list[Reject]]:
    """Look into every candidate.

    Args:
        root: the data set's folder.
        candidates: rows with `path` relative to it.
        threads: files looked at in parallel, by as many processes: most of a look is Python, which one process
            does one at a time.

    Returns:
        The rows whose files can be used, with `rate`, `channels`, `frames`, `content` and `silent` added; and a
        rejected row for each of the others.
    """
    rows = [dict(zip(candidates.columns, row, strict=True)) for row in candidates.itertuples(index=False)]
    found = list(tqdm(_looks(root, rows, threads), total=len(rows), desc="clips", unit="clip", disable=None))
    columns = [*candidates.columns, *Header._fields, "silent"]
    pairs = zip(rows, found, strict=True)
    good = [row | look.header._asdict() | {"silent": look.silent} for row, look in pairs if isinstance(look, Inspected)]
    return pd.DataFrame(good, columns=columns), [look for look in found if isinstance(look, Reject)]


def inspected(tables: Sequence[str | Path], candidates: pd.DataFrame) -> tuple[pd.DataFrame, list[Reject]]:
    """What `inspect` found earlier, in audio that is gone.

    Args:
        tables: files of `write_looks`, of all audio that there was.
        candidates: as for `inspect`.

    Returns:
        As `inspect`, with a column `whole` of the files' own digests; files that are no candidates are rejected, too.
    """
    found = pd.concat([read_text_table(table) for table in tables], ignore_index=True).set_index("path")
    rows, rejects = [], []
    for row in candidates.to_dict("records"):
        if row["path"] not in found.index:
            rejects.append(Reject(row["path"], "the file must exist", "nothing at this path", "a file"))
            continue
        look = found.loc[row["path"]]
        if look["rule"]:
            rejects.append(Reject(row["path"], look["rule"], look["found"], look["expected"]))
        else:
            header = {name: int(look[name]) for name in ("rate", "channels", "frames", "silent")}
            rows.append(row | header | {"content": look["content"], "whole": look["whole"]})
    spare = sorted(set(found.index) - set(candidates["path"]))
    rejects += [Reject(path, "the file must be listed", "not listed", "a row of its own") for path in spare]
    return pd.DataFrame(rows, columns=[*candidates.columns, *Header._fields, "silent", "whole"]), rejects


def write_looks(root: Path, clips: pd.DataFrame, rejects: Sequence[Reject], output: str | Path) -> None:
    """Write what `inspect` found, for `inspected`: one row per file, with a digest of the whole file."""
    whole = [file_digest(root / path) for path in clips["path"]]
    good = clips.assign(whole=whole, silent=clips["silent"].astype(int)).astype(str)
    bad = pd.DataFrame([map(shown, reject) for reject in rejects], columns=list(Reject._fields), dtype=str)
    write_table(pd.concat([good, bad], ignore_index=True).reindex(columns=LOOKS), output)


def _looks(root: Path, rows: list[dict[str, str]], threads: int) -> Iterator[Inspected | Reject]:
    """What is seen of each file, in order."""
    if threads == 1 or len(rows) < 2 * AT_ONCE:
        yield from map(partial(_look, root), rows)
        return
    # A script of Snakemake cannot be imported again, as the other ways to start a process do.
    with ProcessPoolExecutor(threads, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(partial(_look, root), rows, chunksize=AT_ONCE)


def _look(root: Path, row: dict[str, str]) -> Inspected | Reject:
    """A good file, or the first rule that a bad one breaks."""
    path = row["path"]
    try:
        _check_names(row)
        _check_file(root / path)
        return _listen(root / path)
    except UnusableError as reason:
        return Reject(path, reason.rule, shown(reason.found), reason.expected)
    except FileNotFoundError:
        return Reject(path, "the file must exist", "nothing at this path", "a file")
    except OSError as error:
        return Reject(path, "the file must be readable", shown(error.strerror or str(error)), "a file that may be read")


def _check_names(row: dict[str, str]) -> None:
    unsafe = [name for name, value in row.items() if UNSAFE.search(value)]
    if unsafe:
        found = f"control characters in its {unsafe[0]}"
        raise UnusableError("names must be plain text", found, "no tabs or line breaks")


def _check_file(file: Path) -> None:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnusableError("it must be a regular file", "a folder or a device", "a file")
    if status.st_size == 0:
        raise UnusableError("the file must not be empty", "0 bytes", "audio")


def _listen(file: Path) -> Inspected:
    """The header, checked, and as much of the sound as is needed to know that it is whole."""
    content, frames = content_digest(file), frames_of_wav(file)
    check_ogg(file)
    try:
        with soundfile.SoundFile(file) as sound:
            header = Header(sound.samplerate, sound.channels, sound.frames, content)
            _check_header(header, sound, frames)
            if header.frames * header.channels * 4 > MOST_RATIO * max(file.stat().st_size, ANY_RATIO):
                found = f"{header.frames} frames in {file.stat().st_size} bytes"
                raise UnusableError("it must not be compressed beyond all sound", found, f"at most {MOST_RATIO} to 1")
            return Inspected(header, silent=not _sounds(sound))
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise UnusableError("it must be audio that libsndfile reads", str(error), "wav, flac, ogg or mp3") from None


def _check_header(header: Header, sound: soundfile.SoundFile, frames: int | None) -> None:
    truncated = [line.strip() for line in sound.extra_info.splitlines() if TRUNCATED in line]
    if sound.format not in FORMATS:
        raise UnusableError("it must be audio of a known format", sound.format, "wav, flac, ogg or mp3")
    if truncated:
        raise UnusableError("the file must be as long as its header says", truncated[0], "the whole file")
    if not 0 < header.frames < MOST_FRAMES:
        raise UnusableError("it must hold sound", f"{header.frames} frames", f"1 to {MOST_FRAMES - 1} frames")
    if frames not in (None, header.frames):
        raise UnusableError(
            "the frames must be as many as the bytes hold", f"{header.frames} frames", f"{frames} frames"
        )
    if not LOWEST_RATE <= header.rate <= HIGHEST_RATE:
        raise UnusableError("its rate must be plausible", f"{header.rate} Hz", f"{LOWEST_RATE} to {HIGHEST_RATE} Hz")


def _sounds(sound: soundfile.SoundFile) -> bool:
    """Whether any value is not zero; what a header cannot vouch for is decoded to its end on the way.

    Whole numbers in a WAV file are there if their bytes are, so the first sound ends the search.
    """
    vouched = sound.format != "FLAC" and sound.subtype in WHOLE_NUMBERS
    heard, decoded = False, 0
    for block in sound.blocks(max(1, BLOCK // sound.channels), dtype="float32", always_2d=True):
        if not np.isfinite(block).all():
            raise UnusableError("every value must be finite", f"NaN or infinite near frame {decoded}", "finite values")
        if not within_reason(block):
            found = f"{np.abs(block).max():g} near frame {decoded}"
            raise UnusableError("every value must be of a sound", found, f"at most {LOUDEST:g}, where full scale is 1")
        decoded += len(block)
        heard = heard or bool(block.any())
        if heard and vouched:
            return True
    if decoded != sound.frames:
        raise UnusableError(
            "the frames must be as many as the header says", f"{decoded} frames", f"{sound.frames} frames"
        )
    return heard
