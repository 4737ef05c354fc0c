"""Dry runs of Snakemake in forks of one process that has imported it, which saves half of what each would take.

The workflow and the library behind it are read anew by each, as in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# What the workflow imports besides the library.
PRELOADED = ("snakemake.cli", "pandas", "pydantic", "yaml")
# These change from test to test, or count for what Python starts only.
NOT_COMPARED = ("PYTEST_CURRENT_TEST", "PYTHONPATH")


class Server:
    """The process that has imported Snakemake."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in NOT_COMPARED}
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def fits(self) -> bool:
        """Whether a process that starts now would have the server's environment."""
        return {name: value for name, value in os.environ.items() if name not in NOT_COMPARED} == self.environment

    def run(self, folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run Snakemake with these words in a folder; both outputs in `stdout`."""
        assert self.process.stdin
        assert self.process.stdout
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
            print(json.dumps([str(folder), words, output.name]), file=self.process.stdin, flush=True)
            status = os.waitstatus_to_exitcode(int(self.process.stdout.readline()))
            return subprocess.CompletedProcess(words, status, output.read())


@cache
def server() -> Server:
    return Server()


def _serve() -> None:
    for name in PRELOADED:
        __import__(name)
    from snakemake.cli import main

    for line in sys.stdin:
        folder, words, output = json.loads(line)
        child = os.fork()
        if not child:
            os.chdir(folder)
            sys.path[0] = folder
            sys.argv[1:] = words
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for stream in (1, 2):
                os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND), stream)
            main(words)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    _serve()
