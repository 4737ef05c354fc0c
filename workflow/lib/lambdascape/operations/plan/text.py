"""A plan as people read it: one line per rule, then the sums, each with where it comes from."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from lambdascape.core.disk import shown_bytes
from lambdascape.operations.plan.audio_volume import Extent
from lambdascape.operations.plan.disk_usage import DiskUsage
from lambdascape.operations.plan.history import TRAINING, Estimate
from lambdascape.operations.plan.planned_jobs import Job

LOCAL = "beside Snakemake"
UNKNOWN = "?"
MOST_NAMED = 3  # rules of one kind
HEADER = ("rule", "jobs", "where", "cores", "memory", "limit", "all at the limit", "estimate", "all estimated")
NOTE = """\
Limit: what the first try may take; a profile that grows it gives later tries more. All at the limit: the upper limit,
every job as long as it may be, none tried twice. Estimate: from jobs that were measured before, see below."""


def bill(
    title: str, jobs: list[Job], estimates: Mapping[str, Estimate], extent: Extent | None, rooms: Iterable[DiskUsage]
) -> Iterator[str]:
    """Lines of a plan.

    Args:
        title: what is planned.
        jobs: of the plan, see `planned_jobs`.
        estimates: by rule, see `history.History`.
        extent: how much audio there is; None where that is not known yet.
        rooms: what will lie on disk.
    """
    yield title
    yield ""
    if not jobs:
        yield "No job is left: everything is made."
        return
    groups = [list(group) for _, group in groupby(sorted(jobs, key=_order), key=_order)]
    yield from _grid([HEADER, *(_line(group, estimates.get(group[0].rule)) for group in groups)])
    yield NOTE
    yield ""
    yield from _grid([("in all", "", ""), *_sums(jobs, estimates)])
    yield ""
    yield from _grid([("on disk", "", ""), *_disk(list(rooms))])
    if extent:
        yield (
            f"audio: {extent.clips:,} clips, {_hours(extent.seconds)}, {extent.tiles:,} tiles, {extent.triplets:,} "
            f"triplets an epoch, from {extent.source}"
        )
    else:
        yield "audio: not known yet; `make run TARGET=datasets STUDY=…` lists the clips, and the plan then knows them"
    if estimates:
        yield ""
        yield from _grid([("estimated", "from", "how"), *_sources(estimates)])
    else:
        yield "time: no job like these was measured in this folder; a short run of the same network gives estimates"


def _order(job: Job) -> tuple[bool, bool, str]:
    """Those on cards first, those beside Snakemake last."""
    return job.local, not job.gpus, job.rule


def _line(jobs: list[Job], estimate: Estimate | None) -> tuple[str, ...]:
    first = jobs[0]
    share = estimate and estimate.seconds / len(jobs)
    return (
        first.rule,
        str(len(jobs)),
        _where(first),
        str(max(job.cores for job in jobs)),
        _memory(max((job.mem_mb for job in jobs if job.mem_mb), default=None)),
        _minutes(max((job.runtime for job in jobs if job.runtime), default=None)),
        _minutes(_limit(jobs)),
        UNKNOWN if share is None else _hours(share),
        UNKNOWN if estimate is None else _hours(estimate.seconds),
    )


def _where(job: Job) -> str:
    if job.local:
        return LOCAL
    place = f"partition {job.partition}" if job.partition else "any node"
    return f"{place}, {job.gpus} GPU{'s' if job.gpus > 1 else ''}" if job.gpus else place


def _limit(jobs: Iterable[Job]) -> float | None:
    """Minutes of all jobs together at their limits; None where one has none."""
    limits = [job.runtime for job in jobs]
    return None if None in limits else sum(limit for limit in limits if limit is not None)


def _sums(jobs: list[Job], estimates: Mapping[str, Estimate]) -> Iterator[tuple[str, str, str]]:
    queued = [job for job in jobs if not job.local]
    yield "jobs", f"{len(jobs):,}", f"{len(queued):,} in the queue, {len(jobs) - len(queued):,} {LOCAL}"
    for name, kept in (("GPU-hours", [job for job in queued if job.gpus]), ("CPU-hours", queued)):
        weigh = "gpus" if name == "GPU-hours" else "cores"
        yield name, *_hours_of(kept, weigh, estimates)
    asked = [(job.mem_mb, job.rule) for job in jobs if job.mem_mb]
    if asked:
        most, rule = max(asked)
        yield "memory", _memory(most), f"what the largest job asks for ({rule}){_taken(estimates)}"


def _taken(estimates: Mapping[str, Estimate]) -> str:
    """The most memory that any of the measured jobs took."""
    taken = [(estimate.memory, rule) for rule, estimate in estimates.items() if estimate.memory is not None]
    return f"; measured so far at most {_memory(max(taken)[0])} ({max(taken)[1]})" if taken else ""


def _hours_of(jobs: list[Job], weigh: str, estimates: Mapping[str, Estimate]) -> tuple[str, str]:
    """The upper limit, and what is estimated, of so many cards or cores times hours."""
    bounded = [job for job in jobs if job.runtime is not None]
    limit = sum(getattr(job, weigh) * job.runtime for job in bounded if job.runtime) / 60
    words = f"upper limit of {len(bounded):,} jobs"
    if len(bounded) < len(jobs):
        words += f"; {len(jobs) - len(bounded):,} have no limit"
    counts: dict[str, list[Job]] = {}
    for job in jobs:
        counts.setdefault(job.rule, []).append(job)
    known = {rule: those for rule, those in counts.items() if rule in estimates}
    if known:
        hours = sum(
            estimates[rule].seconds / 3600 * sum(getattr(job, weigh) for job in those) / len(those)
            for rule, those in known.items()
        )
        rest = sum(len(those) for rule, those in counts.items() if rule not in estimates)
        words += f"; estimated {hours:,.{1 if hours > 10 else 2}f}" + (
            f", {rest:,} jobs left out of which nothing is known" if rest else ""
        )
    return f"{limit:,.1f}", words


def _disk(rooms: list[DiskUsage]) -> Iterator[tuple[str, str, str]]:
    for room in rooms:
        yield room.what, UNKNOWN if room.bytes is None else shown_bytes(room.bytes), room.how
    total = sum(room.bytes or 0 for room in rooms)
    unknown = any(room.bytes is None for room in rooms)
    yield "all", f"{'more than ' if unknown else 'about '}{shown_bytes(total)}", "tables, figures and logs are small"


def _sources(estimates: Mapping[str, Estimate]) -> Iterator[tuple[str, str, str]]:
    """What the estimates rest on, rules of one kind in one line."""
    kinds: dict[str, list[str]] = {}
    for rule, estimate in sorted(estimates.items(), key=_networks_first):
        kinds.setdefault(estimate.words, []).append(rule)
    for words, rules in kinds.items():
        measured = sum(estimates[rule].measured for rule in rules)
        name = rules[0] if len(rules) == 1 else f"{len(rules)} rules" if len(rules) > MOST_NAMED else ", ".join(rules)
        yield name, f"{measured} measured job{'s' if measured > 1 else ''}", words


def _networks_first(pair: tuple[str, Estimate]) -> tuple[bool, str]:
    return pair[0] != TRAINING, pair[0]


def _memory(megabytes: float | None) -> str:
    return UNKNOWN if megabytes is None else f"{megabytes / 1000:.1f} GB"


def _minutes(minutes: float | None) -> str:
    return UNKNOWN if minutes is None else _hours(60 * minutes)


def _hours(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


def _grid(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
