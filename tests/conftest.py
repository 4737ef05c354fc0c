"""Fixtures and settings for all tests."""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.checkouts import Checkout
from support.fault_table import MARK, FaultTable

# Before anything imports NumPy: on matrices as small as the tests', threads cost several times what they compute. Jobs
# are held to the threads that Snakemake gives them, too.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# What is compiled is kept: else each of the thousand processes that tests start compiles the library again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = ["support.findings", "support.gears"]
REPO = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Let tests carry rows of the table of faults, and hold texts as every job does."""
    from lambdascape.jobs.job import hold_texts_as_objects

    config.addinivalue_line("markers", f"{MARK}(*rows): the rows of the table of faults that a test injects")
    config.pluginmanager.register(FaultTable())
    hold_texts_as_objects()


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the checkout that is tested."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with real data; a checkout alone is tested without it."""
    folder = REPO.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data in {folder}, which is not there: this test checks nothing here")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout without results."""
    return Checkout(REPO, tmp_path / "checkout")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the tiny study has run, made once for all workers; tests leave it as they found it."""
    own = tmp_path_factory.mktemp("finished")
    made = (own.parents[1] if "PYTEST_XDIST_WORKER" in os.environ else own.parent) / "finished-study"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            checkout = Checkout(REPO, own / "made")
            run = checkout.snakemake("--cores", "2")
            assert run.returncode == 0, run.stdout
            checkout.folder.rename(made)
    return Checkout.at(made).copy_to(own / "checkout")


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """The `FakeStudy` of no arguments."""
    from support.studies import FakeStudy

    return FakeStudy(tmp_path)


@pytest.fixture
def shallow_network() -> Iterator[None]:
    """The embedder without its depth, see `networks.shallow`."""
    from support.networks import shallow

    with shallow():
        yield
