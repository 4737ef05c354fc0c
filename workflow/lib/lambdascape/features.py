"""The features of all clips: extracted in shards and joined into one flat store."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from lambdascape import store
from lambdascape.audio import read_mono
from lambdascape.disk import require_space
from lambdascape.errors import InputError
from lambdascape.files import content_digest, file_digest, iterate_rows
from lambdascape.logmel import LogMel, Settings, fft_library, frames_of

BLOCK = 8192  # frames copied at once
RESERVE = 1.2  # times what is going to be written must be free


def extract_shard(
    clips_path: str | Path,
    root: str | Path,
    settings: Settings,
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
        output: HDF5 file with `frames` (frame, mel) float16 and what `store.write_index` adds; a clip that is
            shorter than one window has no frames.

    Raises:
        InputError: a file is unreadable or not the one that the manifest saw.
    """
    count = sum(1 for _ in iterate_rows(clips_path))
    start, stop = (number * count // n_shards for number in (shard, shard + 1))
    expected = sum(_expected_bytes(row, settings) for row in iterate_rows(clips_path, start, stop))
    _require_space(output, expected)
    to_log_mel, bands = LogMel(settings), settings["n_mels"]
    about = {"recipe": settings, "shard": shard, "fft": fft_library()}
    with store.create(output, "features", about) as file:
        frames = file.create_dataset("frames", (0, bands), np.float16, maxshape=(None, bands), chunks=(1024, bands))
        clip_start, names, crcs = [0], [], []
        rows = tqdm(
            iterate_rows(clips_path, start, stop), total=stop - start, desc="features", unit="clip", disable=None
        )
        for row in rows:
            crc = 0
            for block in _frames_of_clip(Path(root), row, to_log_mel):
                written = block.astype(np.float16)
                crc = store.crc_of(written, crc)
                frames.resize(len(frames) + len(written), axis=0)
                frames[len(frames) - len(written) :] = written
            names.append(row["clip"])
            clip_start.append(len(frames))
            crcs.append(crc)
        store.write_index(file, clip_start, names, np.array(crcs, np.uint32))


def _require_space(output: str | Path, frames_bytes: int) -> None:
    folder = Path(output).parent
    folder.mkdir(parents=True, exist_ok=True)
    require_space(folder, RESERVE * frames_bytes, Path(output).name)


def _expected_bytes(row: dict[str, str], settings: Settings) -> int:
    """Bytes of a clip's frames, from the manifest."""
    samples = round(int(row["frames"]) * settings["sr"] / int(row["rate"]))
    return 2 * int(settings["n_mels"]) * frames_of(samples, settings)


def _frames_of_clip(root: Path, row: dict[str, str], to_log_mel: LogMel) -> Iterator[npt.NDArray[np.float32]]:
    """The frames of one clip of the manifest, in blocks of shape (frame, mel)."""
    file = root / row["path"]
    _check_unchanged(file, row["content"])
    channel = int(row["channel"]) if row["channel"] else None
    return to_log_mel.stream(read_mono(file, to_log_mel.settings["sr"], channel))


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
        clips_path: the manifest.
        shards: files of `extract_shard`, in order.
        output: a store for `store.open_features`.

    Raises:
        InputError: the shards differ in recipe, do not hold the manifest's clips in its order, are damaged, or hold
            no frame at all.
    """
    clips = [row["clip"] for row in iterate_rows(clips_path)]
    with ExitStack() as stack:
        parts = [stack.enter_context(store.open_checked(shard, "features")) for shard in shards]
        recipe = _common_recipe(parts)
        found = [str(clip) for part in parts for clip in part["clip"].asstr()[:]]
        if found != clips:
            raise InputError(
                f"{output}: shards must hold the {len(clips)} clips of {clips_path} in its order; delete them and rerun"
            )
        lengths = np.concatenate([np.diff(part["clip_start"][:]) for part in parts])
        if not lengths.sum():
            raise InputError(
                f"{clips_path}: a clip must be as long as a window of {recipe['win_length']} samples; none is"
            )
        libraries = sorted({store.about(part)["fft"] for part in parts})
        _require_space(output, 2 * recipe["n_mels"] * int(lengths.sum()))
        about = {"recipe": recipe, "manifest": file_digest(clips_path), "fft": ", ".join(libraries)}
        with store.create(output, "features", about) as file:
            _join(parts, file.create_dataset("frames", (int(lengths.sum()), recipe["n_mels"]), np.float16))
            store.write_index(file, [0, *np.cumsum(lengths)], clips, np.concatenate([part["crc"][:] for part in parts]))


def _common_recipe(parts: Sequence[h5py.File]) -> Settings:
    recipes = [store.about(part)["recipe"] for part in parts]
    if not recipes or any(recipe != recipes[0] for recipe in recipes):
        raise InputError(f"features: shards must exist and share one recipe; got {recipes}")
    return dict(recipes[0])


def _join(parts: Sequence[h5py.File], frames: h5py.Dataset) -> None:
    """Copy the shards' frames one after another, and hold each clip's against its crc."""
    at = 0
    total = sum(math.ceil(len(part["frames"]) / BLOCK) for part in parts)
    with tqdm(total=total, desc="store", unit="block", disable=None) as progress:
        for part in parts:
            clip_start, crcs = part["clip_start"][:], np.zeros(len(part["clip"]), np.uint32)
            for start in range(0, len(part["frames"]), BLOCK):
                block = part["frames"][start : start + BLOCK]
                frames[at : at + len(block)] = block
                at += len(block)
                _add(crcs, clip_start - start, block)
                progress.update()
            damaged = np.flatnonzero(crcs != part["crc"][:])
            if len(damaged):
                name = part["clip"].asstr()[damaged[0]]
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
