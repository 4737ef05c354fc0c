"""The command line: `python -m lambdascape verify`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from lambdascape.errors import InputError
from lambdascape.verify import Fault, verify

ABOUT = """\
Check every product of the workflow: there, unchanged since it was made (SHA-256), well formed, and made from what is
there now, by the code that is there now. Nothing is written. Exit code 0: all is well; 1: something is wrong, in a
table of path, what is wrong, what to do; 2: the command itself cannot be used."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command of lambdascape.

    Args:
        words: the command line without the program's name; None takes that of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(words)
    try:
        study = _name_of(options.study) if options.study else None
        faults, checked = verify(options.results, study, options.audio)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_table(faults) if faults else f"{checked:,} products checked: all are whole and fit together.")
    return int(bool(faults))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lambdascape", description="Tools beside the workflow.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("verify", help="check that the results are whole", description=ABOUT)
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
    return parser


def _name_of(config: Path) -> str:
    """The name of the study that a config file describes."""
    try:
        read = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"--study: must be a readable YAML file; {error}") from None
    if not isinstance(read, dict) or "study" not in read:
        raise InputError(f"--study: must name a config file with the key `study`; {config} has none")
    return str(read["study"])


def _table(faults: list[Fault]) -> str:
    rows = [("path", "what is wrong", "what to do"), *((fault.path, fault.what, fault.remedy) for fault in faults)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{path:<{widths[0]}}  {what:<{widths[1]}}  {remedy}" for path, what, remedy in rows)


if __name__ == "__main__":
    sys.exit(main())
