"""A checkout of the workflow in a folder of its own, as a user has it, and what Snakemake says it would do there."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.dry_runs import server

PARTS = ("Snakefile", "config.yaml", "workflow", "profiles", "envs")
# Smaller than the default study in every way; the same stages. In the checkout, so that both can move together.
TINY = """\
study: tiny
dataset:
  name: tiny
  demo: {classes: [cooking, watching_tv], sessions_per_class: 3, nodes: 2, channels: 2, clip_s: 1.0,
    shortest_session: 2, longest_session: 3, folds: 3}
features: {n_mels: 16, n_shards: 2}
triplets: {tile_s: 0.4, neighbourhood_s: 0.4}
network: {width: 2, embedding_dim: 4}
training: {epochs: 2, batch_size: 16}
sweep:
  axes: {l2: [1.0, 0.01]}
  seeds: [1]
probes:
  by_epoch: {epochs: 3}
statistics: {resamples: 100}
"""


def _hear_signals() -> None:
    """Undo what a shell does to commands behind `&` and `nohup`."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Checkout:
    """A copy of the workflow's files.

    Args:
        source: root of the checkout that is tested.
        folder: where the copy is made.
    """

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for part in PARTS:
            place = source / part
            if place.is_dir():
                # With what is compiled, but for what another process is just writing.
                shutil.copytree(place, folder / part, ignore=shutil.ignore_patterns("*.pyc.*", ".sources*"))
            else:
                shutil.copy(place, folder / part)
        (folder / "tiny.yaml").write_text(TINY)

    def copy_to(self, folder: Path) -> "Checkout":
        """The same checkout with its results and Snakemake's memory in another folder, to do there what one likes."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout.at(folder)

    @classmethod
    def at(cls, folder: Path) -> "Checkout":
        checkout = object.__new__(cls)
        checkout.folder = folder
        return checkout

    def snakemake(self, *words: str, config: str = "tiny.yaml", timeout: int = 600) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the checkout with a config laid over the default one; both outputs in `stdout`."""
        return subprocess.run(**self._command(*words, config=config), text=True, timeout=timeout, check=False)

    def dry_run(self, *words: str, config: str = "tiny.yaml") -> subprocess.CompletedProcess[str]:
        """A dry run; see `dry_runs`. In an environment that a test has changed, it is a process of its own."""
        words = ("--dry-run", *words)
        if not server().fits():
            return self.snakemake(*words, config=config)
        return server().run(self.folder, [*words, *(["--configfile", config] if config else [])])

    def start(self, *words: str, config: str = "tiny.yaml") -> subprocess.Popen[str]:
        """The same, started in a group of processes of its own and not waited for; signals are not ignored there."""
        return subprocess.Popen(
            **self._command(*words, config=config), text=True, start_new_session=True, preexec_fn=_hear_signals
        )

    def _command(self, *words: str, config: str) -> dict[str, Any]:
        return {
            "args": [sys.executable, "-m", "snakemake", *words, *(["--configfile", config] if config else [])],
            "cwd": self.folder,
            "env": {name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }

    def lambdascape(self, *words: str, environment: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
        """Run a command of the checkout's own library, such as `recover`."""
        return subprocess.run(
            [sys.executable, "-m", "lambdascape", *words],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": "workflow/lib"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def planned(self, *words: str, config: str = "tiny.yaml") -> dict[str, int]:
        """The jobs of a dry run: name of the rule to number of its jobs; targets are left out."""
        run = self.dry_run(*words, config=config)
        assert run.returncode == 0, run.stdout
        assert "Exception" not in run.stdout, run.stdout
        table = re.search(r"^job +count\n-+ +-+\n((?:.+\n)+?)total", run.stdout, re.MULTILINE)
        if not table:
            assert "Nothing to be done" in run.stdout, run.stdout
            return {}
        return {name: int(count) for name, count in map(str.split, table[1].splitlines()) if name != "all"}

    @contextmanager
    def edited(self, file: str, old: str, new: str) -> Iterator[None]:
        """Replace a text in a file for as long as the block lasts."""
        path = self.folder / file
        before = path.read_text()
        assert old in before, f"{file} has no {old!r}"
        path.write_text(before.replace(old, new))
        try:
            yield
        finally:
            path.write_text(before)
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):  # may be of the same second and size
                compiled.unlink()

    @contextmanager
    def left_as_found(self) -> Iterator[None]:
        """Remove the files that the block adds."""
        before = set(self.folder.rglob("*"))
        try:
            yield
        finally:
            for path in set(self.folder.rglob("*")) - before:
                if path.is_file() and ".snakemake" not in path.parts:
                    path.unlink()

    @contextmanager
    def touched(self, pattern: str) -> Iterator[None]:
        """Give files a later date, each a little later than the one before, for as long as the block lasts."""
        files = [
            path for path in sorted(self.folder.rglob(pattern)) if path.is_file() and ".snakemake" not in path.parts
        ]
        assert files
        before = {path: path.stat() for path in files}
        for number, path in enumerate(files):
            os.utime(path, (time.time() + 60 + number / 1000,) * 2)
        try:
            yield
        finally:
            for path, stat in before.items():
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def without_times(table: Path) -> list[list[str]]:
    """The cells of a table, but those that say how long something took: a column, or the rows of a measure."""
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    kept = [column for column, name in enumerate(rows[0]) if name != "seconds"]
    return [[row[column] for column in kept] for row in rows if "seconds" not in row[1:] or row is rows[0]]


def numbers_of_page(checkout: Checkout) -> list[str]:
    """The cells of the report's tables, in their order, but what the work took: a column, and the last table."""
    page = (checkout.folder / "results/tiny/report/index.html").read_text()
    told, cost, _ = page.partition('<h2 id="sources-title">')
    assert cost
    cells = re.findall(r"<td[^>]*>(.*?)</td>", told, re.DOTALL)
    return [cell for cell in cells if not re.fullmatch(r"([\d.]+ (h|min|s) ?)+", cell)]
