"""A driver of NVIDIA's that is not there: a program nvidia-smi that says what a test wants."""

import os
from pathlib import Path

import pytest


def fake_driver(folder: Path, patch: pytest.MonkeyPatch, *cards: str, fails: str = "") -> None:
    """Put a nvidia-smi first on the PATH that lists some cards, or fails with a message."""
    folder.mkdir(exist_ok=True)
    program = folder / f"new-{os.getpid()}"
    says = [f"echo '{fails}'; exit 9"] if fails else [f"echo '{card}'" for card in cards]
    program.write_text("\n".join(["#!/bin/sh", *says, ""]))
    program.chmod(0o755)
    program.rename(folder / "nvidia-smi")  # whole, where several jobs write it at once
    patch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def no_driver(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Leave no nvidia-smi on the PATH."""
    folder.mkdir(exist_ok=True)
    patch.setenv("PATH", str(folder))
