"""What reading the layers costs a training: one measured step of each epoch, beside the steps of that epoch.

Real steps of the real callback, on noise. `cost` is a table of these numbers for one network, to be called by others.

    make bench-dynamics
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import yaml

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from lambdascape.config.settings import RunSettings
from lambdascape.jobs import devices
from lambdascape.models.layer_diagnostics import WatchLayers
from lambdascape.models.training import compiled_model

REPO = Path(__file__).resolve().parents[1]
DEFAULT = yaml.safe_load((REPO / "config.yaml").read_text(encoding="utf-8"))
WANTED = 0.05
# Frames and mel bands of a tile, width, triplets in a batch and steps in an epoch: the default study with its synthetic
# rooms, and the published one on the three training folds of DCASE 2018 Task 5.
CASES = {
    "default study": {"frames": 99, "mels": 40, "width": 8, "batch_size": 64, "steps": 13},
    "published study": {"frames": 498, "mels": 128, "width": 64, "batch_size": 64, "steps": 859},
}


class Timed(WatchLayers):
    """Counts its own seconds."""

    seconds = 0.0

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Time the first reading."""
        started = time.perf_counter()
        super().on_train_batch_begin(batch, logs)
        self.seconds += time.perf_counter() - started

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Time the second one and the measures."""
        started = time.perf_counter()
        super().on_train_batch_end(batch, logs)
        self.seconds += time.perf_counter() - started


class StepTimes(keras.callbacks.Callback):
    """Seconds of each step, the callbacks left out."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Wait for the step, then stop it."""
        float((logs or {})["total"])
        self.seconds.append(time.perf_counter() - self.started)


def cost(
    frames: int, mels: int, width: int, batch_size: int, steps: int, repetitions: int, **training: Any
) -> dict[str, Any]:
    """What reading the layers costs.

    Args:
        frames: of a tile.
        mels: mel bands.
        width: filters of the stem.
        batch_size: triplets.
        steps: of an epoch.
        repetitions: epochs of two steps of which the medians are taken; one more warms up.
        training: settings of the training that differ from the default study's.

    Returns:
        `read_s` and `step_s`, medians; `share` of an epoch's time that reading takes; `least_steps`, of the shortest
        epoch in which it takes no more than `WANTED`.
    """
    options = DEFAULT["training"] | training
    network = DEFAULT["network"] | {"width": width}
    settings = {"triplets": DEFAULT["triplets"], "network": network, "training": options}
    model = compiled_model(frames, mels, RunSettings.of(settings), 1, steps)
    tiles = np.random.default_rng(1).normal(size=(2 * batch_size, 3, frames, mels)).astype(np.float32)
    read, taken = [], []
    for epoch in range(repetitions + 1):
        clock, watch = StepTimes(), Timed(epoch, 1)
        model.fit(tiles, batch_size=batch_size, shuffle=False, verbose=0, callbacks=[clock, watch])
        if epoch:
            read.append(watch.seconds)
            taken.append(clock.seconds[0])  # the step in which nothing is read
    read_s, step_s = float(np.median(read)), float(np.median(taken))
    return {
        "read_s": read_s,
        "step_s": step_s,
        "share": read_s / (read_s + steps * step_s),
        "least_steps": int(np.ceil(read_s * (1 - WANTED) / (WANTED * step_s))),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, help="epochs of which the median is taken (default: 5)")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), help="which (default: all)")
    parser.add_argument("--batch-size", type=int, help="triplets in a batch (default: 64, as in the studies)")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    device = devices.start("auto", deterministic=False)
    found = {}
    for name in options.cases:
        case = CASES[name] | ({"batch_size": options.batch_size} if options.batch_size else {})
        found[name] = case | cost(**case, repetitions=options.repetitions)
        numbers = found[name]
        print(
            f"{name}: a step on {numbers['batch_size']} triplets takes {1000 * numbers['step_s']:.0f} ms, reading the "
            f"layers {1000 * numbers['read_s']:.0f} ms: {numbers['share']:.2%} of an epoch of {numbers['steps']} steps "
            f"(wanted: at most {WANTED:.0%}, which holds from {numbers['least_steps']} steps on)",
            flush=True,
        )
    result = {"cases": found, "device": device, "backend": keras.backend.backend(), "repetitions": options.repetitions}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
