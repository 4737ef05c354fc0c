"""How much memory there is, and which errors say that it was not enough."""

import resource
from pathlib import Path

import numpy as np
import pytest

from lambdascape.jobs import memory

GB = 1 << 30


class ResourceExhaustedError(Exception):
    """As TensorFlow's, by its text."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (ResourceExhaustedError("{{function_node f}} OOM when allocating tensor with shape[9]"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"), True),
        (ValueError("must be a number"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_errors_of_memory_are_known_by_kind_or_text(error: Exception, expected: bool) -> None:
    assert memory.is_out_of_memory(error) is expected


def test_numpys_own_error_and_one_that_came_from_it_are_known() -> None:
    with pytest.raises(MemoryError) as found:
        np.empty(1 << 60, np.uint8)
    assert memory.is_out_of_memory(found.value)
    later = KeyError("while it was handled")
    later.__context__ = found.value
    assert memory.is_out_of_memory(later)


def test_memory_of_the_machine() -> None:
    assert 0 < memory.available() < memory.installed()


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/job/step\n", {"memory.max": "max", "job/memory.max": str(4 * GB), "job/step/memory.max": "max"}, 4 * GB),
        ("0::/job\n", {"memory.max": str(2 * GB), "job/memory.max": str(4 * GB)}, 2 * GB),
        ("0::/\n", {"memory.max": "max"}, None),
        ("3:cpu:/a\n4:memory,x:/docker/1\n", {"memory/memory.limit_in_bytes": str(GB), "memory.max": "1"}, GB),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": str((1 << 63) - 4096)}, None),
        ("", {}, None),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, membership: str, limits: dict[str, str], expected: int | None
) -> None:
    (tmp_path / "cgroup").write_text(membership)
    for name, content in limits.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert memory.limit(tmp_path / "cgroup", tmp_path / "mount") == expected


def test_a_limit_of_the_shell_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (GB, GB))
    assert memory.limit(tmp_path / "nothing", tmp_path) == GB
