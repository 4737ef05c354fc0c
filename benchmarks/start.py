"""What a start costs: reading the workflow, a dry run of a finished study of 30 runs, and each job beside its work.

make bench-start

The finished study is made of placeholders: a file under the name of every product, and Snakemake told that it made them
(`--touch`). A dry run looks at names, dates and what Snakemake remembers, not into the files, so that it does the same
work as over real ones, small ones: of the real tables, Snakemake would compare by content those that have a new date.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "config.yaml", "workflow", "profiles", "envs")
LIBRARY = "workflow/lib"
STUDY = """\
study: thirty
sweep:
  axes: {l2: [1.0, 0.3, 0.1, 0.03, 0.01, 0.0]}
  seeds: [1, 2, 3, 4, 5]
"""
CLIPS = 72_984  # of DCASE 2018 Task 5
FOLDER = """\
study: large
dataset: {name: large, adapter: folder, path: data/audio, title: Large, licence: none}
"""
EMPTY = "rule all:\n    input: []\n"
# A job that only makes its file: as anyone would write it, and with what each job of this workflow does around it.
JOBS = """\
import sys

sys.path.insert(0, {library!r})
from lambdascape.jobs.fingerprint import task

rule all:
    input: expand("results/{{kind}}/{{number}}.txt", kind=config["kind"], number=range(config["jobs"]))

rule plain:
    output: made="results/plain/{{number}}.txt"
    script: "plain.py"

rule ours:
    output: made="results/ours/{{number}}.txt"
    log: "results/logs/ours/{{number}}.log"
    benchmark: "results/benchmarks/ours/{{number}}.tsv"
    params: task=task("tables.collect.write_runs")
    script: "ours.py"
"""
PLAIN = 'with open(snakemake.output.made, "w") as file:\n    file.write("made")\n'
OURS = """\
from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_text

    write_text("made", snakemake.output.made)
"""


class Cost(NamedTuple):
    """What a command took: seconds as a user waits for it, and seconds of the processor, which know less of others."""

    waited: float
    computed: float


def cost(words: list[str], folder: Path, repeats: int) -> Cost:
    """Medians over a command of Snakemake, each time in a process of its own."""
    return Cost(*map(statistics.median, zip(*(_once(words, folder) for _ in range(repeats)), strict=True)))


def _once(words: list[str], folder: Path) -> Cost:
    started, before = time.perf_counter(), _computed()
    done = _snakemake(words, folder)
    if done.returncode:
        sys.exit(done.stdout)
    return Cost(time.perf_counter() - started, _computed() - before)


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _snakemake(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPO / LIBRARY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def lay_out(folder: Path) -> None:
    """A checkout with two studies: one of 30 runs, one over as many audio files as DCASE 2018 Task 5 has."""
    for part in PARTS:
        copy = shutil.copytree if (REPO / part).is_dir() else shutil.copy
        copy(REPO / part, folder / part)
    (folder / "thirty.yaml").write_text(STUDY)
    (folder / "large.yaml").write_text(FOLDER)
    (folder / "data/audio").mkdir(parents=True)
    for number in range(CLIPS):
        (folder / f"data/audio/{number}.wav").touch()


def pretend_finished(folder: Path, study: str) -> None:
    """A file under the name of every product of a study, and Snakemake told that it made them."""
    summary = _snakemake(["--summary", "--configfile", study], folder).stdout
    rows = [line.split("\t") for line in summary.splitlines()]
    for path in (folder / row[0] for row in rows if row[0].startswith("results/")):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "audio":
            path.mkdir()
        else:
            path.write_text("placeholder\n")
    _once(["--touch", "--cores", "1", "--configfile", study], folder)
    dry = _snakemake(["--dry-run", "--configfile", study], folder).stdout
    if "Nothing to be done" not in dry:
        sys.exit(f"the study of placeholders must be finished; {dry}")


def measure_starts(folder: Path, repeats: int) -> dict[str, Cost]:
    """Seconds of Snakemake with nothing to read, of reading this workflow, and of dry runs."""
    lay_out(folder)
    pretend_finished(folder, "thirty.yaml")
    (folder / "empty.smk").write_text(EMPTY)
    return {
        "snakemake alone": cost(["--dry-run", "--snakefile", "empty.smk"], folder, repeats),
        "read": cost(["--list-rules", "--configfile", "thirty.yaml"], folder, repeats),
        f"read, {CLIPS:,} clips": cost(["--list-rules", "--configfile", "large.yaml"], folder, repeats),
        "dry run of 30 finished runs": cost(["--dry-run", "--configfile", "thirty.yaml"], folder, repeats),
        f"dry run, {CLIPS:,} clips": cost(["--dry-run", "--configfile", "large.yaml"], folder, repeats),
    }


def measure_jobs(folder: Path, repeats: int, jobs: int) -> dict[str, Cost]:
    """Seconds that one local job more takes, where it does next to nothing: a script of anyone, and one of ours."""
    (folder / "Snakefile").write_text(JOBS.format(library=str(REPO / LIBRARY)))
    (folder / "plain.py").write_text(PLAIN)
    (folder / "ours.py").write_text(OURS)
    found: dict[str, Cost] = {}
    for kind in ("plain", "ours"):
        words = [["--cores", "1", "--forceall", "--config", f"kind={kind}", f"jobs={count}"] for count in (1, 1 + jobs)]
        few, many = (cost(line, folder, repeats) for line in words)
        found[f"job, {kind}"] = Cost(*((more - less) / jobs for more, less in zip(many, few, strict=True)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="of each command; the median counts (default 5)")
    parser.add_argument("--jobs", type=int, default=10, help="local jobs over which their cost is taken (default 10)")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts, jobs = Path(folder, "starts"), Path(folder, "jobs")
        starts.mkdir()
        jobs.mkdir()
        found = measure_starts(starts, options.repeats) | measure_jobs(jobs, options.repeats, options.jobs)
    for name, value in found.items():
        print(f"{name:<30} {value.waited:6.2f} s, of the processor {value.computed:6.2f} s")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        machine = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "processor": platform.processor()}
        costs = {name: value._asdict() for name, value in found.items()}
        options.json.write_text(json.dumps(machine | costs, indent=1) + "\n")


if __name__ == "__main__":
    main()
