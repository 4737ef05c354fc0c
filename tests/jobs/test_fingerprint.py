"""The fingerprint follows the code and nothing but the code."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdascape.core import sources
from lambdascape.jobs import fingerprint, provenance

SCRIPT = "from lambdascape.b import f\n\nf(1)\n"
B = '''"""Doc."""
import numpy as np
import lambdascape.c
from lambdascape import d

def f(x):
    """Doc."""
    if x < 0:
        raise ValueError(f"x must not be negative; got {x}")
    print("f of", x)
    return np.abs(x + 1)
'''
MODULES = {
    "__init__": "",
    "b": B,
    "c": 'from lambdascape.inner.e import g\n\nh = 1\n"""What h is."""\n',
    "d": "def late():\n    from lambdascape.core.errors import InputError\n",
    "errors": "class InputError(ValueError): pass\n",
    "unused": "x = 1\n",
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    sources.sources.cache_clear()
    yield
    sources.sources.cache_clear()
    fingerprint._version.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    library = tmp_path / "lambdascape"
    (library / "inner").mkdir(parents=True)
    for name, code in MODULES.items():
        (library / f"{name}.py").write_text(code)
    (library / "inner/__init__.py").touch()
    (library / "inner/e.py").write_text("g = 1\n")
    (library / "job.py").write_text(SCRIPT)
    monkeypatch.setattr(sources, "LIBRARY", library)
    return tmp_path


def taken() -> str:
    for function in (sources.sources, fingerprint._version):
        function.cache_clear()
    return fingerprint.fingerprint("job")


def test_what_was_kept_is_used_for_these_sources_only_and_does_without_a_place(package: Path) -> None:
    before = taken()
    kept = package / "lambdascape" / sources.KEPT
    assert not kept.parent.exists()
    kept.parent.mkdir()
    assert taken() == before
    found = json.loads(kept.read_text())
    changed = {key: ["another", *rest] for key, (_, *rest) in found.items()}
    kept.write_text(json.dumps(changed))
    assert taken() != before
    for name in ("lambdascape/job.py", *(f"lambdascape/{module}.py" for module in MODULES), "lambdascape/inner/e.py"):
        (package / name).write_text((package / name).read_text() + "# longer\n")
    (package / "lambdascape/inner/__init__.py").write_text("# longer\n")
    assert taken() == before
    for spoilt in ("", "[]", "{}", "no json", '{"a": 1}'):
        kept.write_text(spoilt)
        assert taken() == before


def test_a_moved_module_changes_nothing(package: Path) -> None:
    before = taken()
    (package / "lambdascape/b.py").rename(package / "lambdascape/inner/renamed.py")
    (package / "lambdascape/job.py").write_text(SCRIPT.replace("lambdascape.b", "lambdascape.inner.renamed"))
    assert taken() == before


def test_another_version_of_a_numeric_package_changes_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = taken()
    monkeypatch.setattr(fingerprint.metadata, "version", lambda name: {"numpy": "99"}[name])
    assert taken() != before


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("job.py", "f(1)", "f(2)", True),
        ("b.py", "x + 1", "x + 2", True),
        ("inner/e.py", "g = 1", "g = 2", True),
        ("d.py", "late", "later", True),
        ("job.py", "f(1)", "f(  1  )  # comment", False),
        ("b.py", "Doc.", "Another sentence.", False),
        ("b.py", "x + 1", "(x\n        + 1)", False),
        ("b.py", "must not be negative; got {x}", "must be positive; got {x:g}", False),
        ("b.py", "f of", "the function of", False),
        ("c.py", "What h is", "What it is", False),
        ("unused.py", "1", "2", False),
        ("errors.py", "ValueError", "Exception", False),
    ],
)
def test_code_counts_of_every_module_that_is_reached_and_no_comments_docstrings_or_formatting(
    package: Path, file: str, old: str, new: str, counts: bool
) -> None:
    before, path = taken(), package / "lambdascape" / file
    changed = path.read_text().replace(old, new)
    assert changed != path.read_text()
    path.write_text(changed)
    assert (taken() != before) is counts


def test_the_probe_does_not_depend_on_the_training_nor_one_figure_on_another() -> None:
    reached = {
        module: sources.reached([module], fingerprint.WITHOUT_EFFECT)
        for module in ("models.training", "probes.converged", "figures.maps", "features.extraction")
    }
    assert "models.triplet_model" in reached["models.training"]
    assert not {"models.training", "models.network", "models.losses"} & (
        reached["probes.converged"] | reached["figures.maps"] | reached["features.extraction"]
    )
    assert not {"figures.training_curves", "figures.response"} & reached["figures.maps"]


def test_a_file_outside_the_package_counts_with_what_it_imports(package: Path) -> None:
    plugin = package / "mine.py"
    plugin.write_text(SCRIPT)
    before = fingerprint.task(f"{plugin}:f")
    plugin.write_text(SCRIPT + "# a comment\n")
    assert fingerprint.task(f"{plugin}:f") == before
    other = "\n@probe('mine', label='Mine')\ndef fit(): return {}\n"
    plugin.write_text(SCRIPT + other.format(1))
    assert fingerprint.task(f"{plugin}:f") == before  # what else is declared there does not count
    mine = fingerprint.task(f"{plugin}:fit")
    plugin.write_text(SCRIPT + other.format(2))
    assert fingerprint.task(f"{plugin}:f") == before
    assert fingerprint.task(f"{plugin}:fit") != mine
    (package / "lambdascape/inner/e.py").write_text("g = 2\n")
    sources.sources.cache_clear()
    assert fingerprint.task(f"{plugin}:f") != before


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library's own sources."""
    copy = tmp_path / "lambdascape"
    shutil.copytree(sources.LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "LIBRARY", copy)
    return copy


TRAINING, MAPS, REPORT, PROBES = "models.training", "figures.maps", "report.page", "probes.fit"
MARGIN = "Margin of the hinge on squared distances"
NEW_BLOCK = '''class Unused(Block):
    """Of nothing."""

    reruns = "probes"
    some: Whole = key(1, "Some number.", label="Some", group=PROBES)


class Probes(Block):'''


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("config/settings.py", MARGIN, "Margin of it on distances", {REPORT}),
        ("config/settings.py", "published=1e-6,", "published=1e-7,", {REPORT}),
        ("config/settings.py", 'key(\n        1.0,\n        "Margin', 'key(\n        2.0,\n        "Margin', {REPORT}),
        ("config/settings.py", 'label="Margin"', 'label="Edge"', {MAPS, REPORT}),
        ("config/settings.py", "class Probes(Block):", NEW_BLOCK, {MAPS, REPORT}),
        ("config/settings.py", "Le(4294967295)", "Le(4294967294)", set()),
        ("config/keys.py", "Data and model", "Model and data", {MAPS, REPORT}),
        ("study/hyperparameters.py", '"Prefetch batches"', '"Prefetched batches"', {REPORT}),
        ("models/training.py", "\n\ndef train(", "\n\nother = 1\n\n\ndef train(", {TRAINING}),
    ],
)
def test_a_field_of_the_config_counts_where_it_is_shown(
    library: Path, file: str, old: str, new: str, changed: set[str]
) -> None:
    before = {module: fingerprint.fingerprint(module) for module in (TRAINING, MAPS, REPORT, PROBES)}
    text = (library / file).read_text()
    assert old in text
    (library / file).write_text(text.replace(old, new))
    sources.sources.cache_clear()
    assert {module for module, code in before.items() if fingerprint.fingerprint(module) != code} == changed


def test_a_field_in_a_file_outside_the_package_is_no_code(package: Path) -> None:
    plugin = package / "mine.py"
    block = "class Mine(Block):\n    reruns = 'probes'\n    sharpness: float = key({}, '{}', unit='{}')\n"
    plugin.write_text(SCRIPT + block.format(1, "What it is.", "s"))
    before = fingerprint.task(f"{plugin}:f")
    plugin.write_text(SCRIPT + block.format(2, "What it does.", "ms"))
    assert fingerprint.task(f"{plugin}:f") == before
    plugin.write_text(SCRIPT + block.format(2, "What it does.", "ms") + "    factor = 2\n")
    assert fingerprint.task(f"{plugin}:f") != before


def test_settings_digest_ignores_the_order_of_keys() -> None:
    digest = provenance.settings_digest
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})


def test_versions_and_git_state_are_told(tmp_path: Path) -> None:
    assert provenance.versions()["keras"].startswith("3.")
    assert provenance.git_state(tmp_path) == "no git checkout"
