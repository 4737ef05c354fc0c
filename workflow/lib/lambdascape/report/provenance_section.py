"""Where the results come from: machine, versions, digests, the time that each stage took, and how to cite them."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lambdascape.config.settings import Config
from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest
from lambdascape.jobs.machine import processor
from lambdascape.jobs.provenance import git_state, settings_digest, versions
from lambdascape.jobs.receipts import FOLDER, read_receipt
from lambdascape.report.formatting import NOTHING, Table

BENCHMARKS = "benchmarks"
CITATION = "CITATION.cff"


def facts(config: Config, checkout: str | Path) -> list[tuple[str, str]]:
    """Code, settings and machine, name and value."""
    return [
        ("Code", git_state(checkout)),
        ("Config digest", settings_digest(config.plain())),
        ("Machine of the report", f"{processor()}, {os.cpu_count()} logical cores, {platform.system()}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    ]


def times(benchmarks: Mapping[str, str | Path]) -> Table:
    """Jobs, time, memory and device of each stage, summed from Snakemake's benchmark files.

    Args:
        benchmarks: stage to the folder that holds the files of its jobs, at any depth; it may be missing. The receipts
            of these jobs, which name the device, are at the same path under `receipts`.
    """
    rows, total = [], 0.0
    for stage, folder in benchmarks.items():
        files = sorted(Path(folder).rglob("*.tsv"))
        jobs = pd.concat([pd.read_csv(file, sep="\t") for file in files]) if files else pd.DataFrame()
        seconds, memory = (
            pd.to_numeric(jobs[name], errors="coerce") if name in jobs else pd.Series(dtype=float)
            for name in ("s", "max_rss")
        )
        total += float(seconds.sum())
        rows.append(
            [
                stage,
                ", ".join(_devices(files)) or NOTHING,
                str(len(files)),
                duration(float(seconds.sum())) if len(seconds) else NOTHING,
                f"{memory.max():,.0f} MB" if memory.notna().any() else NOTHING,
            ]
        )
    if total:
        rows.append(["all", "", str(sum(int(row[2]) for row in rows)), duration(total), ""])
    return Table(
        "Time and device of each stage",
        ["Stage", "Device", "Jobs", "Wall time, summed", "Largest job's memory"],
        rows,
        words=2,
        note="Jobs run in parallel, so the study took less than the sum. A stage that was not repeated "
        "keeps the time of its last run; of a training that was killed, the part after the last kill counts. "
        f"Device: the GPU that a network computed on, else the processor. {NOTHING}: no job of the "
        "stage has reported it; very short jobs report no memory.",
    )


def _devices(benchmarks: Sequence[Path]) -> list[str]:
    """What the jobs with these benchmark files computed on, according to their receipts."""
    found = []
    for path in benchmarks:
        parts = [FOLDER if part == BENCHMARKS else part for part in path.parts]
        try:
            found.append(read_receipt(Path(*parts).with_suffix(".json")).device)
        except InputError:  # temporary products have none
            continue
    return sorted({device for device in found if device})


def rejects(clips: pd.DataFrame, rejected: pd.DataFrame) -> str:
    """How many files were refused, by which rule, in a sentence.

    Args:
        clips: clips.tsv.
        rejected: rejected.tsv.
    """
    if rejected.empty:
        return f"none of {len(clips):,} clips"
    rules = rejected["rule"].value_counts(sort=False)
    counts = ", ".join(f"{rule} ({count:,})" for rule, count in rules.items())
    share = len(rejected) / (len(clips) + len(rejected))
    return f"{len(rejected):,} of {len(clips) + len(rejected):,} ({100 * share:.1f} %), by the rules: {counts}"


def citations(checkout: str | Path) -> list[str]:
    """How to cite the software, then what it rests on, from CITATION.cff; empty where that file is not there.

    Raises:
        InputError: the file cannot be read.
    """
    path = Path(checkout) / CITATION
    if not path.is_file():
        return []
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [_citation(work) for work in (read, *read.get("references", []))]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: must be in the Citation File Format, with authors and titles; {error!r}") from None


def _citation(work: Mapping[str, Any]) -> str:
    names = [
        author.get("name") or ", ".join(author[key] for key in ("family-names", "given-names") if key in author)
        for author in work["authors"]
    ]
    year = f" ({work['year']})" if "year" in work else ""
    place = (work.get("institution") or work.get("conference") or {}).get("name", "")
    rest = [
        f"{work['title']}, version {work['version']}" if "version" in work else str(work["title"]),
        str(work.get("collection-title", place)),
        f"doi:{work['doi']}" if "doi" in work else "",
    ]
    return f"{'; '.join(names)}{year}. {'. '.join(part for part in rest if part)}."


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
