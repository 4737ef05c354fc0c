"""Results that are dated in the future: by a clock that was wrong then, or by one that is wrong now.

When a job has ended, Snakemake compares the dates of its outputs with those of its inputs, and deletes outputs that
look older: a night's training, because a clock was set. So such dates are told before any job.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

TOLERANCE_S = 1.0
SHOWN = 3
# No job takes a date from these: its inputs are elsewhere, and the listing beside a folder stands for what is in it.
NO_INPUTS = ("logs", "benchmarks", "receipts", "checkpoints")
MARK = ".snakemake_timestamp"  # Snakemake dates a folder that a job makes by this file


def ahead(results: Path, now: float) -> list[tuple[Path, float]]:
    """The files that jobs may read and that are dated after `now`, each with the seconds between, the furthest first.

    Args:
        results: the folder of results.
        now: what the clock of its file system says, in seconds since 1970.
    """
    found = [(path, path.stat().st_mtime - now) for path in _inputs(results)]
    return sorted((pair for pair in found if pair[1] > TOLERANCE_S), key=lambda pair: (-pair[1], pair[0]))


def _inputs(results: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(results):
        place = Path(folder)
        if place == results:
            folders[:] = [name for name in folders if name not in NO_INPUTS]
            continue
        if MARK in names:
            folders[:], names = [], [MARK]
        elif place.name == "download":
            folders[:] = [name for name in folders if name != "audio"]
        yield from (place / name for name in names if name == MARK or not name.startswith("."))


def told(found: Sequence[tuple[Path, float]]) -> str:
    """Names them, and the remedy; empty where there are none."""
    if not found:
        return ""
    names = "".join(f"\n  {path}, by {seconds:,.0f} s" for path, seconds in found[:SHOWN])
    more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return (
        f"Dated in the future, seen from now ({time.strftime('%Y-%m-%d %H:%M:%S')}):{names}{more}\n"
        "Snakemake would delete what is made of them, as older than its inputs. If this machine's clock is wrong, set "
        "it right; if it is right, `make recover` gives them today's date, which redoes nothing."
    )


def redate(found: Sequence[tuple[Path, float]]) -> None:
    """Give files the date of now."""
    for path, _ in found:
        os.utime(path)
