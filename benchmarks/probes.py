"""What probes cost: the logistic regression of 36,000 tiles, and a million tiles from the file to scores and counts.

make bench-probes
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lambdascape.config.settings import Converged, FewShot, Knn
from lambdascape.core.hdf5 import TEXT, create
from lambdascape.embeddings.splits import read_labelled
from lambdascape.jobs.job import THREAD_VARIABLES
from lambdascape.probes.converged import fit_converged
from lambdascape.probes.few_shot import fit_few_shot
from lambdascape.probes.knn import fit_knn
from lambdascape.probes.scoring import ProbeInput

CLASSES, DIM, FOLDS = 9, 64, 4
TILES_OF_A_CLIP = 2
CONVERGED = Converged(c_grid=[0.01, 0.1, 1.0, 10.0, 100.0], validation_fraction=0.25)
ONE_C = Converged(c_grid=[0.1], validation_fraction=0.25)
KNN = Knn(k_grid=[1, 5, 10, 20, 50], max_tiles=50_000, validation_fraction=0.25)
FEW_SHOT = FewShot(sessions=[1, 5, 20], draws=5, c=1.0, seed=1)
MEGABYTE = 1024  # of the KiB in which Linux counts memory
MOST_MEGABYTES = 2000  # what the rules of the probes ask for


def make_space(path: Path, tiles: int, sessions: int) -> None:
    """Tiles around a centre for each class and one for each session, their directions of unequal spread."""
    rng = np.random.default_rng(tiles)
    session = np.sort(rng.integers(0, sessions, tiles))
    label = session % CLASSES
    centres, offsets = 0.3 * rng.normal(size=(CLASSES, DIM)), 0.5 * rng.normal(size=(sessions, DIM))
    mixing = rng.normal(size=(DIM, DIM)) * np.geomspace(1, 0.02, DIM)
    clip = [f"audio/DevNode1_ex{one}_{n // TILES_OF_A_CLIP}" for n, one in enumerate(session)]
    texts = {
        "clip": clip,
        "moment": clip,
        "session": [f"session{one}" for one in session],
        "node": ["1"] * tiles,
        "fold": [f"fold{one // CLASSES % FOLDS + 1}" for one in session],
        "label": [f"class{one}" for one in label],
    }
    with create(path, "embeddings", {}) as file:
        file.create_dataset("embedding", (tiles, DIM), np.float32)
        for start in range(0, tiles, 1 << 16):
            rows = slice(start, start + (1 << 16))
            noise = rng.normal(size=(len(label[rows]), DIM))
            file["embedding"][rows] = (centres[label[rows]] + offsets[session[rows]] + noise) @ mixing
        for column, names in texts.items():
            file.create_dataset(column, data=names, dtype=TEXT)
        file["start_s"] = np.zeros(tiles)


def measured(probe: str, path: Path, out: Path) -> dict[str, float]:
    """Seconds and the most memory of one probe in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, probe, path, out).result()


def _measured(probe: str, path: Path, out: Path) -> dict[str, float]:
    outputs = out / "scores.tsv", out / "counts.tsv"
    cpu, start = time.process_time(), time.perf_counter()
    match probe:
        case "reading":
            read_labelled(path, "fold1")
        case "converged":
            fit_converged(ProbeInput(path, "fold1"), CONVERGED, [1]).write(*outputs)
        case "converged with one C":
            fit_converged(ProbeInput(path, "fold1"), ONE_C, [1]).write(*outputs)
        case "knn":
            fit_knn(ProbeInput(path, "fold1"), KNN, [1]).write(*outputs)
        case "few_shot":
            fit_few_shot(ProbeInput(path, "fold1"), FEW_SHOT, [1]).write(*outputs)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/probes.json"), help="where to write")
    parser.add_argument("--threads", type=int, default=1, help="a job of the workflow has one")
    parser.add_argument("--million", type=int, default=1_000_000, help="tiles of the large space")
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.threads)))  # for the processes to come
    found: dict[str, Any] = {"cpu": platform.processor() or platform.machine(), "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # A quarter of the tiles is the test fold: 48,000 leave 36,000 to fit.
        for tiles, sessions, probes in (
            (48_000, 260, ("converged", "knn", "few_shot")),
            (options.million, 2600, ("reading", "converged with one C")),
        ):
            make_space(root / "space.h5", tiles, sessions)
            for probe in probes:
                result = measured(probe, root / "space.h5", root)
                found[f"{probe}, {tiles} tiles"] = result
                print(
                    f"{probe}, {tiles:,} tiles × {DIM}: {result['seconds']:.1f} s ({result['cpu_seconds']:.1f} s of "
                    f"CPU), at most {result['megabytes']:.0f} MB"
                )
                if result["megabytes"] > MOST_MEGABYTES:
                    raise SystemExit(f"{probe} held more than the {MOST_MEGABYTES} MB that its rule asks for")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
