"""The jobs that Snakemake would start, read from what its dry run prints."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from lambdascape.core.errors import InputError

HEAD = re.compile(r"^(?:local)?(?:rule|checkpoint) (?P<rule>\w+):$")
# In a rule file: a rule, what it inherits from, and what stands below it.
RULE = re.compile(
    r"^(?:use rule (?P<base>\w+) as (?P<heir>\w+) with|rule (?P<rule>\w+)):\n(?P<body>(?:(?: .*)?\n)*)", re.M
)
FIELD = re.compile(r"^    (?P<name>\w+): (?P<value>.*)$")
TOTAL = re.compile(r"^total +(?P<count>\d+)$", re.MULTILINE)
NOTHING = "Nothing to be done"


@dataclass(frozen=True)
class Job:
    """One job of a plan.

    Attributes:
        rule: its rule.
        local: it runs beside Snakemake and not in the queue, where there is one.
        wildcards: name to value.
        benchmark: where its time will be noted; empty for a target, which does nothing.
        cores: CPU cores that it holds.
        gpus: cards that it asks for.
        mem_mb: megabytes that it asks for at its first try; None where nobody says.
        runtime: minutes that its first try may take; None where nobody says.
        partition: of the cluster; empty where the profile names none.
    """

    rule: str
    local: bool
    wildcards: dict[str, str]
    benchmark: str
    cores: int
    gpus: int
    mem_mb: float | None
    runtime: float | None
    partition: str


def local_rules(texts: Iterable[str]) -> frozenset[str]:
    """The rules with `localrule: True`: a dry run does not say where a job would run.

    Args:
        texts: the rule files, those that are inherited from first.
    """
    found: set[str] = set()
    for rule in (match for text in texts for match in RULE.finditer(text)):
        if re.search(r"^    localrule: True\b", rule["body"], re.M) or rule["base"] in found:
            found.add(rule["heir"] or rule["rule"])
    return frozenset(found)


def read_dry_run(text: str, local: Container[str] = ()) -> list[Job]:
    """Read the jobs out of what `snakemake --dry-run` printed; targets, which do nothing, are left out.

    Args:
        text: what it printed, on both outputs or on the first.
        local: names of the rules that run beside Snakemake.

    Returns:
        The jobs in its order; none where all is made already.

    Raises:
        InputError: it is no dry run that ended well, or not all jobs that it counts could be read.
    """
    found = list(_blocks(text.splitlines(), local))
    totals = TOTAL.findall(text)
    if not totals:
        if NOTHING in text:
            return []
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "nothing")
        raise InputError(f"a plan needs the job list of `snakemake --dry-run`; its last line is: {last}")
    if len(found) != int(totals[0]):
        raise InputError(f"a plan needs every job of the dry run; it counts {totals[0]}, {len(found)} can be read")
    return [job for job in found if job.benchmark]


def _blocks(lines: Iterable[str], local: Container[str]) -> Iterable[Job]:
    """The blocks of the listing: a line that names the rule, then indented fields."""
    head, fields = None, dict[str, str]()
    for line in [*lines, ""]:
        field = FIELD.match(line) if head else None
        if field:
            fields[field["name"]] = field["value"]
            continue
        if head:
            yield _job(head["rule"], head["rule"] in local, fields)
        head, fields = HEAD.match(line), {}


def _job(rule: str, local: bool, fields: dict[str, str]) -> Job:
    resources = _pairs(fields.get("resources", ""))
    return Job(
        rule,
        local,
        _pairs(fields.get("wildcards", "")),
        fields.get("benchmark", ""),
        int(number(resources.get("cpus_per_task")) or number(fields.get("threads")) or 1),
        int(number(resources.get("gpu")) or 0),
        number(resources.get("mem_mb")),
        number(resources.get("runtime")),
        resources.get("slurm_partition", ""),
    )


def _pairs(text: str) -> dict[str, str]:
    """`a=1, b=2` as a mapping."""
    return {name: value for name, _, value in (part.partition("=") for part in text.split(", ")) if name}


def number(text: str | None) -> float | None:
    """A number as Snakemake writes it; None for what is none, such as `-`."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
