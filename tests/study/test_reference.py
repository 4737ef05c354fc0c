"""The reference of the config and its JSON schema are what the model says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from lambdascape.cli.main import main
from lambdascape.config.settings import leaves
from lambdascape.study.config_model import config_model
from lambdascape.study.reference import PAGE, SCHEMA, reference_page, schema_text, write_reference


def test_what_is_committed_is_what_would_be_made(repo: Path) -> None:
    assert (repo / SCHEMA).read_text() == schema_text(), "make reference"
    assert (repo / PAGE).read_text() == reference_page(), "make reference"


def test_one_command_writes_both_or_prints_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(schema_text())
    assert main(["schema", "--write"]) == 0
    assert (tmp_path / PAGE).read_text() == reference_page()
    assert [path.relative_to(tmp_path).as_posix() for path in write_reference(tmp_path)] == [SCHEMA, PAGE]


def test_every_key_is_in_the_reference_with_what_it_is() -> None:
    page = reference_page()
    for key, field, _ in leaves(config_model()):
        assert f"| `{key.rsplit('.', 1)[-1]}`" in page, key
        assert f"| {field.description} |" in page, key


def test_defaults_in_the_reference_can_be_written_into_a_config() -> None:
    rows = [line.strip("| ").split(" | ") for line in reference_page().splitlines() if line.startswith("| `")]
    defaults = [field.get_default(call_default_factory=True) for _, field, _ in leaves(config_model())]
    written = [yaml.safe_load(row[1].strip("`")) for row in rows if row[1] != "must be given"]
    assert len(written) > 80
    assert all(value in defaults for value in written)


@pytest.mark.parametrize(
    ("study", "accepted"),
    [
        ({}, True),
        ({"dataset": {"license": "mine"}, "sweep": {"axes": {"l2": [1, 0.5], "width": None}, "seeds": [1]}}, True),
        ({"spaces": {"openl3": "x.h5"}, "probes": {"knn": None, "by_epoch": {"double_softmax": [True, False]}}}, True),
        ({"sweep": {"arms": [{"neighborhood_s": 4, "probe_epochs": 3}]}, "training": {"early_stopping": None}}, True),
        ({"training": {"early_stopping": 0}}, False),
        ({"training": {"margin": "1e-5"}}, False),
        ({"sweep": {"axes": {"l2": [1, 1]}}}, False),
        ({"sweep": {"axes": {}}}, False),
        ({"sweep": {"arms": [{"l2": -1}]}}, False),
        ({"study": "features"}, False),
        ({"study": "../x"}, False),
        ({"spaces": {"a b": "x.h5"}}, False),
        ({"networks": {}}, False),
    ],
)
def test_editors_accept_what_the_check_accepts(repo: Path, study: dict[str, Any], accepted: bool) -> None:
    schema = json.loads((repo / SCHEMA).read_text())
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(study) == accepted


def test_editors_accept_the_studies_of_the_repository(repo: Path) -> None:
    schema = Draft202012Validator(json.loads((repo / SCHEMA).read_text()))
    for path in (repo / "config.yaml", *sorted((repo / "studies").glob("*.yaml"))):
        assert schema.is_valid(yaml.safe_load(path.read_text())), path.name
        hint = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / hint).resolve() == (repo / SCHEMA).resolve(), path.name
