"""What the viewer costs at its largest: 5,000 points on eight maps, from embeddings to a page that answers a click.

make bench-viewer
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.core.tsv import read_table, write_table
from lambdascape.embeddings.space_file import write_embeddings
from lambdascape.geometry.label_audit import audit_neighbours
from lambdascape.viewer import thumbnails
from lambdascape.viewer.points import TEXT, sample_points
from lambdascape.viewer.projections import map_points
from lambdascape.viewer.viewer_page import write_viewer

REPO = Path(__file__).resolve().parents[1]
L2 = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001)
CLASSES, SESSIONS, NODES = 9, 90, 4
SETTINGS = {"seed": 1, "neighbours": 5, "umap_neighbours": 15}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
READY = "#viewer[data-ready]"
# Seconds until what an act changes has been drawn: the next frame but one.
AFTER = """() => new Promise((done) => { %s
  requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - start) / 1000))); })"""
ACTS = {
    "a click": """document.querySelector('[data-step="1"]').click()""",
    "another colour": "const field = document.getElementById('viewer-colour'); field.value = 'session'; "
    "field.dispatchEvent(new Event('change'))",
    "another view": "document.querySelector('[value=umap]').click()",
}


def make_study(folder: Path, clips: int, dim: int) -> tuple[Path, list[Path], list[str]]:
    """Tables and embeddings of a made-up study: six λ and two references, `clips` clips of two tiles."""
    number = np.arange(2 * clips)
    clip = number // 2
    session = clip * SESSIONS // clips
    tiles = pd.DataFrame(
        {
            "clip": [f"DevNode{k % NODES + 1}_ex{k // NODES}" for k in clip],
            "moment": [f"m{k // NODES}" for k in clip],
            "session": [f"s{k}" for k in session],
            "node": [f"{k % NODES + 1}" for k in clip],
            "fold": [f"fold{k % 4 + 1}" for k in session],
            "label": [f"class {k % CLASSES}" for k in session],
            "start_s": 5.0 * (number % 2),
        }
    )
    replicate = {"replicate": "seed1_fold1", "seed": 1, "test_fold": "fold1"}
    runs = [
        {
            "run": f"l2~{value}_seed~1",
            "kind": "trained",
            "arm": f"l2~{value}",
            **replicate,
            "axis": "l2",
            "value": value,
        }
        | {"l2": value}
        for value in L2
    ]
    runs += [{"run": "untrained_seed~1", "kind": "untrained", "arm": "untrained", **replicate}]
    runs += [{"run": "mean_logmel", "kind": "mean_logmel", "arm": "mean_logmel"}]
    write_table(pd.DataFrame(runs), folder / "runs.tsv")
    names = tiles["clip"].unique()
    write_table(pd.DataFrame({"clip": names, "path": names, "channel": ""}), folder / "clips.tsv")
    shared = np.random.default_rng(0).normal(size=(CLASSES, dim))[session % CLASSES]
    files = []
    for place, run in enumerate(runs):
        noise = np.random.default_rng(place + 1).normal(size=(len(tiles), dim)) * (0.5 + 0.1 * place)
        files.append(folder / f"{run['run']}.h5")
        write_embeddings(files[-1], (shared + noise).astype(np.float32), tiles, {})
    return folder / "runs.tsv", files, [str(run["run"]) for run in runs]


def build(folder: Path, points: int, clips: int, dim: int) -> dict[str, float]:
    """Make the page; seconds of the processor for each job."""
    runs, files, names = make_study(folder, clips, dim)
    spent: dict[str, float] = {}

    def timed(job: str, work: Any, *values: Any) -> None:
        start = time.process_time()
        work(*values)
        spent[job] = time.process_time() - start

    audit, drawn = folder / "audit.tsv", folder / "points.tsv"
    timed("audit", audit_neighbours, runs, files, names, 5, 1, audit)
    timed("points", sample_points, runs, files, names, folder / "clips.tsv", audit, "fold1", points, 1, drawn)
    timed(
        "maps", map_points, runs, drawn, files, names, SETTINGS, folder / "coordinates.tsv", folder / "neighbours.tsv"
    )
    table = read_table(drawn, TEXT)
    asked = table.loc[table["split"] == "held out", ["point", "label"]].rename(columns={"label": "predicted"})
    shown = read_table(folder / "coordinates.tsv", ("run",))["run"].unique()
    write_table(pd.concat([asked.assign(run=run) for run in shown]), folder / "predictions.tsv")
    noise = np.random.default_rng(0).normal(100, 30, (len(table), thumbnails.HEIGHT, thumbnails.WIDTH)).clip(0, 255)
    (folder / "pictures.webp").write_bytes(thumbnails.encode(thumbnails.sheet(noise.astype(np.uint8))))
    heard = pd.DataFrame({"point": range(800), "mp3": ["A" * 6000] * 800})  # as much as sound takes at most
    write_table(heard, folder / "sound.tsv")
    (folder / "attribution.txt").write_text("", encoding="utf-8")
    parts = REPO / "workflow/report/viewer"
    given: dict[str, str | Path] = {
        "template": parts / "viewer.html.j2",
        "around": parts / "around.html.j2",
        "style": parts / "style.css",
        "script": parts / "viewer.js",
        "runs": runs,
        "pictures": folder / "pictures.webp",
        "attribution": folder / "attribution.txt",
    }
    given |= {
        name: folder / f"{name}.tsv"
        for name in ("points", "coordinates", "neighbours", "predictions", "audit", "sound")
    }
    about = {
        "study": "bench",
        "synthetic": True,
        "title": "-",
        "licence": "-",
        "redistributable": True,
        "tile_s": 5.0,
        "fmin": 50,
        "fmax": 8000,
        "points": points,
        "neighbours": 5,
    }
    timed("page", write_viewer, given, about, folder / "viewer.html", folder / "index.html")
    return spent


def look(page_file: Path, rounds: int) -> dict[str, float]:
    """Open the page in headless Chromium; medians in seconds of the wall clock."""
    from playwright.sync_api import sync_playwright

    seconds: dict[str, list[float]] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=ARGUMENTS)
        for _ in range(rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(page_file.resolve().as_uri(), wait_until="commit")
            page.wait_for_selector(READY, timeout=60_000)
            measured = {"usable": page.evaluate(AFTER % "const start = 0;")}
            for name, act in ACTS.items():
                measured[name] = page.evaluate(AFTER % f"const start = performance.now(); {act};")
            for name, value in measured.items():
                seconds.setdefault(name, []).append(value)
            page.close()
        browser.close()
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Build and look, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        spent = build(folder, given.points, given.clips, given.dim)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = (folder / "index.html").stat().st_size / 1e6
        waited = look(folder / "index.html", given.rounds) if shutil.which("chromium") else {}
    print(f"{given.points} points on each of {len(L2) + 2} maps; {platform.machine()}, {os.cpu_count()} cores")
    for job, seconds in spent.items():
        print(f"  {job:<16}{seconds:7.1f} s of the processor")
    print(f"  memory          {memory:7.0f} MB at most\n  page            {size:7.1f} MB")
    for what, seconds in waited.items():
        print(f"  {what:<16}{seconds:7.2f} s by the clock, in headless Chromium without a graphics card")
    if not waited:
        print("  not opened: Chromium is not there")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"spent": spent, "memory_mb": memory, "page_mb": size, "waited": waited}))


if __name__ == "__main__":
    main()
