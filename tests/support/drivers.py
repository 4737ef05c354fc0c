"""A driver of NVIDIA's that is not there: a module `pynvml` that reports what a test wants."""

import sys
from types import ModuleType, SimpleNamespace

import pytest


class FakeNVMLError(Exception):
    """As the module's own."""


class FakeLibraryNotFoundError(FakeNVMLError):
    """No driver is installed."""


def fake_driver(patch: pytest.MonkeyPatch, *names: str, fails: str = "", free: int = 0) -> None:
    """Let the driver show GPUs of some names, each with some bytes free, or fail with a message."""
    raised = FakeNVMLError(fails) if fails else None
    patch.setitem(sys.modules, "pynvml", _module(names, raised, free))


def no_driver(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "pynvml", _module((), FakeLibraryNotFoundError(), 0))


def _module(names: tuple[str, ...], raised: Exception | None, free: int) -> ModuleType:
    def start() -> None:
        if raised:
            raise raised

    module = ModuleType("pynvml")
    vars(module).update(
        NVMLError=FakeNVMLError,
        NVMLError_LibraryNotFound=FakeLibraryNotFoundError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(names),
        nvmlDeviceGetHandleByIndex=lambda number: names[number],
        nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetName=lambda handle: handle,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=free),
    )
    return module
