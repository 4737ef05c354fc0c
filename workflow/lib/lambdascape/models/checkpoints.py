"""What a training has reached, in one file after every epoch: a killed run goes on as if nothing had happened."""

import socket
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lambdascape.core import hdf5, locks
from lambdascape.core.errors import InputError

# What killed a process mostly, and leaves no word.
UNEXPLAINED = (
    "if nobody did that, it took more memory than there is: let training.batch_size be smaller, or mem_mb larger where "
    "a scheduler limits it"
)
Arrays = Sequence[npt.NDArray[Any]]
Form = tuple[tuple[int, ...], str]  # shape and dtype


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
    last = lock.read_text(encoding="utf-8") if lock.exists() else ""
    stream = locks.take(lock)
    if stream is None:
        who = locks.holder(lock) or "another one"
        raise InputError(f"{path}: one process at a time may train a run; {who} does. Wait for it, or end it")
    if last:
        print(f"the last attempt ({last}) was killed or crashed; {UNEXPLAINED}", flush=True)
    with locks.released(stream):
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
    with hdf5.create(path, "checkpoint", about) as file:
        for number, array in enumerate(state.arrays):
            file[f"{number:04d}"] = array


def load(path: str | Path, key: str, epochs: int, like: Sequence[Form] | None = None) -> State | None:
    """Read the state from which a training can go on.

    Args:
        path: file of `save`, or nothing yet.
        key: as it was saved with.
        epochs: how many are wanted; a state after more of them is of no use.
        like: shape and dtype of each variable that shall take it up; None asks for nothing.

    Returns:
        The state; None, with a line that says why, where the training must start from its beginning.
    """
    if not Path(path).exists():
        return None
    try:
        state = _read(path, key, epochs)
        _require_forms(path, state, like)
    except InputError as reason:
        print(f"starting from the beginning: {reason}", flush=True)
        return None
    print(f"going on after epoch {state.epoch} of {path}", flush=True)
    return state


def _read(path: str | Path, key: str, epochs: int) -> State:
    try:
        with hdf5.open_checked(path, "checkpoint") as file:
            about = hdf5.about(file)
            if about["key"] != key:
                raise InputError(f"{path} must be of the same settings, data and code; it is not")
            if about["epoch"] > epochs:
                raise InputError(f"{path} must be of epoch {epochs} at most; it is of epoch {about['epoch']}")
            hdf5.check_own_data(file)
            arrays = [file[name][()] for name in sorted(file)]
    except InputError:
        raise
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} must be a whole checkpoint; {error}") from None
    if about["crc"] != _crc(arrays):
        raise InputError(f"{path} must hold the values that were written; it is damaged")
    return State(about["epoch"], about["history"], about["layers"], arrays)


def _require_forms(path: str | Path, state: State, like: Sequence[Form] | None) -> None:
    """Refuse the variables of another network or optimiser."""
    found = [(array.shape, str(array.dtype)) for array in state.arrays]
    if like is not None and found != list(like):
        wrong = next((pair for pair in zip(found, like, strict=False) if pair[0] != pair[1]), (len(found), len(like)))
        raise InputError(f"{path} must hold the variables of this training; got {wrong[0]} where it has {wrong[1]}")


def _crc(arrays: Arrays) -> int:
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data, value)
    return value
