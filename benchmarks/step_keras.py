"""One training step of this project, for `training.py`: a worker that answers each word on its input with seconds.

step: a step on one resident batch; gemm: a square product of matrices; save: a checkpoint; peak: most memory, in MB
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

from lambdascape.config.settings import RunSettings, Triplets
from lambdascape.jobs.devices import accelerator, start


def settings_of(options: argparse.Namespace) -> RunSettings:
    """The published network and training."""
    network = {
        "input": "logmel", "n_mfcc": 13, "architecture": "resnet18", "width": 64, "conv_biases": True, "dropout": 0.5,
        "embedding_dim": 64, "l2": 0.01, "l2_scope": "convs", "embedding_norm_penalty": 0.0,
    }  # fmt: skip
    training = {
        "backend": options.backend, "device": "auto", "precision": options.precision, "deterministic": False,
        "margin": 1.0, "reduction": "nonzero", "passes": "separate", "learning_rate": 1e-5, "lr_schedule": "constant",
        "weight_decay": 0.0, "batch_size": options.batch,
    }  # fmt: skip
    return RunSettings.of({"triplets": Triplets().plain(), "network": network, "training": training})


def gflop_of_step(embedder: Any, tiles: int) -> float:
    """Arithmetic of the convolutions: forward, gradient of the weights, and, but for the stem, of the input."""
    total = 0.0
    for layer in embedder.layers:
        if layer.name.endswith("_conv"):
            _, height, width, filters = layer.output.shape
            forward = 2 * height * width * filters * layer.kernel_size[0] ** 2 * layer.input.shape[-1]
            total += forward * (2 if layer.name == "stem_conv" else 3)
    return total * tiles / 1e9


def seconds_of(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Say the device and the arithmetic of a step, then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--mels", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--gemm", type=int, required=True)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--backend", default="tensorflow")
    options = parser.parse_args()
    settings = settings_of(options)
    training = settings.training
    with accelerator(training.backend, training.device, training.deterministic, training.precision):
        import keras
        import numpy as np

        from lambdascape.models import checkpoints
        from lambdascape.models.training import _arrays, compiled_model

        device = start("auto", deterministic=False)
        model = compiled_model(options.frames, options.mels, settings, 1, 1)
        rng = np.random.default_rng(1)
        tiles = keras.ops.convert_to_tensor(
            rng.normal(size=(options.batch, 3, options.frames, options.mels)), "float16"
        )
        kind = "bfloat16" if options.precision == "bfloat16" else "float32"
        matrix = keras.ops.convert_to_tensor(rng.normal(size=(options.gemm, options.gemm)), kind)
        folder = tempfile.mkdtemp()

        def save() -> None:
            checkpoints.save(f"{folder}/checkpoint.h5", "key", checkpoints.State(1, [], [], _arrays(model)))

        work = {
            "save": save,
            "step": lambda: model.train_on_batch(tiles),
            "gemm": lambda: float(keras.ops.matmul(matrix, matrix)[0, 0]),
        }
        for _ in range(2):
            work["step"]()
        print(f"{device}\t{gflop_of_step(model.embedder, 3 * options.batch)}", flush=True)
        while (word := input()) != "peak":
            print(seconds_of(work[word]), flush=True)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
