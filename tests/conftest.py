"""What tests of every room may ask for."""

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


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
