"""Every rule names a function of the library that takes what the rule gives it."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from lambdascape.cli.main import main
from lambdascape.config.settings import Block, Geometry, Knn, Triplets
from lambdascape.core.errors import InputError
from lambdascape.jobs import call

LISTED = """\
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from types import SimpleNamespace
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

def holds_a_mapping(value):
    if callable(value):
        try:
            value = value(SimpleNamespace(**some))
        except KeyError:  # such as a function of an archive, of which the demo has none
            return True
        except TypeError:  # a function of the output, too, such as a path
            return False
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value))

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    workflow = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))._workflow
    study = workflow.globals["study"]
    some = {"study": study.name, "dataset": study.dataset, "run": [*study.runs][0], "space": [*study.runs][0],
        "untrained": [*study.untrained][0], "figure": study.figures[0], "archive": None}
    rules = []
    for rule in workflow.rules:
        if rule.script:
            kinds = {"input": rule.input, "output": rule.output, "params": rule.params}
            named = {kind: {k: isinstance(v, str) for k, v in all.items()} for kind, all in kinds.items()}
            task = dict(rule.params.items())["task"]
            rules.append(named | {"name": rule.name, "task": task if isinstance(task, dict) else None,
                "mappings": [name for name, value in rule.params.items() if holds_a_mapping(value)],
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


# Params with mappings that are no settings.
NO_SETTINGS = {
    "task": "name and fingerprint of the function",
    "archive": "address and digest of a file",
    "reader": "name and fingerprint of the adapter",
    "measures": "name and fingerprint of each measure of similarity",
    "loss": "task of the loss and its own keys, which it gets by name",
    "network": "task of the network and its own keys, which it gets by name",
    "device": "what `jobs.call` chooses the device by",
    "arguments": "by the names of the arguments of a figure",
    "rows": "rows of runs.tsv",
    "facts": "texts about the run",
    "about": "texts about the study",
    "words": "title and caption of each figure",
    "benchmarks": "folder of each stage",
    "probes": "task and settings of each probe; `fit_probes` makes blocks of them",
}


def test_settings_arrive_as_blocks(rules: list[dict[str, Any]]) -> None:
    untyped = [
        f"{rule['name']}: {name}"
        for rule in rules
        for name in rule["mappings"]
        if name not in NO_SETTINGS and not blocks_in(annotation(rule["task"]["name"], name))
    ]
    assert untyped == []


def annotation(task: str, argument: str) -> Any:
    return inspect.signature(call.find(task)).parameters[argument].annotation


def blocks_in(kind: Any) -> bool:
    """Whether an annotation is a block, or a list, mapping or choice of blocks."""
    return (isinstance(kind, type) and issubclass(kind, Block)) or any(map(blocks_in, get_args(kind)))


def test_a_mapping_becomes_the_block_that_the_argument_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(
        one: Geometry, none: Knn | None, some: Sequence[Triplets], named: dict[str, Geometry], rest: dict[str, Any]
    ) -> None: ...

    geometry = {"max_tiles": 10, "draw_seed": 1}
    triplets = {"tile_s": 1.0, "neighbourhood_s": 2, "distant": "other_clip"}
    params = {"one": geometry, "none": None, "some": [triplets], "named": {"a": geometry}, "rest": geometry}
    found = call.arguments(task, {}, {}, params, {})
    assert (found["one"].max_tiles, found["one"].plain()) == (10, geometry)
    assert [found["none"], found["rest"]] == [None, geometry]
    assert found["some"][0].plain() == triplets
    assert found["named"]["a"] == found["one"]
    message = "settings of Geometry: must have the keys max_tiles, draw_seed; got no draw_seed, seed"
    with pytest.raises(InputError, match=message):
        call.arguments(task, {}, {}, params | {"one": {"max_tiles": 10, "seed": 1}}, {})


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
