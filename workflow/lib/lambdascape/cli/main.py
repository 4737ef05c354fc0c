"""The command line: `python -m lambdascape verify`, `doctor`, `recover`, `plan`, `schema` and `embed`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lambdascape.core.errors import InputError

if TYPE_CHECKING:  # the doctor must come where packages are missing
    from lambdascape.operations.verify import Fault

VERIFY = """\
Check every product of the workflow: present, unchanged since it was made (SHA-256), well formed, and made from the
files and the code that are present now. Nothing is written. Exit code 0: no fault; 1: faults, in a table of path, fault
and remedy; 2: the command line is wrong."""
DOCTOR = """\
List what this machine has, what the workflow would use of it, and problems: Python and packages, cores, memory, GPUs,
what each backend sees, disk, clock, Snakemake and its jobs, half-written files. Nothing is changed. Exit code 0: no
problem that stops a run (`make dryrun` checks the study itself); 1: a problem, with the remedy; 2: the command line is
wrong."""
RECOVER = """\
After a crash, a kill or a reboot: end the jobs that a killed Snakemake left running, by the locks that they hold under
results/locks (your own jobs only: processes of this machine by signals, jobs of SLURM by scancel), remove Snakemake's
lock by `snakemake --unlock`, and remove half-written files. Results and checkpoints stay. A Snakemake that runs stays.
Exit code 0: the next run can begin; 1: it cannot, with the reason; 2: the command line is wrong."""

EMBED = """\
Embed audio files by a trained network that `make run TARGET=exports` has exported: log-mel by the recipe in its file,
cut into tiles as in its study, one row per tile. Other rates are resampled; of several channels, those are used that
the study used. Exit code 0: every file was embedded; 1: some could not be, each is named with the reason; 2: the
command itself cannot be used."""
EXAMPLES = """\
examples:
  lambdascape embed results/demo/exports/models/l2~0.01_seed~1 kitchen.wav
  lambdascape embed embedder.keras *.wav --output tiles.parquet
  lambdascape embed embedder.keras street.flac --hop 0.5 --output street.npy"""

PLAN = """\
Report what a study needs on a cluster, before a job is started: the number of jobs of each rule, where they run, cores,
memory and time limit; GPU-hours and CPU-hours at most; disk. The jobs are those that Snakemake itself plans: what is
made already is left out (`--all` includes it), and a profile counts (`--profile`). Where the folder of results holds
measured times of similar jobs, of this study or of a smaller one with the same network, tiles and features, it
estimates the time, and names the number of those jobs and the scaling. Nothing is made or submitted. Exit code 0: a
plan; 1: none, with the reason; 2: the command line is wrong."""

CALL = """\
Call the function that a rule of the workflow names, with files and values of your choice: to try it, or in a debugger.
It writes the files that it is told to write, and no log, receipt or digest. Exit code 0: it ended well; 1: it did not,
with the reason; 2: the command itself cannot be used."""
CALL_EXAMPLES = """\
examples:
  lambdascape call similarity.seed_test.judge_moves runs_path=results/demo/runs.tsv \\
    pairs_path=results/demo/similarity/pairs.tsv output=/tmp/moves.tsv
  lambdascape call geometry.shape.measure_geometry embeddings_path=results/demo/embeddings/mean_logmel.h5 \\
    test_fold=fold1 settings='{max_tiles: 4000, draw_seed: 1}' geometry_path=/tmp/a.tsv spectrum_path=/tmp/b.tsv \\
    centroids_path=/tmp/c.tsv"""
SCHEMA = """\
Print the JSON schema of the config, by which editors complete and check its keys; or write it and the reference of all
keys (config/README.md) into the checkout in the working directory."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command of lambdascape.

    Args:
        words: the command line without the program's name; None takes that of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(words)
    try:
        return int(options.run(options))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lambdascape", description="Tools beside the workflow.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("verify", help="check that the results are whole", description=VERIFY)
    command.set_defaults(run=_verify)
    command.add_argument(
        "results", nargs="?", default="results", type=Path, help="the folder of results (default: %(default)s)"
    )
    command.add_argument(
        "--study",
        metavar="FILE",
        type=Path,
        help="check only the study of this config file and what it rests on (default: everything)",
    )
    command.add_argument(
        "--audio",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare the audio files that are there with their manifests, too, by size, beginning, middle and end",
    )
    command = commands.add_parser("doctor", help="list what the machine has, and problems", description=DOCTOR)
    command.set_defaults(run=_doctor)
    command.add_argument(
        "--study",
        metavar="FILE",
        type=Path,
        nargs="+",
        default=[],
        help="config files, each laid over the one before: the backend and the device that they ask for must be usable",
    )
    command = commands.add_parser("recover", help="make the next run possible after a crash", description=RECOVER)
    command.set_defaults(run=_recover)
    ways = command.add_mutually_exclusive_group()
    ways.add_argument(
        "--wait",
        dest="survivors",
        action="store_const",
        const="wait",
        default="end",
        help="wait until jobs that go on have finished, instead of ending them",
    )
    ways.add_argument(
        "--if-idle",
        dest="survivors",
        action="store_const",
        const="refuse",
        help="end no job: where a Snakemake or a job runs, name it and stop (`make run` begins with this)",
    )
    command.add_argument(
        "--ended",
        metavar="HOST",
        nargs="+",
        default=[],
        help="machines on which nothing runs any more, whose processes cannot be looked at from here",
    )
    command = commands.add_parser("plan", help="report what a study needs on a cluster", description=PLAN)
    command.set_defaults(run=_plan)
    command.add_argument(
        "--study",
        metavar="FILE",
        type=Path,
        nargs="+",
        required=True,
        help="config files, each laid over the one before; the first is the default one of the checkout",
    )
    command.add_argument(
        "--profile",
        metavar="FOLDER",
        type=Path,
        help="Snakemake's profile of the cluster (default: profiles/slurm, where it is there)",
    )
    command.add_argument("--all", action="store_true", help="as if nothing were made already")
    command.add_argument(
        "--results", default="results", type=Path, help="the folder with what was measured (default: %(default)s)"
    )
    command = commands.add_parser("schema", help="print the JSON schema of the config", description=SCHEMA)
    command.set_defaults(run=_schema)
    command.add_argument("--write", action="store_true", help="write the schema and the reference of all keys")
    command = commands.add_parser(
        "embed",
        help="embed audio files by an exported network",
        description=EMBED,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=_embed)
    command.add_argument("model", metavar="MODEL", type=Path, help="an exported embedder.keras, or its folder")
    command.add_argument("files", metavar="FILE", type=Path, nargs="+", help="audio that libsndfile reads")
    command.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="a table (.tsv, .csv or .parquet: file, channel, start_s, e0, e1, …) or the embeddings alone (.npy, shape "
        "tile × dim); default: tab-separated text on the screen",
    )
    command.add_argument(
        "--hop",
        metavar="SECONDS",
        type=float,
        help="from one tile's start to the next; default: a tile's length, so that tiles do not overlap",
    )
    command.add_argument(
        "--channel", metavar="N", type=int, help="the channel to use, from 1; default: as in the study"
    )
    command.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: %(default)s")
    command = commands.add_parser(
        "call",
        help="run one task of the workflow by hand",
        description=CALL,
        epilog=CALL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=_call)
    command.add_argument("task", metavar="TASK", help="module and function, as a rule names it in params.task")
    command.add_argument("values", metavar="NAME=VALUE", nargs="*", help="an argument of the function; a value is YAML")
    return parser


def _call(options: argparse.Namespace) -> int:
    from lambdascape.cli.task import call_task

    call_task(options.task, options.values)
    return 0


def _embed(options: argparse.Namespace) -> int:
    from lambdascape.cli.embed import embed_files

    given = (options.output, options.hop, options.channel, options.device)
    return int(embed_files(options.model, options.files, *given) > 0)


def _verify(options: argparse.Namespace) -> int:
    from lambdascape.operations.verify import verify

    study = _name_of(options.study) if options.study else None
    faults, checked = verify(options.results, study, options.audio)
    print(_table(faults) if faults else f"{checked:,} products checked: no fault.")
    return int(bool(faults))


def _doctor(options: argparse.Namespace) -> int:
    from lambdascape.operations import doctor

    training: dict[str, Any] = {"backend": "tensorflow", "device": "auto"}
    for file in options.study:
        training |= _config(file).get("training") or {}
    return doctor.report(doctor.examine(Path.cwd(), training["backend"], training["device"]))


def _recover(options: argparse.Namespace) -> int:
    from lambdascape.operations.recovery import recover

    done = recover(Path.cwd(), options.survivors, options.ended)
    if done and options.survivors != "refuse":
        print("No job runs: the next run can begin, by the same command as before.")
    return int(not done)


def _plan(options: argparse.Namespace) -> int:
    from lambdascape.operations.plan.command import plan
    from lambdascape.study.validation import laid_over

    first, *overlays = options.study
    config = _config(first)
    for file in overlays:
        config = laid_over(config, _config(file))
    print(plan(config, overlays, options.profile, options.all, options.results))
    return 0


def _schema(options: argparse.Namespace) -> int:
    from lambdascape.study.reference import schema_text, write_reference

    print("\n".join(map(str, write_reference(Path()))) if options.write else schema_text().rstrip())
    return 0


def _name_of(config: Path) -> str:
    """The name of the study that a config file describes."""
    read = _config(config)
    if "study" not in read:
        raise InputError(f"--study: must name a config file with the key `study`; {config} has none")
    return str(read["study"])


def _config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"--study: must be a readable YAML file; {error}") from None
    return read if isinstance(read, dict) else {}


def _table(faults: "list[Fault]") -> str:
    rows = [("path", "fault", "remedy"), *((fault.path, fault.what, fault.remedy) for fault in faults)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{path:<{widths[0]}}  {what:<{widths[1]}}  {remedy}" for path, what, remedy in rows)
