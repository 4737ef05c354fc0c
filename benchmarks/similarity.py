"""What comparing every two spaces costs: 100 runs of 20,000 tiles in 64 dimensions, from embeddings to verdict.

make bench-similarity
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
import pandas as pd

from lambdascape.config.settings import Geometry
from lambdascape.core.declarations import declared
from lambdascape.core.tsv import read_table, write_table
from lambdascape.embeddings.space_file import write_embeddings
from lambdascape.jobs.job import THREAD_VARIABLES
from lambdascape.similarity.layout import map_spaces
from lambdascape.similarity.pairs import compare_spaces
from lambdascape.similarity.seed_test import judge_moves
from lambdascape.similarity.space_summary import summarise_space

CLASSES, SESSIONS, NODES, TILES = 9, 60, 4, 2  # of the held-out fold; nodes of a moment, tiles of a clip
SEEDS = 5
MEGABYTE = 1024  # of the KiB in which Linux counts memory


def make_tiles(count: int) -> pd.DataFrame:
    """Held-out tiles as those of DCASE 2018 Task 5, all in the fold `fold1`."""
    number = np.arange(count)
    clip, moment = number // TILES, number // (TILES * NODES)
    session = moment * SESSIONS // (moment[-1] + 1)
    return pd.DataFrame(
        {
            "clip": [f"c{k}" for k in clip],
            "moment": [f"m{k}" for k in moment],
            "session": [f"s{k}" for k in session],
            "node": [f"n{k}" for k in clip % NODES],
            "fold": "fold1",
            "label": [f"l{k}" for k in session % CLASSES],
            "start_s": 5.0 * (number % TILES),
        }
    )


def make_space(path: Path, tiles: pd.DataFrame, dim: int, value: int, seed: int) -> None:
    """A space on the unit sphere that its value and its seed have moved from one that all runs share."""
    shared = np.random.default_rng(0).normal(size=(len(tiles), dim))
    place = pd.factorize(tiles["session"])[0]
    parts = [np.random.default_rng([k, n]) for k, n in ((1, value), (2, seed), (3, 1000 * value + seed))]
    x = shared + np.random.default_rng(4).normal(size=(SESSIONS, dim))[place]
    for weight, rng in zip((0.5, 0.5, 0.7), parts, strict=True):
        x += weight * rng.normal(size=x.shape)
    x = x @ np.linalg.qr(parts[2].normal(size=(dim, dim)))[0]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    write_embeddings(path, x.astype(np.float32), tiles, {})


def summarise(paths: tuple[Path, Path], max_tiles: int) -> float:
    """One job of the rule `summarise_space`; returns the most memory that its process has held, in MB."""
    summarise_space(paths[0], "fold1", Geometry.of({"max_tiles": max_tiles, "draw_seed": 1}), paths[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


def compare(names: list[str], summaries: list[Path], runs: Path, folder: Path) -> float:
    """The jobs of the rules `compare_spaces`, `map_spaces` and `judge_moves`."""
    known = declared("similarity_measure")
    tasks = {name: {"name": one.task} for name, one in known.items()}
    compare_spaces(names, summaries, tasks, ["procrustes"], folder / "pairs.tsv")
    map_spaces(runs, folder / "pairs.tsv", folder / "map.tsv")
    judge_moves(runs, folder / "pairs.tsv", folder / "moves.tsv")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/similarity.json"), help="where to write")
    parser.add_argument("--runs", type=int, default=100, help=f"a multiple of {SEEDS}, the seeds of each value")
    parser.add_argument("--tiles", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {"cpu": platform.processor() or platform.machine(), "cores": options.cores}
    found |= {"runs": options.runs, "tiles": options.tiles, "dim": options.dim, "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as name:
        folder, tiles = Path(name), make_tiles(options.tiles)
        points = [(value, seed) for value in range(options.runs // SEEDS) for seed in range(SEEDS)]
        rows = [
            {"run": f"{v}_{s}", "kind": "trained", "arm": f"{v}", "replicate": f"{s}", "seed": s, "test_fold": "fold1"}
            | {"axis": "l2", "value": 10.0**-v, "l2": 10.0**-v}
            for v, s in points
        ]
        write_table(pd.DataFrame(rows), folder / "runs.tsv")
        names = [row["run"] for row in rows]
        for run, (value, seed) in zip(names, points, strict=True):
            make_space(folder / f"{run}.h5", tiles, options.dim, value, seed)
        paths = [(folder / f"{run}.h5", folder / f"{run}-summary.h5") for run in names]
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # as jobs of one thread beside each other
        start = time.perf_counter()
        with ProcessPoolExecutor(options.cores, context) as pool:
            memory = list(pool.map(summarise, paths, [options.tiles] * len(paths)))
        summarised = time.perf_counter()
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.cores)))  # as one job of all cores
        with ProcessPoolExecutor(1, context) as pool:
            memory.append(
                pool.submit(compare, names, [path for _, path in paths], folder / "runs.tsv", folder).result()
            )
        end = time.perf_counter()
        row = read_table(folder / "moves.tsv", ("measure",)).iloc[0]
    found |= {"summaries_s": summarised - start, "pairs_s": end - summarised, "total_min": (end - start) / 60}
    found |= {"summary_mb": max(memory[:-1]), "pairs_mb": memory[-1], "load_after": os.getloadavg()[0]}
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)  # the spaces were made in this process
    found |= {"cpu_s": spent.ru_utime + spent.ru_stime, "gap": float(row["gap"]), "p": float(row["p"])}
    pairs = options.runs * (options.runs - 1) // 2
    print(
        f"{options.runs} spaces of {options.tiles:,} tiles in {options.dim} dimensions on {options.cores} cores:\n"
        f"  {found['total_min']:.1f} min, {found['cpu_s']:.0f} s of processor time, load {found['load_before']:.1f}\n"
        f"  summaries {found['summaries_s']:.0f} s, at most {found['summary_mb']:.0f} MB each\n"
        f"  {pairs:,} pairs {found['pairs_s']:.0f} s, {found['pairs_mb']:.0f} MB"
    )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
