"""How much memory a part of a test takes, whatever ran before it in the same process (Linux)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held_within(megabytes: float) -> Iterator[None]:
    """Fail when the block makes the process hold so many megabytes more than at its start, at any moment."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
    before = _kibibytes("VmRSS")
    yield
    assert (_kibibytes("VmHWM") - before) / 1024 < megabytes


def _kibibytes(name: str) -> int:
    (found,) = re.findall(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found)
