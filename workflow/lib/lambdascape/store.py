"""The HDF5 files of the workflow: names, shapes, dtypes and attributes; atomic writing; checking when opened."""

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.errors import InputError
from lambdascape.files import atomic_path, read_text_table

TEXT = h5py.string_dtype("utf-8")
TILE_COLUMNS = ("clip", "moment", "session", "node", "fold", "label")
CODED_ROWS = 1 << 16  # texts held at once while they are numbered

DEEPEST = 20  # groups in groups that anybody needs


@contextmanager
def create(path: str | Path, schema: str, attributes: dict[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that gets its name, and the attribute `complete`, when the block ends well.

    Args:
        path: final name.
        schema: kind of file, checked by `open_checked`.
        attributes: plain values, stored as JSON in the attribute `about`.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        yield file
        file.attrs["schema"] = schema
        file.attrs["about"] = json.dumps(attributes, sort_keys=True)
        file.attrs["complete"] = 1


@contextmanager
def open_checked(path: str | Path, schema: str) -> Iterator[h5py.File]:
    """Yield an HDF5 file opened for reading, after checking that it is complete and of the expected kind.

    Raises:
        InputError: the file is absent, unreadable, of another kind, or was not finished.
    """
    try:
        file = h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise InputError(f"{path}: must be a readable HDF5 file; {error}") from None
    with file:
        found = file.attrs.get("schema")
        if found != schema or "complete" not in file.attrs:
            raise InputError(
                f"{path}: must be a complete file of kind {schema!r}; its kind is {found!r}. Delete it and rerun."
            )
        yield file


def check_own_data(file: h5py.File) -> None:
    """Refuse a file that would make its reader open other files, or take more memory than the file has bytes.

    Raises:
        InputError: a link leaves its place, or a dataset is not stored plainly and in full inside the file.
    """
    waiting = [(file, "")]
    while waiting:
        group, prefix = waiting.pop()
        for name in group:
            path = f"{prefix}/{name}"
            if path.count("/") > DEEPEST or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"{file.filename}: every link must stay inside the file; {path} does not")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, path))
            elif item.external or item.is_virtual or item.id.get_storage_size() != item.nbytes:
                raise InputError(f"{file.filename}: all data must lie in the file, plainly and in full; {path} do not")


def about(file: h5py.File) -> dict[str, Any]:
    """The plain values stored by `create`."""
    return dict(json.loads(str(file.attrs["about"])))


@dataclass(frozen=True)
class Features:
    """All frames of all clips, memory-mapped.

    Attributes:
        frames: shape (frame, mel), float16, natural log of the mel magnitude.
        clip_start: shape (clip + 1,), int64; the frames of clip i are `clip_start[i]:clip_start[i + 1]`.
        clips: clip ids in the order of the manifest.
        about: the recipe's settings and where the file came from.
        path: of the file.
        crc: shape (clip,), uint32, see `crc_of`.
        checked: shape (clip,), bool, the clips whose frames were held against their crc.
    """

    frames: npt.NDArray[np.float16]
    clip_start: npt.NDArray[np.int64]
    clips: list[str]
    about: dict[str, Any]
    path: Path
    crc: npt.NDArray[np.uint32]
    checked: npt.NDArray[np.bool_]

    def tiles(self, starts: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.float16]:
        """Copy tiles out of the store; a clip is checked when its first tile is asked for.

        Args:
            starts: first frames, any shape; no tile reaches over the end of its clip.
            length: frames of a tile.

        Returns:
            Tiles of shape (*starts.shape, length, mel), float16 as stored: the only copy that is made of them.

        Raises:
            InputError: the frames of a clip are not those that were written.
        """
        clips = np.searchsorted(self.clip_start, starts.ravel(), side="right") - 1
        for clip in np.unique(clips[~self.checked[clips]]):
            self._check(int(clip))
        return self.frames[starts[..., None] + np.arange(length)]

    def check_all(self) -> None:
        """Hold the frames of every clip against their crc.

        Raises:
            InputError: see `tiles`.
        """
        for clip in np.flatnonzero(~self.checked):
            self._check(int(clip))

    def _check(self, clip: int) -> None:
        frames = self.frames[self.clip_start[clip] : self.clip_start[clip + 1]]
        if crc_of(frames) != self.crc[clip]:
            raise InputError(
                f"{self.path}: must hold the frames that were written; those of clip {self.clips[clip]!r} are "
                "damaged. Delete the file and rerun"
            )
        self.checked[clip] = True

    @property
    def frames_per_second(self) -> float:
        """Frames in a second: sample rate over hop length."""
        recipe = self.about["recipe"]
        return float(recipe["sr"]) / float(recipe["hop_length"])


def open_features(path: str | Path) -> Features:
    """Open a feature store; the frames are mapped, not read, so that jobs on one machine share them.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "features") as file:
        for name, kind, dimensions in (("frames", "<f2", 2), ("clip_start", "<i8", 1), ("crc", "<u4", 1)):
            _check_plain(file, name, kind, dimensions)
        offset, shape = file["frames"].id.get_offset(), file["frames"].shape
        clip_start, crc = file["clip_start"][:], file["crc"][:]
        clips = [str(clip) for clip in file["clip"].asstr()[:]]
        values = about(file)
    if offset is None or offset + 2 * int(np.prod(shape)) > Path(path).stat().st_size:
        raise InputError(f"{path}: frames must be one whole block; it is not. Delete the file and rerun")
    if not len(clips) == len(crc) == len(clip_start) - 1:
        raise InputError(f"{path}: every clip must have a start and a crc; it has not. Delete the file and rerun")
    mapped: Any = np.memmap(path, dtype=np.float16, mode="r", offset=offset, shape=shape)
    return Features(mapped, clip_start, clips, values, Path(path), crc, np.zeros(len(clips), np.bool_))


def _check_plain(file: h5py.File, name: str, dtype: str, dimensions: int) -> None:
    """Stop at a dataset that is not there, of another kind, or whose values lie in other files."""
    link = file.get(name, getlink=True)
    found: Any = file[name] if isinstance(link, h5py.HardLink) else None
    inside = isinstance(found, h5py.Dataset) and not found.external and not found.is_virtual
    if not inside or (found.dtype.str, found.ndim) != (dtype, dimensions):
        raise InputError(
            f"{file.filename}: {name} must be there, {dtype} in {dimensions} dimensions and in this file; it is not. "
            "Delete the file and rerun"
        )


def write_index(file: h5py.File, clip_start: npt.ArrayLike, clips: Sequence[str], crc: npt.NDArray[np.uint32]) -> None:
    """Write what `Features` has beside the frames."""
    file["clip_start"] = np.asarray(clip_start, np.int64)
    file.create_dataset("clip", data=list(clips), dtype=TEXT)
    file["crc"] = crc


def crc_of(frames: npt.NDArray[np.float16], before: int = 0) -> int:
    """CRC-32 of frames as they stand in the file, going on from that of the frames before them."""
    return zlib.crc32(frames.data, before)


def crcs_of(frames: npt.NDArray[np.float16], clip_start: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """CRC-32 of each clip's frames as they stand in the file: shape (clip,)."""
    return np.array([crc_of(frames[first:end]) for first, end in pairwise(np.asarray(clip_start))], np.uint32)


def read_manifest(path: str | Path, features: Features) -> pd.DataFrame:
    """Read the manifest of the clips in a feature store: row i of the table is clip i of the store.

    Raises:
        InputError: the manifest lists other clips than the store holds, or in another order.
    """
    clips = read_text_table(path)
    if clips["clip"].tolist() != features.clips:
        raise InputError(
            f"{path} must list the clips of the feature store in its order; it does not. Remake the features."
        )
    return clips


def write_embeddings(
    path: str | Path, embedding: npt.NDArray[np.float32], tiles: pd.DataFrame, attributes: dict[str, Any]
) -> None:
    """Write the embeddings of one space, one row per tile.

    Args:
        path: the HDF5 file.
        embedding: shape (tile, dim), float32.
        tiles: one row per tile: the text columns of `TILE_COLUMNS` and `start_s`, the tile's start in its clip in
            seconds.
        attributes: plain values: which space it is and its settings.

    Raises:
        InputError: the numbers of rows differ, or a value is not finite.
    """
    if len(embedding) != len(tiles):
        raise InputError(f"embeddings need one row per tile; got {len(embedding)} rows for {len(tiles)} tiles")
    if not np.isfinite(embedding).all():
        raise InputError(
            f"embeddings must be finite; {path} would hold {(~np.isfinite(embedding)).sum()} values that are not"
        )
    with create(path, "embeddings", attributes) as file:
        file["embedding"] = embedding.astype(np.float32, copy=False)
        for column in TILE_COLUMNS:
            file.create_dataset(column, data=tiles[column].tolist(), dtype=TEXT)
        file["start_s"] = tiles["start_s"].to_numpy(np.float64)


def read_embeddings(path: str | Path) -> tuple[npt.NDArray[np.float32], pd.DataFrame, dict[str, Any]]:
    """Read one space.

    Returns:
        Embedding of shape (tile, dim); a table with `TILE_COLUMNS` and `start_s`, one row per tile; the attributes.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "embeddings") as file:
        columns: dict[str, Any] = {column: file[column].asstr()[:].astype(str) for column in TILE_COLUMNS}
        columns["start_s"] = file["start_s"][:]
        return file["embedding"][:], pd.DataFrame(columns), about(file)


def read_coded_embeddings(
    path: str | Path, columns: Sequence[str]
) -> tuple[npt.NDArray[np.float32], dict[str, tuple[npt.NDArray[np.intp], list[str]]]]:
    """Read one space with numbers in place of texts: the names of a million tiles never lie in memory at once.

    Args:
        path: a file of `write_embeddings`.
        columns: some of `TILE_COLUMNS`.

    Returns:
        Embedding of shape (tile, dim); for each column the index of each tile's name, shape (tile,), and the different
        names in alphabetical order.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "embeddings") as file:
        return file["embedding"][:], {column: _coded(file[column]) for column in columns}


def read_places(path: str | Path) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Read where the tiles of one space lie: a number for each tile's clip, and its start in the clip in seconds.

    Raises:
        InputError: see `open_checked`.
    """
    with open_checked(path, "embeddings") as file:
        return _coded(file["clip"])[0], file["start_s"][:]


def _coded(texts: h5py.Dataset) -> tuple[npt.NDArray[np.intp], list[str]]:
    seen: dict[str, int] = {}
    codes = np.empty(len(texts), np.intp)
    for start in range(0, len(texts), CODED_ROWS):
        rows = texts.asstr()[start : start + CODED_ROWS]
        codes[start : start + len(rows)] = [seen.setdefault(text, len(seen)) for text in rows]
    names = sorted(seen)
    place = np.empty(len(names), np.intp)
    place[[seen[name] for name in names]] = np.arange(len(names))
    return place[codes], names
