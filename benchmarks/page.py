"""What the report costs: figures and page of 30 runs, its size, and how soon a browser can use it, 5,000 points a map.

make bench-report
"""

import argparse
import base64
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lambdascape.core.tsv import write_table
from lambdascape.figures.confusion import plot_confusion
from lambdascape.figures.dataset import plot_dataset
from lambdascape.figures.dynamics import plot_dynamics
from lambdascape.figures.few_shot_curve import plot_few_shot
from lambdascape.figures.maps import plot_maps
from lambdascape.figures.mechanism_stages import plot_mechanism
from lambdascape.figures.response import plot_response
from lambdascape.figures.run_map import plot_run_map
from lambdascape.figures.seed_distances import plot_moves
from lambdascape.figures.selection import plot_selection
from lambdascape.figures.similarity_matrices import plot_similarity
from lambdascape.figures.spectra import plot_spectra
from lambdascape.figures.training_curves import plot_curves
from lambdascape.geometry.label_audit import COLUMNS as AUDIT
from lambdascape.report.page import write_report
from lambdascape.study.run_table import mapped_runs, read_sweep
from lambdascape.study.validation import check
from lambdascape.viewer import points, predictions, projections, sound, thumbnails
from lambdascape.viewer.viewer_page import write_viewer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit"))
from studies import FakeStudy  # noqa: E402

VALUES, SEEDS = (1.0, 0.1, 0.01, 0.001, 0.0001, 0.0), (1, 2, 3, 4, 5)
CLASSES, SESSIONS, NEIGHBOURS = 9, 60, 5
TRIALS = 5
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the wall clock, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def drawings(study: FakeStudy, folder: Path) -> dict[str, Callable[[Path, Path], None]]:
    """Every figure that needs no audio, as a function of the paths of its SVG and PNG."""
    table, spaces = study.tables, study.embeddings()
    runs, names = table["runs"], [space["run"] for space in study.spaces]

    def of_runs(draw: Callable[..., None], *tables: str) -> Callable[[Path, Path], None]:
        return lambda svg, png: draw(runs, *(table[name] for name in tables), svg, png, True)

    def curves(name: str, measure: str) -> Callable[[Path, Path], None]:
        return lambda svg, png: plot_curves(runs, table[name], measure, [], svg, png, True)

    return {
        "response": of_runs(plot_response, "scores", "choice"),
        "selection": of_runs(plot_selection, "training", "geometry", "scores", "selection"),
        "loss": curves("training", "loss"),
        "dynamics": of_runs(plot_dynamics, "layers"),
        "mechanism": of_runs(plot_mechanism, "layers", "mechanism"),
        "probe_f1": curves("probe_epochs", "macro_f1"),
        "probe_cross_entropy": curves("probe_epochs", "cross_entropy"),
        "few_shot": of_runs(plot_few_shot, "few_shot"),
        "maps": lambda svg, png: plot_maps(runs, spaces, names, "fold1", svg, png, True),
        "confusion": of_runs(plot_confusion, "confusion"),
        "spectra": of_runs(plot_spectra, "spectra"),
        "similarity": of_runs(plot_similarity, "pairs"),
        "moves": lambda svg, png: plot_moves(runs, table["pairs"], {}, svg, png, True),
        "run_map": of_runs(plot_run_map, "map"),
        "dataset": lambda svg, png: plot_dataset(table["clips"], table["rejected"], svg, png, True),
    }


def make_viewer(study: FakeStudy, folder: Path, count: int) -> Path:
    """A viewer of made-up points: every map and sheet full, and as much sound as a page may hold."""
    rng = np.random.default_rng([1])
    shown = [run for run, _ in mapped_runs(read_sweep(study.tables["runs"]))]
    number = np.arange(count)
    session = number * SESSIONS // count
    table = pd.DataFrame({"point": number, "clip": [f"clip{k // 2}" for k in number], "start_s": 2.0 * (number % 2)})
    table = table.assign(path=table["clip"] + ".wav", channel="", label=[f"class{k % CLASSES}" for k in session])
    table = table.assign(session=[f"s{k}" for k in session], node=[f"{k % 4}" for k in number], moment=table["clip"])
    table = table.assign(split="held out")[points.COLUMNS]
    places, near, predicted = [], [], []
    for run in shown:
        for view, share in (("pca", 0.3), ("umap", np.nan)):
            x, y = (rng.uniform(-1, 1, count).round(5) for _ in "xy")
            places.append(pd.DataFrame({"run": run, "view": view, "point": number, "x": x, "y": y,
                "x_share": share, "y_share": share}))  # fmt: skip
        nearest = (number[:, None] + np.arange(1, NEIGHBOURS + 1)) % count
        ranks = pd.DataFrame({"point": number.repeat(NEIGHBOURS), "rank": np.tile(range(1, NEIGHBOURS + 1), count)})
        near.append(ranks.assign(run=run, neighbour=nearest.ravel(), distance=0.1))
        predicted.append(pd.DataFrame({"run": run, "point": number, "predicted": table["label"]}))
    noise = rng.integers(0, 256, (count, thumbnails.HEIGHT // 8, thumbnails.WIDTH // 8), np.uint8)
    sheet = thumbnails.sheet(noise.repeat(8, axis=1).repeat(8, axis=2))
    tile = base64.b64encode(rng.bytes(6_000)).decode()
    heard = pd.DataFrame({"point": number[: sound.MOST_CHARACTERS // len(tile)], "mp3": tile})
    made = {
        "points": table,
        "coordinates": pd.concat(places)[projections.COORDINATE_COLUMNS],
        "neighbours": pd.concat(near)[projections.NEIGHBOUR_COLUMNS],
        "predictions": pd.concat(predicted)[predictions.COLUMNS],
        "sound": heard,
        "audit": pd.DataFrame([["far", "clip1", "class0", "s0", "1", 0.0, "", np.nan, 5, 8, 0.1]], columns=AUDIT),
    }
    files: dict[str, Path] = {"runs": study.tables["runs"]}
    for name, values in made.items():
        files[name] = folder / f"{name}.tsv"
        write_table(values, files[name])
    files["pictures"], files["attribution"] = folder / "pictures.webp", folder / "attribution.txt"
    files["pictures"].write_bytes(thumbnails.encode(sheet))
    files["attribution"].write_text("", encoding="utf-8")
    parts = ROOT / "workflow/report/viewer"
    files |= {"template": parts / "viewer.html.j2", "around": parts / "around.html.j2"}
    files |= {"style": parts / "style.css", "script": parts / "viewer.js"}
    about = {"study": "made up", "synthetic": True, "title": "Noise", "licence": "none", "redistributable": True}
    write_viewer(files, about | {"tile_s": 2.0, "neighbours": NEIGHBOURS}, folder / "viewer.html", folder / "own.html")
    return folder / "viewer.html"


def make_page(study: FakeStudy, folder: Path, viewer: Path, figures: dict[str, Path]) -> Path:
    """The report of the study."""
    config = check(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
    report = ROOT / "workflow/report"
    write_report(
        folder / "report" / "index.html",
        template=report / "index.html.j2",
        study="made up",
        config=config,
        synthetic=True,
        tables=study.tables,
        figures=figures,
        captions={name: report / f"{name}.rst" for name in figures},
        viewer=viewer,
        exported=[],
        sources=[study.tables["scores"]],
        benchmarks={},
        receipts=folder / "receipts",
        checkout=ROOT,
        command="make run",
    )
    return folder / "report" / "index.html"


def opened(page: Path) -> dict[str, float]:
    """Median times in Chromium, in seconds from the start of loading: first paint, page parsed, maps drawn.

    Beside them the time of the processor that the page's own thread took until then, which other users do not stretch.
    """
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {"first_paint_s": [], "interactive_s": [], "maps_s": [], "thread_cpu_s": []}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        for _ in range(TRIALS):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tools = tab.context.new_cdp_session(tab)
            tools.send("Performance.enable", {"timeDomain": "threadTicks"})
            tab.goto(page.resolve().as_uri(), wait_until="commit")
            tab.wait_for_selector("#viewer[data-ready]", state="attached", timeout=120_000)
            found["maps_s"].append(tab.evaluate("performance.now()") / 1000)
            metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
            found["thread_cpu_s"].append(metrics["TaskDuration"])
            navigation = "performance.getEntriesByType('navigation')[0]"
            found["interactive_s"].append(tab.evaluate(f"{navigation}.domInteractive") / 1000)
            found["first_paint_s"].append(tab.evaluate("performance.getEntriesByType('paint')[0].startTime") / 1000)
            tab.close()
        browser.close()
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Measure, and print a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5000, help="on each map (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--keep", type=Path, help="copy the page to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = FakeStudy(folder / "study", tuple({"l2": value} for value in VALUES), SEEDS)
        svgs: dict[str, Path] = {}
        seconds: dict[str, tuple[float, float]] = {}
        for name, draw in drawings(study, folder).items():
            svgs[name] = folder / f"{name}.svg"
            seconds[name] = timed(lambda draw=draw, path=svgs[name]: draw(path, path.with_suffix(".png")))
        viewer = make_viewer(study, folder, options.points)
        page_s = timed(lambda: make_page(study, folder, viewer, svgs))
        page = folder / "report" / "index.html"
        numbers = {
            "cores": os.cpu_count(),
            "machine": platform.processor() or platform.machine(),
            "runs": len(VALUES) * len(SEEDS),
            "points": options.points,
            "figures_s": sum(wall for wall, _ in seconds.values()),
            "figures_cpu_s": sum(cpu for _, cpu in seconds.values()),
            "page_s": page_s[0],
            "page_cpu_s": page_s[1],
            "megabytes": page.stat().st_size / 1e6,
            **(opened(page) if shutil.which("chromium") else {}),
        }
        if options.keep:
            shutil.copy(page, options.keep)
    for name, value in numbers.items():
        print(f"{name:16} {value:.2f}" if isinstance(value, float) else f"{name:16} {value}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
