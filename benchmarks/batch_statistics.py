"""What recomputed batch statistics cost a training, and how near few batches come to all of them.

Cost: a real training of the default study, timed from inside, beside what it spends on the statistics of batch
normalisation and on the fixed training triplets; and the same for the published study out of a few real steps, of which
an epoch has 859. Accuracy: for the weights of a finished study, the variance that a few batches give over that of many.

    make run && make bench-statistics
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import yaml

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from lambdascape.config.settings import RunSettings
from lambdascape.features.store import open_features
from lambdascape.models import batch_statistics, training
from lambdascape.models.batch_statistics import BETWEEN_EPOCHS, FINAL, BatchMoments, spread_batches, variance_ratios
from lambdascape.models.batches import Batches
from lambdascape.models.layer_diagnostics import groups_of
from lambdascape.models.network import load_embedder
from lambdascape.models.run_triplets import MOST_FIXED, TRAIN_INFERENCE, epoch_triplets, split_tiles

REPO = Path(__file__).resolve().parents[1]
STUDY = yaml.safe_load((REPO / "config.yaml").read_text(encoding="utf-8"))
AS_PUBLISHED = yaml.safe_load((REPO / "studies/regularisation.yaml").read_text(encoding="utf-8"))
PUBLISHED = {"frames": 498, "mels": 128, "steps": 859, "epochs": 50}
MOST = {"default study": 0.15, "published study": 0.02}  # share of a training
NEAR = 1.05  # stored ÷ true variance, or its inverse
DRAWS = 8  # epochs of triplets of which few batches are taken


class Clock:
    """Seconds of the processor that calls of a function took: other work on the machine counts for nothing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the block."""
        started = time.process_time()
        try:
            yield
        finally:
            self.seconds += time.process_time() - started


def default_cost(features: Path, clips: Path, settings: RunSettings, test_fold: str) -> dict[str, float]:
    """Seconds of the processor of a whole training, and of what is measured here."""
    statistics, fixed, whole = Clock(), Clock(), Clock()

    class Timed(training.Run):
        def statistics(self, *values: Any) -> Any:
            with statistics.running():
                return super().statistics(*values)

        def measure(self, epoch: int, *values: Any) -> Any:
            every, found = self.fixed, {}
            for split in reversed(every):  # the held-out ones first: they would trace the evaluation anyway
                object.__setattr__(self, "fixed", {split: every[split]})
                with (fixed if split == TRAIN_INFERENCE else Clock()).running():
                    found |= super().measure(epoch, *values)
            object.__setattr__(self, "fixed", every)
            return found

    run, training.Run = training.Run, Timed
    try:
        with tempfile.TemporaryDirectory() as folder, whole.running():
            products = [
                Path(folder) / name for name in ("embedder.weights.h5", "history.tsv", "layers.tsv", "state.h5")
            ]
            training.train(features, clips, test_fold, settings, 1, *products, code="benchmark")
    finally:
        training.Run = run
    return {"training_s": whole.seconds, "statistics_s": statistics.seconds, "fixed_triplets_s": fixed.seconds}


def published_cost(repetitions: int) -> dict[str, float]:
    """The same of a training of the published study, from the medians of a few real steps on noise."""
    case, size = PUBLISHED, AS_PUBLISHED["training"]["batch_size"]
    settings = RunSettings.of({name: STUDY[name] | AS_PUBLISHED.get(name, {}) for name in RunSettings.model_fields})
    model = training.compiled_model(case["frames"], case["mels"], settings, 1, case["steps"])
    moments = BatchMoments(model.embedder, model.source)
    noise = np.random.default_rng(1).normal(size=(size, 3, case["frames"], case["mels"])).astype(np.float16)

    def median(call: Callable[[Any], Any]) -> float:
        times = []
        for _ in range(repetitions + 1):  # the first one traces
            started = time.process_time()
            call(noise)
            times.append(time.process_time() - started)
        return float(np.median(times[1:]))

    step, forward = median(model.train_on_batch), median(moments.predict_on_batch)
    inference = median(lambda batch: model.test_on_batch(batch))
    epochs = case["epochs"]
    return {
        "training_s": epochs * case["steps"] * step,
        "statistics_s": (epochs * BETWEEN_EPOCHS + FINAL + BETWEEN_EPOCHS) * forward,
        "fixed_triplets_s": (epochs + 1) * MOST_FIXED / size * inference,
    }


def accuracy(features_path: Path, clips: Path, test_fold: str, weights: Path, counts: list[int]) -> dict[int, float]:
    """For each number of batches the largest factor, over groups of layers and draws, by which a variance is off."""
    with h5py.File(weights, "r", locking="best-effort") as file:
        about = json.loads(file.attrs["about"])
    features, settings = open_features(features_path), RunSettings.of(about["settings"])
    tiles = split_tiles(features, clips, test_fold, settings.triplets.tile_s)
    length, size = tiles["train"].frames, settings.training.batch_size
    model = training.compiled_model(length, features.frames.shape[1], settings, about["seed"], 1)
    load_embedder(model.embedder, about, weights)
    moments = BatchMoments(model.embedder, model.source)

    def drawn(epoch: int, most: int) -> batch_statistics.Statistics:
        starts = epoch_triplets(features, tiles, settings.triplets, 99, epoch, "train")
        return moments.statistics(Batches(features, spread_batches(starts, size, most), length, size))

    many = [drawn(epoch, 10**6) for epoch in range(1, DRAWS + 1)]
    pooled = {
        name: batch_statistics.Moments(
            np.mean([one[name].mean for one in many], axis=0),
            np.mean([one[name].variance + one[name].mean ** 2 for one in many], axis=0)
            - np.mean([one[name].mean for one in many], axis=0) ** 2,
        )
        for name in many[0]
    }
    found = {}
    for count in counts:
        logs = [
            abs(np.log(ratio))
            for epoch in range(DRAWS + 1, 2 * DRAWS + 1)
            for ratio in variance_ratios(drawn(epoch, count), pooled, groups_of(model.embedder)).values()
            if ratio == ratio
        ]
        found[count] = float(np.exp(max(logs)))
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default=STUDY["study"], help="finished study of the default config (default: demo)")
    parser.add_argument("--repetitions", type=int, default=2, help="steps of the published study (default: 2)")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    dataset, test_fold = STUDY["dataset"]["name"], STUDY["split"]["test_fold"]
    clips = Path(f"results/datasets/{dataset}/clips.tsv")
    weights = sorted(Path(f"results/{options.study}/models").glob("*/embedder.weights.h5"))
    stores = sorted(Path(f"results/features/{dataset}").glob("*/features.h5"))
    if not (clips.is_file() and weights and stores):
        parser.error(f"needs the finished study {options.study} under results/: `make run` makes it")
    counts = [BETWEEN_EPOCHS // 2, BETWEEN_EPOCHS, 2 * BETWEEN_EPOCHS, FINAL]
    found: dict[str, Any] = {"accuracy": {}, "cost": {}}
    for file in weights:
        factors = accuracy(stores[0], clips, test_fold, file, counts)
        found["accuracy"][file.parent.name] = factors
        words = ", ".join(f"{count} batches {factor:.3f}" for count, factor in factors.items())
        print(f"{file.parent.name}: largest factor between variances of few batches and of many: {words}", flush=True)
    worst = max(factors[BETWEEN_EPOCHS] for factors in found["accuracy"].values())
    print(f"{BETWEEN_EPOCHS} batches between epochs: at most {worst:.3f} (wanted: {NEAR})", flush=True)
    settings = RunSettings.of({name: STUDY[name] for name in RunSettings.model_fields})
    for name, cost in (
        ("default study", lambda: default_cost(stores[0], clips, settings, test_fold)),
        ("published study", lambda: published_cost(options.repetitions)),
    ):
        numbers = cost()
        added = numbers["statistics_s"] + numbers["fixed_triplets_s"]
        rest = numbers["training_s"] - (added if name == "default study" else 0)
        found["cost"][name] = numbers | {"share": added / rest}
        print(
            f"{name}: {rest:,.0f} s of training; statistics {numbers['statistics_s'] / rest:.2%}, fixed training "
            f"triplets {numbers['fixed_triplets_s'] / rest:.2%}: {added / rest:.2%} (wanted: at most {MOST[name]:.0%})",
            flush=True,
        )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
