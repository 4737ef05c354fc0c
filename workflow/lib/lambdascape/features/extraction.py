"""The features of all clips: extracted in shards and joined into one flat store."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core import hdf5
from lambdascape.core.disk import require_space
from lambdascape.core.errors import InputError
from lambdascape.core.files import content_digest, file_digest
from lambdascape.core.tsv import iterate_rows
from lambdascape.features import store
from lambdascape.features.decode import QUALITY, read_mono
from lambdascape.features.logmel import LogMel, fft_library, frames_of

BLOCK = 8192  # frames copied at once
RESERVE = 1.2  # times what is going to be written must be free


def extract_shard(
    clips_path: str | Path,
    root: str | Path,
    settings: FeatureRecipe,
    shard: int,
    n_shards: int,
    output: str | Path,
) -> None:
    """Write the frames of one contiguous share of the manifest.

    Args:
        clips_path: the manifest.
        root: the data set's folder, to which the manifest's paths are relative.
        settings: the recipe.
        shard: 0 to n_shards - 1.
        n_shards: number of shares.
        output: HDF5 file with `frames` (frame, mel) float16 and what `store.write_index` adds, its clips named by
            `source`; a clip that is shorter than one window has no frames.

    Raises:
        InputError: a file is unreadable or not the one that the manifest saw.
    """
    count = sum(1 for _ in iterate_rows(clips_path))
    start, stop = (number * count // n_shards for number in (shard, shard + 1))
    expected = sum(_expected_bytes(row, settings) for row in iterate_rows(clips_path, start, stop))
    _require_space(output, expected)
    write_shard(iterate_rows(clips_path, start, stop), Path(root), settings, output, stop - start)


def write_shard(
    rows: Iterable[dict[str, str]], root: Path, settings: FeatureRecipe, output: str | Path, count: int | None = None
) -> None:
    """Write the frames of clips, see `extract_shard`.

    Args:
        rows: path, channel and content of each clip.
        root: the folder to which the paths are relative.
        settings: the recipe.
        output: the shard.
        count: number of rows, where it is known.
    """
    to_log_mel, bands = LogMel(settings), settings.n_mels
    about = {"recipe": settings.plain(), "fft": fft_library(), "resampling": f"soxr {QUALITY}"}
    with hdf5.create(output, "features", about) as file:
        frames = file.create_dataset("frames", (0, bands), np.float16, maxshape=(None, bands), chunks=(1024, bands))
        clip_start, names, crcs = [0], [], []
        for row in tqdm(rows, total=count, desc="features", unit="clip", disable=None):
            crc = 0
            for written in _frames_of_clip(root, row, to_log_mel):
                crc = store.crc_of(written, crc)
                frames.resize(len(frames) + len(written), axis=0)
                frames[len(frames) - len(written) :] = written
            names.append(source(row))
            clip_start.append(len(frames))
            crcs.append(crc)
        store.write_index(file, clip_start, names, np.array(crcs, np.uint32))


def source(row: dict[str, str]) -> str:
    """What a shard calls a clip: its file, and which channel of it is heard."""
    return f"{row['path']}#{row['channel']}" if row["channel"] else row["path"]


def _require_space(output: str | Path, frames_bytes: int) -> None:
    folder = Path(output).parent
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, RESERVE * frames_bytes, Path(output).name)


def _expected_bytes(row: dict[str, str], settings: FeatureRecipe) -> int:
    """Bytes of a clip's frames, from the manifest."""
    samples = round(int(row["frames"]) * settings.sr / int(row["rate"]))
    return 2 * int(settings.n_mels) * frames_of(samples, settings)


def _frames_of_clip(root: Path, row: dict[str, str], to_log_mel: LogMel) -> Iterator[npt.NDArray[np.float16]]:
    """The frames of one clip of the manifest, in blocks of shape (frame, mel)."""
    file = root / row["path"]
    _check_unchanged(file, row["content"])
    channel = int(row["channel"]) if row["channel"] else None
    return to_log_mel.stream(read_mono(file, to_log_mel.settings.sr, channel))


def _check_unchanged(file: Path, content: str) -> None:
    """Stop unless the file is the one that the manifest saw, as far as its digest tells."""
    try:
        unchanged = content_digest(file) == content
    except OSError as error:
        raise InputError(f"{file}: must be readable; {error.strerror}") from None
    if not unchanged:
        raise InputError(f"{file}: must be the file that the manifest saw; it changed. Make the manifest anew.")


def consolidate(clips_path: str | Path, shards: Sequence[str | Path], output: str | Path) -> None:
    """Join shards into one contiguous, uncompressed store, in bounded memory.

    Args:
        clips_path: the manifest, whose order the store has.
        shards: files of `write_shard`; they may hold more clips than the manifest.
        output: a store for `store.open_features`.

    Raises:
        InputError: the shards differ in recipe, lack a clip of the manifest, are damaged, or hold no frame at all.
    """
    clips = [row["clip"] for row in iterate_rows(clips_path)]
    with ExitStack() as stack:
        parts = [stack.enter_context(hdf5.open_checked(shard, "features")) for shard in shards]
        recipe = _common_recipe(parts)
        pieces = _pieces(clips_path, parts)
        lengths, crc = (np.concatenate(values) for values in zip(*map(_index_of, pieces), strict=True))
        if not lengths.sum():
            raise InputError(
                f"{clips_path}: a clip must be as long as a window of {recipe.win_length} samples; none is"
            )
        _require_space(output, 2 * recipe.n_mels * int(lengths.sum()))
        libraries = sorted({hdf5.about(part)["fft"] for part in parts})
        about = hdf5.about(parts[0]) | {"manifest": file_digest(clips_path), "fft": ", ".join(libraries)}
        with hdf5.create(output, "features", about) as file:
            _join(pieces, file.create_dataset("frames", (int(lengths.sum()), recipe.n_mels), np.float16))
            store.write_index(file, [0, *np.cumsum(lengths)], clips, crc)


def _common_recipe(parts: Sequence[h5py.File]) -> FeatureRecipe:
    recipes = [hdf5.about(part)["recipe"] for part in parts]
    if not recipes or any(recipe != recipes[0] for recipe in recipes):
        raise InputError(f"features: shards must exist and share one recipe; got {recipes}")
    return FeatureRecipe.of(recipes[0])


class Piece(NamedTuple):
    """Clips that lie side by side in a shard: `first` to `last`, one past the end."""

    part: h5py.File
    first: int
    last: int


def _pieces(clips_path: str | Path, parts: Sequence[h5py.File]) -> list[Piece]:
    """Where the clips of the manifest lie, in its order."""
    places = {
        str(name): (number, place)
        for number, part in enumerate(parts)
        for place, name in enumerate(part["clip"].asstr()[:])
    }
    pieces: list[tuple[int, int, int]] = []
    for row in iterate_rows(clips_path):
        if source(row) not in places:
            raise InputError(f"{clips_path}: some shard must hold {source(row)}; none does. Delete them and rerun")
        number, place = places[source(row)]
        if pieces and (number, place) == (pieces[-1][0], pieces[-1][2]):
            pieces[-1] = (number, pieces[-1][1], place + 1)
        else:
            pieces.append((number, place, place + 1))
    return [Piece(parts[number], first, last) for number, first, last in pieces]


def _index_of(piece: Piece) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Frames and crc of each clip."""
    part, first, last = piece
    return np.diff(part["clip_start"][first : last + 1]), part["crc"][first:last]


def _join(pieces: Sequence[Piece], frames: h5py.Dataset) -> None:
    """Copy the clips' frames one after another, and hold each clip's against its crc."""
    at = 0
    for piece in tqdm(pieces, desc="store", unit="piece", disable=None):
        part, first, last = piece
        clip_start, crcs = part["clip_start"][first : last + 1], np.zeros(last - first, np.uint32)
        for start in range(clip_start[0], clip_start[-1], BLOCK):
            block = part["frames"][start : min(start + BLOCK, clip_start[-1])]
            frames[at : at + len(block)] = block
            at += len(block)
            _add(crcs, clip_start - start, block)
        damaged = np.flatnonzero(crcs != part["crc"][first:last])
        if len(damaged):
            name = part["clip"].asstr()[first + damaged[0]]
            raise InputError(
                f"{part.filename}: must hold the frames that were written; those of clip {name!r} are damaged. "
                "Delete the file and rerun"
            )


def _add(crcs: npt.NDArray[np.uint32], clip_start: npt.NDArray[np.int64], block: npt.NDArray[np.float16]) -> None:
    """Go on with the crc of each clip that has frames in the block; clips start counted from the block's first."""
    first = np.searchsorted(clip_start, 0, side="right") - 1
    last = np.searchsorted(clip_start, len(block), side="left")
    for clip in range(first, last):
        begin, end = max(clip_start[clip], 0), min(clip_start[clip + 1], len(block))
        crcs[clip] = store.crc_of(block[begin:end], int(crcs[clip]))
