"""HDF5 files that appear under their name when they are complete, and are checked when they are opened."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path

TEXT = h5py.string_dtype("utf-8")
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
