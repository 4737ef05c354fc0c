"""Embeddings that the user brings, of any model: read with care, laid on the tiles of the study, judged as a baseline.

The file is HDF5 with the datasets `clip` (tile), text, the clips' ids in the manifest; `start_s` (tile), the start of
what was embedded in its clip, in seconds; and `embedding` (tile, dim), real numbers. Or it is Parquet with the columns
`clip` and `start_s`, and either a column `embedding` of lists or columns `e0`, `e1`, ….
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest
from lambdascape.embeddings.space_file import read_embeddings, write_embeddings

CELLS = 1 << 22  # numbers held at once
TEXTS = 1 << 25  # bytes of text held at once
MOST_DIMS = 1 << 16
DENSEST = 100  # times a file's size; embeddings compress little, so a file that claims more is refused
LARGEST_CHUNK = 1 << 26  # bytes, which are read at once
LONGEST_NAME = 4096  # characters
PARQUET_ROWS = 4096
NEAREST = 0.5  # tiles: so far at most may a tile's embedding have started from the tile's own start
SHOWN = 5  # tiles that a message names
Floats = npt.NDArray[np.float32]
Clips = npt.NDArray[np.object_]


class Source(Protocol):
    """A file of embeddings that is open."""

    rows: int
    dims: int

    def places(self) -> Iterator[tuple[Clips, npt.NDArray[np.float64]]]:
        """Clips and starts, part by part."""

    def vectors(self) -> Iterator[Floats]:
        """Embeddings, shape (tile, dim), part by part."""


def embed_own(source: str | Path, tiles_path: str | Path, tile_s: float, output: str | Path) -> None:
    """Take for each tile of the study the embedding of the file that starts nearest to it in the same clip.

    What the file has beyond the study's tiles is left out.

    Args:
        source: `.h5`, `.hdf5` or `.parquet`, see above.
        tiles_path: a space of the study, whose tiles are taken.
        tile_s: length of its tiles in seconds; an embedding may have started up to half of it from a tile's start.
        output: see `space_file.write_embeddings`.

    Raises:
        InputError: the file is not as above; holds a tile twice, or a value that is not finite; does not cover every
            tile of the study; or points out of itself, or claims to hold much more than it has bytes.
    """
    _, tiles, _ = read_embeddings(tiles_path)
    with _opened(Path(source)) as file:
        rows, apart = nearest_rows(tiles, _known_places(file, set(tiles["clip"]), source), tile_s, source)
        embedding = _taken(file, rows, source)
    used = len(np.unique(rows))
    print(f"{source}: {used:,} of {file.rows:,} embeddings used, at most {apart:g} s from their tiles", flush=True)
    about = {"kind": "own", "source": str(source), "source_sha256": file_digest(source), "largest_shift_s": apart}
    write_embeddings(output, embedding, tiles, about)


def nearest_rows(
    tiles: pd.DataFrame, places: pd.DataFrame, tile_s: float, source: str | Path
) -> tuple[npt.NDArray[np.int64], float]:
    """The row of a file that starts nearest to each tile of the study in the same clip.

    Args:
        tiles: clip, start_s of the study.
        places: clip, start_s, row of the file.
        tile_s: length of a tile in seconds.
        source: the file, for messages.

    Returns:
        Rows, shape (tile,); how far the farthest one starts from its tile, in seconds.

    Raises:
        InputError: a place stands in the file twice, or a tile has no row within half its length.
    """
    twice = places.duplicated(["clip", "start_s"])
    if twice.any():
        first = places[twice].iloc[0]
        raise InputError(
            f"{source}: each clip and start must stand there once; {twice.sum():,} come again, the first is "
            f"{first['clip']!r} at {first['start_s']:g} s. A file of several spaces must be parted"
        )
    wanted = pd.DataFrame({"clip": tiles["clip"], "start_s": tiles["start_s"], "tile": np.arange(len(tiles))})
    found = pd.merge_asof(
        wanted.sort_values("start_s", kind="stable"),
        places.assign(at_s=places["start_s"]).sort_values("start_s", kind="stable"),
        on="start_s",
        by="clip",
        direction="nearest",
        tolerance=NEAREST * tile_s,  # type: ignore[arg-type]  # seconds here, not dates
    ).sort_values("tile")
    missing = found[found["row"].isna()]
    if len(missing):
        named = ", ".join(f"{row.clip} at {row.start_s:g} s" for row in missing.head(SHOWN).itertuples())
        clips = missing["clip"].nunique()
        raise InputError(
            f"{source}: every tile of the study needs an embedding that starts within {NEAREST * tile_s:g} s of it; "
            f"{len(missing):,} of {len(tiles):,}, in {clips:,} clips, have none: {named}"
            + (", …" if len(missing) > SHOWN else "")
        )
    return found["row"].to_numpy(np.int64), float((found["at_s"] - found["start_s"]).abs().max())


def _known_places(file: Source, known: set[str], source: str | Path) -> pd.DataFrame:
    """Clip, start_s and row of the embeddings of the study's clips."""
    parts, first = [], 0
    for clips, start_s in file.places():
        if not np.isfinite(start_s).all():
            raise InputError(f"{source}: every start_s must be a finite number; one of rows {first} and on is not")
        kept = np.array([clip in known for clip in clips], bool)
        rows = first + np.flatnonzero(kept)
        parts.append(pd.DataFrame({"clip": clips[kept].astype(str), "start_s": start_s[kept], "row": rows}))
        first += len(clips)
    return pd.concat(parts) if parts else pd.DataFrame({"clip": [], "start_s": [], "row": []})


def _taken(file: Source, rows: npt.NDArray[np.int64], source: str | Path) -> Floats:
    """The embeddings of some rows, shape (row, dim); each part of the file is read once."""
    taken = np.empty((len(rows), file.dims), np.float32)
    order = np.argsort(rows, kind="stable")
    ordered, first = rows[order], 0
    for part in file.vectors():
        here = slice(*np.searchsorted(ordered, [first, first + len(part)]))
        taken[order[here]] = part[ordered[here] - first]
        first += len(part)
    wrong = np.flatnonzero(~np.isfinite(taken).all(axis=1))
    if len(wrong):
        raise InputError(
            f"{source}: every value must be finite (as a 32-bit float); {len(wrong):,} of the embeddings that the "
            f"study needs hold others, the first is row {rows[wrong[0]]}"
        )
    return taken


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    """A file of embeddings, checked as far as can be done without reading it.

    Raises:
        InputError: see `embed_own`.
    """
    try:
        if path.suffix in (".h5", ".hdf5"):
            with h5py.File(path, "r", locking="best-effort") as file:
                yield _Hdf5(file, path)
        elif path.suffix == ".parquet":
            import pyarrow.parquet

            with pyarrow.parquet.ParquetFile(path) as table:
                yield _Parquet(table, path)
        else:
            raise InputError(f"{path}: embeddings must be a file .h5, .hdf5 or .parquet")
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise InputError(f"{path}: must be a whole file of embeddings; {error}") from None


def _check_shape(path: Path, rows: int, dims: int) -> None:
    if rows < 1 or not 1 <= dims <= MOST_DIMS:
        raise InputError(f"{path}: embeddings must have rows and 1 to {MOST_DIMS} dimensions; got {rows} × {dims}")


class Numbers(NamedTuple):
    """What a dataset must be: its number of dimensions and the kinds of its numbers, in NumPy's letters."""

    dimensions: int
    kinds: str


NUMBERS = {"embedding": Numbers(2, "f"), "start_s": Numbers(1, "fiu")}


class _Hdf5:
    """An HDF5 file of embeddings."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self.found = {name: self._dataset(file, path, name) for name in ("embedding", "start_s", "clip")}
        self.rows, self.dims = self.found["embedding"].shape
        lengths = {name: len(dataset) for name, dataset in self.found.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{path}: every dataset must have one row per tile; got {lengths}")
        _check_shape(path, self.rows, self.dims)
        # Texts of any length lie apart from their rows: many rows may share one that is as long as the file.
        self.texts_at_once = max(1, min(self.rows, TEXTS // max(1, path.stat().st_size)))

    @staticmethod
    def _dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
        """One dataset that lies in the file itself, of the right kind, and no larger than the file lets it be."""
        if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
            raise InputError(f"{path}: {name} must be a dataset of the file itself; it is not there, or a link")
        dataset = file[name]
        if dataset.external or dataset.is_virtual or dataset.nbytes > DENSEST * dataset.id.get_storage_size():
            raise InputError(f"{path}: all data must lie in the file, in full; those of {name} do not")
        if np.prod(dataset.chunks or 0, dtype=float) * dataset.dtype.itemsize > LARGEST_CHUNK:
            raise InputError(f"{path}: a chunk must have {LARGEST_CHUNK:,} bytes at most; those of {name} have more")
        if name in NUMBERS:
            wanted = NUMBERS[name]
            if dataset.ndim != wanted.dimensions or dataset.dtype.kind not in wanted.kinds:
                raise InputError(
                    f"{path}: {name} must be numbers in {wanted.dimensions} dimensions; got {dataset.dtype} in "
                    f"{dataset.ndim}"
                )
        elif dataset.ndim != 1 or h5py.check_string_dtype(dataset.dtype) is None:
            raise InputError(f"{path}: {name} must be text in 1 dimension; got {dataset.dtype} in {dataset.ndim}")
        return dataset

    def places(self) -> Iterator[tuple[Clips, npt.NDArray[np.float64]]]:
        for first in range(0, self.rows, self.texts_at_once):
            place = slice(first, first + self.texts_at_once)
            clips = self.found["clip"].asstr()[place]
            if max(map(len, clips)) > LONGEST_NAME:
                raise InputError(f"{self.found['clip'].file.filename}: a clip's id has {LONGEST_NAME} letters at most")
            yield clips, self.found["start_s"][place].astype(np.float64)

    def vectors(self) -> Iterator[Floats]:
        rows = max(1, CELLS // self.dims)
        for first in range(0, self.rows, rows):
            yield _as_float32(self.found["embedding"][first : first + rows])


class _Parquet:
    """A Parquet file of embeddings."""

    def __init__(self, table: Any, path: Path) -> None:
        self.table, self.path = table, path
        names = table.schema_arrow.names
        missing = [name for name in ("clip", "start_s") if name not in names]
        numbered = [f"e{number}" for number in range(len(names)) if f"e{number}" in names]
        self.columns = ["embedding"] if "embedding" in names else numbered
        if missing or not self.columns or self.columns[-1] not in ("embedding", f"e{len(self.columns) - 1}"):
            raise InputError(f"{path}: must have columns clip, start_s, and embedding or e0, e1, …; it has {names[:9]}")
        claimed = sum(table.metadata.row_group(number).total_byte_size for number in range(table.num_row_groups))
        if claimed > DENSEST * path.stat().st_size:
            raise InputError(f"{path}: all data must lie in the file; it claims to hold {claimed:,} bytes")
        self.rows = table.metadata.num_rows
        self.dims = next((part.shape[1] for part in self._read(1)), 0)
        _check_shape(path, self.rows, self.dims)

    def places(self) -> Iterator[tuple[Clips, npt.NDArray[np.float64]]]:
        for batch in self.table.iter_batches(PARQUET_ROWS, columns=["clip", "start_s"]):
            clips, start_s = (batch.column(name) for name in ("clip", "start_s"))
            if clips.null_count or start_s.null_count:
                raise InputError(f"{self.path}: clip and start_s must be there in every row; one is missing")
            yield np.array([str(clip) for clip in clips.to_pylist()], object), np.array(start_s.to_pylist(), np.float64)

    def vectors(self) -> Iterator[Floats]:
        yield from self._read(PARQUET_ROWS)

    def _read(self, rows: int) -> Iterator[Floats]:
        for batch in self.table.iter_batches(rows, columns=self.columns):
            if self.columns == ["embedding"]:
                part = np.array(batch.column("embedding").to_pylist(), np.float64)  # fails where lengths differ
            else:
                columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.columns]
                part = np.stack(columns, axis=1)
            if part.ndim != 2:
                raise InputError(f"{self.path}: embeddings must be lists of numbers; got {part.ndim - 1} dimensions")
            yield _as_float32(part)


def _as_float32(values: npt.NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # what becomes infinite is refused where it is needed
        return values.astype(np.float32)
