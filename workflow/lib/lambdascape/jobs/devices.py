"""Which accelerator a job computes on: chosen before Keras is imported, one job to a card, never silently."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lambdascape.core.errors import InputError
from lambdascape.jobs import gpu_locks
from lambdascape.jobs.machine import gpu_of

REMEDY = {"tensorflow": "cuda", "jax": "jax-cuda"}  # for `make env ACCELERATOR=…`
HELD_SHARE = 0.4  # of a card's free memory: where features are made, there may be two of them for a moment


@contextmanager
def accelerator(backend: str, device: str, deterministic: bool, precision: str = "float32") -> Iterator[None]:
    """Set the environment of a job that computes with a network, before Keras is imported.

    One card that a scheduler or the user has made visible is taken as it is; of several, one that no other job holds.

    Args:
        backend: `tensorflow` or `jax`.
        device: `auto`, `gpu` or `cpu`.
        deterministic: only operations that give the same bits each time, also on a GPU.
        precision: of the layers in training, `float32` or `bfloat16`.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if deterministic:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    if precision == "bfloat16":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its narrow convolutions on CPUs gave gradients that are no numbers
    if device == "cpu":
        os.environ |= {gpu_locks.VISIBLE: "", "JAX_PLATFORMS": "cpu"}
        yield
        return
    names = gpu_locks.choices()
    if not names:
        yield
        return
    if gpu_locks.given() is None:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # numbers then mean what nvidia-smi shows
    with gpu_locks.slot(names, gpu_locks.slot_folder()) as name:
        os.environ[gpu_locks.VISIBLE] = name
        yield


def start(device: str, deterministic: bool) -> str:
    """Make Keras' backend ready to compute; where a card was hoped for and there is none, that is told or refused.

    Args:
        device: `auto`, `gpu` or `cpu`.
        deterministic: only operations that give the same bits each time, also on a GPU.

    Returns:
        Name of the GPU that it computes on, or `cpu`.

    Raises:
        InputError: `gpu` was asked for and the backend sees none.
    """
    backend = keras_backend()
    if deterministic and backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    found = gpu_of(backend)
    if not found:
        _explain_the_cpu(device, backend)
    return found or "cpu"


def compiles(deterministic: bool) -> bool:
    """Whether the step goes through XLA, which is slow on CPUs in TensorFlow, and the only fast way in JAX.

    On a GPU, TensorFlow has no deterministic gradient of max-pooling there.
    """
    backend = keras_backend()
    return backend == "jax" or (bool(gpu_of(backend)) and not deterministic)


def holds(size: int) -> bool:
    """Whether this process computes on a GPU that has room for so many bytes beside the network."""
    return bool(gpu_of(keras_backend())) and size <= HELD_SHARE * gpu_locks.free_memory()


def keras_backend() -> str:
    """Name of the backend that this process computes with."""
    import keras

    return str(keras.backend.backend())


def _explain_the_cpu(device: str, backend: str) -> None:
    """Tell or refuse that there is no GPU to compute on, and let others have the card that cannot be used."""
    gpu_locks.give_back()
    if device == "cpu":
        return
    present, why_none = gpu_locks.listed()
    if present and gpu_locks.given() == []:
        why = f"{', '.join(present)} is hidden by {gpu_locks.VISIBLE}={os.environ[gpu_locks.VISIBLE]!r}. Unset it"
    elif present:
        why = (
            f"{backend} sees no GPU, and the driver shows {', '.join(present)}. "
            f"`make env ACCELERATOR={REMEDY[backend]}` adds what {backend} needs; `make doctor` tells more"
        )
    else:
        why = (
            f"{backend} sees no GPU ({why_none}). It takes an NVIDIA card with its driver, or training.device: auto, "
            "which does with a CPU; `make doctor` tells more"
        )
    if device == "gpu":
        raise InputError(f"training.device: gpu must find a GPU; {why}")
    if present:
        print(f"computing on the CPU although there is a card: {why}", flush=True)
