"""What a job computed on, in words."""

import os
import platform
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax")


def computed_on() -> str:
    """Name of the GPU on which this process's backend computes, else of the processor; nothing is imported for it."""
    backend = os.environ.get("KERAS_BACKEND", "")
    if backend in BACKENDS and backend in sys.modules:
        from lambdascape.devices import gpu_of

        return gpu_of(backend) or processor()
    return processor()


def processor() -> str:
    """Name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
