"""A job computes where it was told to, one job to a card, and never silently elsewhere."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambdascape.core import locks
from lambdascape.core.errors import InputError
from lambdascape.jobs import devices, gpu_locks
from support.drivers import fake_driver, no_driver

OPTIONS = {"backend": "tensorflow", "device": "auto", "deterministic": False, "precision": "float32"}


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment in which nobody has chosen anything, and that comes back whatever a job sets."""
    kept = dict(os.environ)
    for name in (gpu_locks.VISIBLE, "CUDA_DEVICE_ORDER", "XLA_FLAGS", "JAX_PLATFORMS", *gpu_locks.SCHEDULED):
        os.environ.pop(name, None)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_driver(monkeypatch, "Fake A", "Fake B")


def sees_no_gpu(monkeypatch: pytest.MonkeyPatch, backend: str = "tensorflow") -> None:
    monkeypatch.setattr(devices, "keras_backend", lambda: backend)
    monkeypatch.setattr(devices, "gpu_of", lambda backend: "")


@pytest.mark.parametrize(
    ("driver", "cards", "why"),
    [
        (lambda patch: fake_driver(patch, "Fake A", "Fake B"), ["Fake A", "Fake B"], ""),
        (no_driver, [], "no driver of NVIDIA is installed"),
        (fake_driver, [], "the driver shows none"),
        (lambda patch: fake_driver(patch, fails="Version mismatch"), [], "NVIDIA's driver reports: Version mismatch"),
    ],
)
def test_cards_are_those_of_the_driver_in_its_order_and_none_has_a_reason(
    monkeypatch: pytest.MonkeyPatch, driver: Callable[..., None], cards: list[str], why: str
) -> None:
    driver(monkeypatch)
    assert gpu_locks.listed() == (cards, why)


def test_the_free_memory_of_the_first_gpu_is_what_the_driver_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_driver(monkeypatch, "Fake A", free=7)
    assert gpu_locks.free_memory() == 7
    monkeypatch.setenv(gpu_locks.VISIBLE, "GPU-8a")
    assert gpu_locks.free_memory() == 7
    no_driver(monkeypatch)
    assert gpu_locks.free_memory() == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", ["0"]), ("0, 1", ["0", "1"]), ("GPU-8a,MIG-GPU-7/1/0", ["GPU-8a", "MIG-GPU-7/1/0"]), ("", []), ("-1", []),
     ("2,-1,0", ["2"]), ("NoDevFiles", [])],
)  # fmt: skip
def test_given_cards_are_read_as_cuda_reads_them(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: list[str]
) -> None:
    monkeypatch.setenv(gpu_locks.VISIBLE, value)
    assert gpu_locks.given() == expected


@pytest.mark.usefixtures("two_cards")
def test_jobs_take_the_next_free_card_and_give_it_back() -> None:
    with devices.accelerator(**OPTIONS):
        assert os.environ[gpu_locks.VISIBLE] == "0"
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        del os.environ[gpu_locks.VISIBLE]  # as in another process
        with devices.accelerator(**OPTIONS):
            assert os.environ[gpu_locks.VISIBLE] == "1"
    del os.environ[gpu_locks.VISIBLE]
    with devices.accelerator(**OPTIONS):
        assert os.environ[gpu_locks.VISIBLE] == "0"


@pytest.mark.usefixtures("two_cards")
def test_a_card_that_the_scheduler_gave_is_taken_as_it_is_and_of_several_one() -> None:
    os.environ[gpu_locks.VISIBLE] = "1"
    with devices.accelerator(**OPTIONS), devices.accelerator(**OPTIONS):
        assert os.environ[gpu_locks.VISIBLE] == "1"
        assert not gpu_locks.slot_folder().exists()
    os.environ[gpu_locks.VISIBLE] = "GPU-a,MIG-GPU-b/1/0"
    with gpu_locks.slot(["GPU-a"], gpu_locks.slot_folder()), devices.accelerator(**OPTIONS):
        assert os.environ[gpu_locks.VISIBLE] == "MIG-GPU-b/1/0"
        assert "CUDA_DEVICE_ORDER" not in os.environ


@pytest.mark.usefixtures("two_cards")
def test_a_job_that_must_wait_says_who_holds_the_cards(monkeypatch, capsys) -> None:
    class MustWaitError(Exception):
        pass

    def stop(seconds: float) -> None:
        raise MustWaitError

    names, folder = gpu_locks.choices(), gpu_locks.slot_folder()
    monkeypatch.setattr("time.sleep", stop)
    with gpu_locks.slot(names, folder), gpu_locks.slot(names, folder):
        with pytest.raises(MustWaitError), gpu_locks.slot(names, folder):
            pass
        mine = str(locks.this_process())
        assert capsys.readouterr().out == f"waiting for a GPU; they are held: 0 by {mine}, 1 by {mine}\n"


@pytest.mark.usefixtures("two_cards")
def test_cpu_hides_every_card_and_takes_no_slot() -> None:
    os.environ[gpu_locks.VISIBLE] = "0,1"
    with devices.accelerator(**OPTIONS | {"device": "cpu"}):
        assert os.environ[gpu_locks.VISIBLE] == ""
        assert os.environ["JAX_PLATFORMS"] == "cpu"
        assert not gpu_locks.slot_folder().exists()


@pytest.mark.parametrize(
    ("backend", "cards", "visible", "message"),
    [
        ("tensorflow", 2, None, "must find a GPU; tensorflow sees no GPU.*Fake A, Fake B.*ACCELERATOR=cuda"),
        ("jax", 2, None, "must find a GPU; jax sees no GPU.*Fake A, Fake B.*ACCELERATOR=jax-cuda"),
        (
            "tensorflow",
            0,
            None,
            r"no driver of NVIDIA is installed\)\. It takes an NVIDIA .*training.device: auto",
        ),
        ("tensorflow", 2, "-1", r"Fake A, Fake B is hidden by CUDA_VISIBLE_DEVICES='-1'\. Unset it"),
    ],
    ids=["no libraries", "no libraries for jax", "no card", "hidden cards"],
)
def test_gpu_where_none_is_seen_is_refused_with_the_reason_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, backend: str, cards: int, visible: str | None, message: str
) -> None:
    sees_no_gpu(monkeypatch, backend)
    fake_driver(monkeypatch, "Fake A", "Fake B") if cards else no_driver(monkeypatch)
    if visible:
        os.environ[gpu_locks.VISIBLE] = visible
    with pytest.raises(InputError, match=message):
        devices.start("gpu", False)


@pytest.mark.usefixtures("two_cards")
def test_auto_on_the_cpu_beside_a_card_is_told_and_lets_others_have_it(monkeypatch, capsys) -> None:
    sees_no_gpu(monkeypatch)
    with devices.accelerator(**OPTIONS):
        assert devices.start("auto", False) == "cpu"
        assert "computing on the CPU although there is a card" in capsys.readouterr().out
        with gpu_locks.slot(["0"], gpu_locks.slot_folder()) as name:
            assert name == "0"


def test_a_cpu_that_was_asked_for_or_is_all_there_is_needs_no_words(monkeypatch, capsys) -> None:
    sees_no_gpu(monkeypatch)
    no_driver(monkeypatch)
    assert devices.start("auto", False) == "cpu"
    fake_driver(monkeypatch, "Fake A")
    assert devices.start("cpu", False) == "cpu"
    assert capsys.readouterr().out == ""


def test_memory_grows_as_needed_unless_the_user_wants_it_otherwise() -> None:
    names = ("TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE")
    for name in names:
        os.environ.pop(name, None)
    with devices.accelerator(**OPTIONS | {"device": "cpu"}):
        assert [os.environ[name] for name in names] == ["true", "false"]
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
    os.environ.update({names[0]: "false", names[1]: "true"})
    with devices.accelerator(**OPTIONS | {"device": "cpu", "backend": "jax"}):
        assert [os.environ[name] for name in names] == ["false", "true"]
        assert os.environ["KERAS_BACKEND"] == "jax"


def test_determinism_and_narrow_numbers_add_to_what_the_user_has_set() -> None:
    os.environ["XLA_FLAGS"] = "--xla_dump_to=here"
    with devices.accelerator(**OPTIONS | {"device": "cpu", "deterministic": True, "precision": "bfloat16"}):
        assert os.environ["XLA_FLAGS"] == "--xla_dump_to=here --xla_gpu_deterministic_ops=true"
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_users_and_jobs_of_a_scheduler_have_locks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {gpu_locks.slot_folder()}
    for name, value in (("SLURM_JOB_ID", "7"), ("SLURM_JOB_ID", "8"), ("PBS_JOBID", "7.server"), ("JOB_ID", "9")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            folders.add(gpu_locks.slot_folder())
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    folders.add(gpu_locks.slot_folder())
    assert len(folders) == 6
    assert {folder.parent for folder in folders} == {Path(tempfile.gettempdir())}


def a_link(folder: Path, elsewhere: Path) -> None:
    folder.symlink_to(elsewhere)


def open_to_all(folder: Path, elsewhere: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "gpu-0.lock").symlink_to(elsewhere / "thesis")


@pytest.mark.parametrize("trap", [a_link, open_to_all])
def test_a_folder_of_locks_that_others_may_have_laid_out_is_refused(tmp_path: Path, trap: Any) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis").write_text("years of work")
    trap(gpu_locks.slot_folder(), tmp_path / "mine")
    with (
        pytest.raises(InputError, match=r"must be a folder that only you can write to.*TMPDIR"),
        gpu_locks.slot(["0"], gpu_locks.slot_folder()),
    ):
        pass
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis"]
    assert (tmp_path / "mine/thesis").read_text() == "years of work"


@pytest.mark.parametrize(("size", "gpu", "expected"), [(400, "a card", True), (401, "a card", False), (1, "", False)])
def test_the_store_goes_to_a_card_that_has_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, gpu: str, expected: bool
) -> None:
    fake_driver(monkeypatch, "Fake A", free=1000 * 2**20)
    monkeypatch.setattr(devices, "gpu_of", lambda backend: gpu)
    assert devices.holds(size * 2**20) is expected
