"""The jobs that Snakemake would start for a study, by Snakemake's own API.

Run as a program, for Snakemake changes the process in which it reads a workflow:

    python -m lambdascape.operations.plan.planned_jobs jobs.json --profile profiles/slurm --configfile study.yaml
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lambdascape.core.errors import InputError


@dataclass(frozen=True)
class Job:
    """One job of a plan.

    Attributes:
        rule: its rule.
        local: it runs beside Snakemake and not in the queue, where there is one.
        wildcards: name to value.
        benchmark: where its time will be noted; empty for a target, which does nothing.
        cores: CPU cores that it holds.
        gpus: GPUs that it asks for.
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


def planned_jobs(words: Sequence[str]) -> list[Job]:
    """The jobs that a command of Snakemake would start; targets, which do nothing, are left out.

    Args:
        words: its command line, without the program and without `--dry-run`.

    Returns:
        The jobs by their rules; none where all is made already.

    Raises:
        InputError: Snakemake cannot plan, with what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "jobs.json")
        library = str(Path(__file__).parents[3])
        run = subprocess.run(
            [sys.executable, "-m", __name__, str(output), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": library},
            text=True,
            check=False,
        )
        if run.returncode or not output.is_file():
            raise InputError(f"a plan needs a study that Snakemake can plan; it ended with\n{run.stdout.strip()}")
        return [Job(**job) for job in json.loads(output.read_text(encoding="utf-8"))]


def _listed(words: Sequence[str]) -> list[Job] | None:
    """The jobs, read in this process; None where Snakemake has printed an error."""
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_args
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    _, given = parse_args([*words, "--dry-run"])
    executor = given.executor or "local"
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL}, stdout=True)) as api:
        try:
            resources = ResourceSettings(
                cores=given.cores,
                nodes=given.jobs,
                resources=given.resources,
                overwrite_threads=given.set_threads,
                overwrite_resources=given.set_resources,
                default_resources=given.default_resources,
            )
            workflow = api.workflow(resources, ConfigSettings(configfiles=given.configfile), snakefile=given.snakefile)
            dag_settings = DAGSettings(
                forceall=given.forceall,
                force_incomplete=given.rerun_incomplete,
                rerun_triggers=given.rerun_triggers,
                max_checksum_file_size=given.max_checksum_file_size,
            )
            settings = ExecutorPluginRegistry().get_plugin(executor).get_settings(given)
            workflow.dag(dag_settings).execute_workflow(executor, pseudo_executor="dryrun", executor_settings=settings)
        except Exception as error:
            api.print_exception(error)
            return None
        read = workflow._workflow  # the API has no other way to the jobs, and to the rules with `localrule`
        jobs = (job for job in read.dag.needrun_jobs(exclude_finished=False) if job.benchmark)
        found = [_job(job, local=job.rule.name in read._localrules) for job in jobs]
        return sorted(found, key=lambda job: (job.rule, job.benchmark))


def _job(job: Any, local: bool) -> Job:
    resources = dict(job.resources.items())
    return Job(
        job.rule.name,
        local,
        {name: str(value) for name, value in job.wildcards_dict.items()},
        str(job.benchmark),
        int(number(resources.get("cpus_per_task")) or job.threads),
        int(number(resources.get("gpu")) or 0),
        number(resources.get("mem_mb")),
        number(resources.get("runtime")),
        str(resources.get("slurm_partition") or ""),
    )


def number(value: object) -> float | None:
    """A number as Snakemake or its benchmark files hold it; None for what is none, such as `-` or `<TBD>`."""
    try:
        return float(str(value))
    except ValueError:
        return None


def main(words: Sequence[str]) -> int:
    """Write the jobs of a command line as JSON; the exit code."""
    output, *command = words
    found = _listed(command)
    if found is None:
        return 1
    Path(output).write_text(json.dumps([asdict(job) for job in found]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
