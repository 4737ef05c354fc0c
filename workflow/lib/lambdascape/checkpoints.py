"""What a training has reached, in one file after every epoch: a killed run goes on as if nothing had happened."""

import fcntl
import os
import socket
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lambdascape import store
from lambdascape.errors import InputError

Arrays = Sequence[npt.NDArray[Any]]


class State(NamedTuple):
    """The state after an epoch: its number, the rows of history and layers so far, every variable of the training."""

    epoch: int
    history: list[dict[str, Any]]
    layers: list[dict[str, Any]]
    arrays: Arrays


@contextmanager
def owned(path: str | Path, products: Iterable[str | Path] = ()) -> Iterator[None]:
    """Let nobody else train the run while the block lasts, and sweep up what killed ones left half-written.

    Args:
        path: the checkpoint; the lock lies beside it and ends with the process, however that ends.
        products: other files that the run writes.

    Raises:
        InputError: another process trains the run; it is named.
    """
    lock = Path(f"{path}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise InputError(
                f"{path}: one process at a time may train a run; {stream.read()} does. Wait for it, or end it"
            ) from None
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        for file in (path, *products):
            _sweep(Path(file))
        yield


def _sweep(path: Path) -> None:
    """Remove what `files.atomic_path` left of writers that were killed on this host; the lock says that none lives."""
    for left_over in path.parent.glob(f".{path.name}.{socket.gethostname()}-*"):
        left_over.unlink()


def save(path: str | Path, key: str, state: State) -> None:
    """Write a state atomically.

    Args:
        path: HDF5 file.
        key: digest of everything that decides how the training goes on; `load` asks for it.
        state: what `load` gives back.
    """
    rows = {"history": state.history, "layers": state.layers}
    about = rows | {"key": key, "epoch": state.epoch, "crc": _crc(state.arrays)}
    with store.create(path, "checkpoint", about) as file:
        for number, array in enumerate(state.arrays):
            file[f"{number:04d}"] = array


def load(path: str | Path, key: str, epochs: int) -> State | None:
    """Read the state from which a training can go on.

    Args:
        path: file of `save`, or nothing yet.
        key: as it was saved with.
        epochs: how many are wanted; a state after more of them is of no use.

    Returns:
        The state; None, with a line that says why, where the training must start from its beginning.
    """
    if not Path(path).exists():
        return None
    try:
        state = _read(path, key, epochs)
    except InputError as reason:
        print(f"starting from the beginning: {reason}", flush=True)
        return None
    print(f"going on after epoch {state.epoch} of {path}", flush=True)
    return state


def _read(path: str | Path, key: str, epochs: int) -> State:
    try:
        with store.open_checked(path, "checkpoint") as file:
            about = store.about(file)
            if about["key"] != key:
                raise InputError(f"{path} must be of the same settings, data and code; it is not")
            if about["epoch"] > epochs:
                raise InputError(f"{path} must be of epoch {epochs} at most; it is of epoch {about['epoch']}")
            store.check_own_data(file)
            arrays = [file[name][()] for name in sorted(file)]
    except InputError:
        raise
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} must be a whole checkpoint; {error}") from None
    if about["crc"] != _crc(arrays):
        raise InputError(f"{path} must hold the values that were written; it is damaged")
    return State(about["epoch"], about["history"], about["layers"], arrays)


def _crc(arrays: Arrays) -> int:
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data, value)
    return value
