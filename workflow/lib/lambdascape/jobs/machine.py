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


def gpu_of(backend: str) -> str:
    """Name of the first GPU that `tensorflow` or `jax` sees, empty without one."""
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return "" if first.platform == "cpu" else str(first.device_kind)
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)) if gpus else ""
