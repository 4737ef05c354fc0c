"""Which accelerator a job computes on: chosen before Keras is imported, one job to a card, never silently."""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lambdascape.errors import InputError
from lambdascape.jobs import job

VISIBLE = "CUDA_VISIBLE_DEVICES"
REMEDY = {"tensorflow": "cuda", "jax": "jax-cuda"}  # for `make env ACCELERATOR=…`
WAIT_S = 1.0
HELD_SHARE = 0.4  # of a card's free memory: where features are made, there may be two of them for a moment


def cards() -> list[str]:
    """Names of the NVIDIA cards that the driver shows, in its order; empty without a card or a driver."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in listing.stdout.splitlines() if line.strip()] if listing.returncode == 0 else []


def slot_folder() -> Path:
    """Where the locks of the cards lie: one folder for each user and each job of a cluster, on this machine's disk."""
    job = os.environ.get("SLURM_JOB_ID", "local")
    return Path(tempfile.gettempdir()) / f"lambdascape-{os.getuid()}-{job}"


@contextmanager
def slot(names: list[str], folder: Path) -> Iterator[str]:
    """Hold one of some cards while the block lasts, and wait until one is free.

    The lock belongs to the process: a crash frees it, and so does every other end.

    Args:
        names: the cards, as `CUDA_VISIBLE_DEVICES` names them; at least one.
        folder: the locks, see `slot_folder`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    waits = False
    while not (held := _first_free(names, folder)):
        if not waits:
            print(f"waiting for one of {len(names)} cards; the locks are in {folder}", flush=True)
        waits = True
        time.sleep(WAIT_S)
    name, stream = held
    with stream:
        yield name


def _first_free(names: list[str], folder: Path) -> tuple[str, IO[str]] | None:
    for name in names:
        stream = (folder / f"card-{name.replace('/', '-')}.lock").open("w", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
        else:
            return name, stream
    return None


@contextmanager
def network_job(
    log: str, threads: int, outputs: Iterable[str], inputs: Iterable[str], params: Mapping[str, Any]
) -> Iterator[None]:
    """A job that computes with a network: `jobs.job`, on the device that `params["settings"]["training"]` asks for."""
    with job(log, threads, outputs, inputs, params), accelerator(params["settings"]["training"]):
        yield


@contextmanager
def accelerator(options: Mapping[str, Any]) -> Iterator[None]:
    """Set the environment of a job that computes with a network, before Keras is imported.

    One card that a scheduler or the user has made visible is taken as it is; of several, one that no other job holds.

    Args:
        options: `backend` (`tensorflow` or `jax`), `device` (`auto`, `gpu` or `cpu`), `deterministic` and, where there
            is training, `precision`.
    """
    os.environ["KERAS_BACKEND"] = options["backend"]
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if options["deterministic"]:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    if options.get("precision") == "bfloat16":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its narrow convolutions on CPUs gave gradients that are no numbers
    if options["device"] == "cpu":
        os.environ |= {VISIBLE: "", "JAX_PLATFORMS": "cpu"}
        yield
        return
    given = os.environ.get(VISIBLE)
    names = [str(number) for number in range(len(cards()))] if given is None else [n for n in given.split(",") if n]
    if len(names) < (1 if given is None else 2):
        yield
        return
    with slot(names, slot_folder()) as name:
        os.environ[VISIBLE] = name
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
    found = _gpu_of(backend)
    if not found:
        _explain_the_cpu(device, backend)
    return found or "cpu"


def compiles(deterministic: bool) -> bool:
    """Whether the step goes through XLA, which is slow on CPUs in TensorFlow, and the only fast way in JAX.

    On a GPU, TensorFlow has no deterministic gradient of max-pooling there.
    """
    backend = keras_backend()
    return backend == "jax" or (bool(_gpu_of(backend)) and not deterministic)


def holds(size: int) -> bool:
    """Whether this process computes on a GPU that has room for so many bytes beside the network."""
    return bool(_gpu_of(keras_backend())) and size <= HELD_SHARE * free_memory()


def free_memory() -> int:
    """Bytes that are free on the first visible card; 0 where the driver does not tell."""
    card = os.environ.get(VISIBLE, "0").split(",")[0]
    words = ["nvidia-smi", f"--id={card}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return int(found.stdout) * 2**20
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def keras_backend() -> str:
    """Name of the backend that this process computes with."""
    import keras

    return str(keras.backend.backend())


def _explain_the_cpu(device: str, backend: str) -> None:
    present = cards() if device != "cpu" else []
    why = f"{backend} sees no GPU, and the driver shows {', '.join(present) or 'none'}"
    remedy = f"`make env ACCELERATOR={REMEDY[backend]}` adds what {backend} needs; `make doctor` tells more"
    if device == "gpu":
        raise InputError(f"training.device: gpu must find a GPU; {why}. {remedy}")
    if present:
        print(f"computing on the CPU although there is a card: {why}. {remedy}", flush=True)


def _gpu_of(backend: str) -> str:
    """Name of the backend's first GPU, empty without one."""
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return "" if first.platform == "cpu" else str(first.device_kind)
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)) if gpus else ""
