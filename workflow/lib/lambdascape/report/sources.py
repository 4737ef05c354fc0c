"""Where the results come from: machine, versions, digests and the time that each stage took."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lambdascape.files import file_digest
from lambdascape.provenance import git_state, settings_digest, versions
from lambdascape.report.tables import Table


def facts(config: dict[str, Any], checkout: str | Path) -> list[tuple[str, str]]:
    """Code, settings and machine, name and value."""
    return [
        ("Code", git_state(checkout)),
        ("Config digest", settings_digest(config)),
        ("Machine of the report", f"{processor()}, {os.cpu_count()} logical cores, {platform.system()}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    ]


def processor() -> str:
    """Name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def times(benchmarks: Mapping[str, str | Path]) -> Table:
    """Jobs, time and memory of each stage, summed from Snakemake's benchmark files.

    Args:
        benchmarks: stage to the folder that holds the files of its jobs, at any depth; it may be missing.
    """
    rows = []
    for stage, folder in benchmarks.items():
        files = sorted(Path(folder).rglob("*.tsv"))
        jobs = pd.concat([pd.read_csv(file, sep="\t") for file in files]) if files else pd.DataFrame()
        seconds = pd.to_numeric(jobs["s"], errors="coerce") if "s" in jobs else pd.Series(dtype=float)
        memory = pd.to_numeric(jobs["max_rss"], errors="coerce") if "max_rss" in jobs else pd.Series(dtype=float)
        rows.append(
            [
                stage,
                str(len(files)),
                duration(float(seconds.sum())) if len(seconds) else "–",
                f"{memory.max():,.0f} MB" if memory.notna().any() else "–",
            ]
        )
    return Table(
        "Time of each stage",
        ["Stage", "Jobs", "Wall time, summed", "Largest job's memory"],
        rows,
        note="Jobs run beside each other, so the study took less than the sum. A stage that was not repeated "
        "keeps the time of its last run.",
    )


def duration(seconds: float) -> str:
    """Seconds in hours, minutes and seconds."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02.0f} s" if minutes else f"{rest:.1f} s"


def digests(paths: Sequence[str | Path]) -> Table:
    """SHA-256 of files; of `<file>.sha256`, the digest of that file that was noted when it was made."""
    rows = []
    for path in map(Path, paths):
        noted = path.suffix == ".sha256"
        digest = path.read_text(encoding="utf-8").split()[0] if noted else file_digest(path)
        rows.append([str(path.with_suffix("") if noted else path), digest])
    return Table("SHA-256 of the files that this report rests on", ["File", "SHA-256"], rows, words=2)
