"""What the documentation is generated from: the reference of the config, and the help of the command line.

`mkdocs build` calls `on_files` and `on_page_markdown`. Run as a script, it writes the page of the command line, which
is committed so that it can be read without a build; a test compares.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

REPO = Path(__file__).resolve().parents[1]
CONFIG = "reference/config.md"
COMMAND_LINE = REPO / "docs/reference/command-line.md"
COLUMNS = "100"  # width of the help texts
INTRODUCTION = """\
The commands beside the workflow. In the environment of `make env` the program is `.venv/bin/lambdascape`;
`python -m lambdascape` does the same. Exit code 2 always means that the command line itself cannot be used."""


def on_files(files: Any, config: Any) -> Any:
    """Add the reference of the config, which lies where snakedeploy copies it from."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, CONFIG, content=config_page()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to config/README.md, which work in the repository, to that page of the site."""
    return re.sub(r"\]\(((?:\.\./)*)\.\./config/README\.md", rf"](\1{CONFIG}", markdown)


def config_page() -> str:
    """The generated reference of all keys, and the default study with its comments."""
    keys = (REPO / "config/README.md").read_text(encoding="utf-8")
    default = (REPO / "config.yaml").read_text(encoding="utf-8")
    return f"{keys}\n## The default study\n\n```yaml\n{default}```\n"


def command_line_page() -> str:
    """The help of `lambdascape` and of each of its commands."""
    from lambdascape.cli.main import _parser

    parser = _parser()
    parts = ["# Command line", "<!-- Generated from the program's help by `make docs`. -->", INTRODUCTION]
    with patch.dict(os.environ, COLUMNS=COLUMNS):
        parts.append(_block(parser.format_help()))
        for name, command in _commands(parser):
            parts += [f"## {name}", _block(command.format_help())]
    return "\n\n".join(parts) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


if __name__ == "__main__":
    sys.path.insert(0, str(REPO / "workflow/lib"))
    COMMAND_LINE.write_text(command_line_page(), encoding="utf-8")
