"""Checkpoints: what was saved comes back, what does not fit is not used, and a run has one owner."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lambdascape.core.errors import InputError
from lambdascape.core.hdf5 import create
from lambdascape.models import checkpoints
from lambdascape.models.checkpoints import State

HISTORY = [{"epoch": 1, "split": "train", "loss": 0.1 + 0.2}]
LAYERS = [{"epoch": 1, "gamma": float("nan"), "group": "head", "weight_norm": 0.1 + 0.7}]


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(3, 4)).astype(np.float32), np.array(7, np.int64), np.array([], np.float32)]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoints.save(tmp_path / "one.h5", "key", State(1, HISTORY, LAYERS, arrays()))
    return tmp_path / "one.h5"


def test_what_was_saved_comes_back_to_the_bit(saved: Path) -> None:
    assert checkpoints.load(saved.with_name("two.h5"), "key", 1) is None
    state = checkpoints.load(saved, "key", epochs=1)
    assert state is not None
    assert (state.epoch, state.history) == (1, HISTORY)
    assert repr(state.layers) == repr(LAYERS)  # an undefined measure comes back as one, and is not equal to itself
    for found, written in zip(state.arrays, arrays(), strict=True):
        assert found.dtype == written.dtype
        np.testing.assert_array_equal(found, written)


FITS = [((3, 4), "float32"), ((), "int64"), ((0,), "float32")]


def another_kind(path: Path) -> None:
    with create(path, "features", {}):
        pass


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(arrays()[0].tobytes()) + 5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "key", "epochs", "like", "reason"),
    [
        (None, "other", 1, None, "must be of the same settings, data and code"),
        (None, "key", 0, None, "must be of epoch 0 at most; it is of epoch 1"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "key", 1, None, "must be a readable HDF5 file"),
        (lambda path: path.write_text("no HDF5"), "key", 1, None, "must be a readable HDF5 file"),
        (flip, "key", 1, None, "it is damaged"),
        (another_kind, "key", 1, None, "its kind is 'features'"),
        (None, "key", 1, FITS[:2], "must hold the variables of this training; got 3 where it has 2"),
        (None, "key", 1, [((4, 3), "float32"), *FITS[1:]], "got ((3, 4), 'float32') where it has ((4, 3), 'fl"),
        (None, "key", 1, [FITS[0], ((), "int32"), FITS[2]], "got ((), 'int64') where it has ((), 'int32')"),
    ],
    ids=["settings", "too far", "cut", "text", "flipped bit", "kind", "fewer arrays", "another shape", "another dtype"],
)
def test_what_does_not_fit_is_not_used(saved: Path, capsys, change, key: str, epochs: int, like, reason: str) -> None:
    assert checkpoints.load(saved, "key", 1, FITS) is not None
    capsys.readouterr()
    if change:
        change(saved)
    assert checkpoints.load(saved, key, epochs, like) is None
    said = capsys.readouterr().out
    assert said.startswith("starting from the beginning: ")
    assert reason in said


def test_a_run_has_one_owner_who_is_named_and_a_dead_one_is_none(tmp_path: Path, capsys) -> None:
    code = (
        "import sys; from lambdascape.models.checkpoints import owned\n"
        f"with owned({str(tmp_path / 'one.h5')!r}):\n    print('here', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        refusal = f"one process at a time may train a run; process {other.pid} on "
        with pytest.raises(InputError, match=refusal), checkpoints.owned(tmp_path / "one.h5"):
            pass
        other.kill()
    with checkpoints.owned(tmp_path / "one.h5"):
        assert (tmp_path / "one.h5.lock").exists()
    said = capsys.readouterr().out
    assert f"the last attempt (process {other.pid} on " in said
    assert "more memory than there is: let training.batch_size be smaller" in said
    with checkpoints.owned(tmp_path / "one.h5"):
        assert capsys.readouterr().out == ""


def test_the_owner_sweeps_up_after_killed_ones(tmp_path: Path) -> None:
    host = socket.gethostname()
    names = [f".one.h5.{host}-1.h5", ".one.h5.elsewhere-1.h5", f".two.h5.{host}-1.h5"]
    names += [f".w.weights.h5.{host}-1.weights.h5"]
    for name in names:
        (tmp_path / name).write_text("half")
    with checkpoints.owned(tmp_path / "one.h5", [tmp_path / "w.weights.h5"]):
        pass
    assert sorted(path.name for path in tmp_path.glob(".*")) == sorted(names[1:3])
