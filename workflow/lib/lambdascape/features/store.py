"""The HDF5 files of the workflow: names, shapes, dtypes and attributes; atomic writing; checking when opened."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.core.hdf5 import TEXT, about, open_checked
from lambdascape.core.tsv import read_text_table


@dataclass(frozen=True)
class Features:
    """All frames of all clips, memory-mapped.

    Attributes:
        frames: shape (frame, mel), float16, natural log of the mel magnitude.
        clip_start: shape (clip + 1,), int64; the frames of clip i are `clip_start[i]:clip_start[i + 1]`.
        clips: clip ids in the order of the manifest.
        about: the recipe and where the file came from, as plain values.
        path: of the file.
        crc: shape (clip,), uint32, see `crc_of`.
        checked: shape (clip,), bool, the clips whose frames were compared with their crc.
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

    @cached_property
    def recipe(self) -> FeatureRecipe:
        """The settings by which the frames were made."""
        return FeatureRecipe.of(self.about["recipe"])

    @property
    def frames_per_second(self) -> float:
        """Frames in a second: sample rate over hop length."""
        return float(self.recipe.sr) / float(self.recipe.hop_length)


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
