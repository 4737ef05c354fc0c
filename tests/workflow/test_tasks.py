"""Every rule names a function of the library that takes what the rule gives it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lambdascape.cli.main import main
from lambdascape.core.errors import InputError
from lambdascape.jobs import call

LISTED = """\
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    workflow = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))._workflow
    rules = []
    for rule in workflow.rules:
        if rule.script:
            kinds = {"input": rule.input, "output": rule.output, "params": rule.params}
            named = {kind: {k: isinstance(v, str) for k, v in all.items()} for kind, all in kinds.items()}
            task = dict(rule.params.items())["task"]
            rules.append(named | {"name": rule.name, "task": task if isinstance(task, dict) else None,
                "digests": [k for k, v in rule.output.items() if str(v).endswith(".sha256")],
                "wildcards": sorted(rule.wildcard_names), "script": rule.script})
    print("RULES" + json.dumps(rules))
"""


@pytest.fixture(scope="module")
def rules(repo: Path) -> list[dict[str, Any]]:
    """Name, names of files, params and wildcards, and task of every rule that runs a script."""
    run = subprocess.run([sys.executable, "-c", LISTED], cwd=repo, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return list(json.loads(run.stdout.split("RULES")[1]))


def test_every_rule_calls_a_function_with_what_it_takes(rules: list[dict[str, Any]]) -> None:
    assert len(rules) > 30
    for rule in rules:
        assert rule["script"] == "../scripts/call.py"
        if rule["task"] is None:
            continue  # chosen by a wildcard, and checked where it is declared
        outputs = {name: f"{name}.sha256" if name in rule["digests"] else name for name in rule["output"]}
        inputs = {name: "x" if is_path else ["x"] for name, is_path in rule["input"].items()}
        params: dict[str, Any] = dict.fromkeys(rule["params"], "x")
        for name in params:
            if name.startswith(call.NAMES):
                params[name], inputs[name.removeprefix(call.NAMES)] = ["one"], ["x"]
        wildcards = dict.fromkeys(rule["wildcards"], "1") | {"threads": 1}
        try:
            call.arguments(call.find(rule["task"]["name"]), inputs, outputs, params, wildcards)
        except TypeError as error:
            pytest.fail(f"rule {rule['name']}: {error}")


def test_a_value_without_an_argument_is_refused() -> None:
    def task(clips_path: str, output: str) -> None: ...

    assert call.arguments(task, {"clips": "a", "clips_digest": "b"}, {"made": "c"}, {"task": "d"}, {}) == {
        "clips_path": "a",
        "output": "c",
    }
    with pytest.raises(TypeError, match="must have an argument for the param seed"):
        call.arguments(task, {"clips": "a"}, {"made": "c"}, {"seed": 1}, {})
    with pytest.raises(TypeError, match="missing a required argument: 'output'"):
        call.arguments(task, {"clips": "a"}, {}, {}, {})


def test_a_task_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=re.escape("got models.training.nothing")):
        call.find("models.training.nothing")
    with pytest.raises(InputError, match="must name Python files"):
        call.find("nowhere.py:fit")


def test_a_task_runs_by_hand_and_says_what_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "runs.tsv"
    assert main(["call", "tables.collect.write_runs", "rows=[{run: one, seed: 1}]", f"output={output}"]) == 0
    assert output.read_text() == "run\tseed\none\t1\n"
    assert main(["call", "tables.collect.write_runs", "row=[]", f"output={output}"]) == 1
    assert "write_runs(rows: list" in capsys.readouterr().err
    assert main(["call", "tables.collect.write_runs", "rows"]) == 1
    assert "must be NAME=VALUE; got rows" in capsys.readouterr().err
