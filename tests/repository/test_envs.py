"""The files under envs/ agree with one another and with pyproject.toml."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

REPO = Path(__file__).resolve().parents[2]
ENVS = REPO / "envs"
LOCKS = ("run.txt", "dev.txt", "onnx.txt", "cuda.txt", "jax-cuda.txt")
BESIDE = {
    "run": ("run.txt",),
    "dev": ("run.txt", "dev.txt"),
    "onnx": ("run.txt", "onnx.txt"),
    "cuda": ("run.txt", "cuda.txt"),
    "jax-cuda": ("run.txt", "jax-cuda.txt"),
}
CONDA = sorted(path.name for path in ENVS.glob("*.yaml"))
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11", "3.12", "3.13")


def ranges(extra: str) -> list[str]:
    """Requirements of an extra; one that names another extra of this project brings that one's."""
    found = []
    for line in PROJECT["optional-dependencies"][extra]:
        named = re.fullmatch(r"lambdascape\[(.+)\]", line)
        found += ranges(named[1]) if named else [line]
    return found


def locked_requirements(name: str) -> list[str]:
    """Requirements of a lock file, each in one line with its hashes."""
    lines = (ENVS / name).read_text().replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def locked_versions(*names: str) -> dict[str, Version]:
    """Version of each package in these lock files, by canonical name."""
    versions = {}
    for line in (line for name in names for line in locked_requirements(name)):
        requirement = Requirement(line.split(" --hash")[0].strip())
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        versions[canonicalize_name(requirement.name)] = Version(pin.version)
    return versions


def conda_pins(name: str) -> dict[str, str]:
    """Packages and exact versions that a conda environment names, Python apart."""
    pins = {}
    for entry in yaml.safe_load((ENVS / name).read_text())["dependencies"]:
        for line in entry["pip"] if isinstance(entry, dict) else [entry]:
            package, _, version = re.sub("=+", "=", line).partition("=")
            if version and package != "python":
                pins[canonicalize_name(package)] = version
    return pins


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_a_lock_no_option(name):
    lines = locked_requirements(name)
    assert lines
    assert [line for line in lines if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", line)] == []
    assert [line for line in lines if line.lstrip().startswith("-")] == []


@pytest.mark.parametrize("locks", BESIDE.values(), ids=BESIDE)
def test_each_package_is_locked_once(locks):
    names = [re.split(r"[=\s;]", line)[0] for name in locks for line in locked_requirements(name)]
    assert [name for name, times in Counter(names).items() if times > 1] == []


@pytest.mark.parametrize("path", sorted(ENVS.iterdir()), ids=lambda path: path.name)
def test_no_file_says_where_packages_come_from(path):
    address = r"https?:|://|index[-_]url|--(?:extra-)?index|find-links|trusted-host"
    lines = path.read_text().splitlines()
    assert [line for line in lines if re.search(address, line, re.IGNORECASE)] == []


@pytest.mark.parametrize(
    ("requirements", "locks"),
    [
        pytest.param(PROJECT["dependencies"], ("run.txt",), id="run"),
        *(pytest.param(ranges(name), BESIDE[name], id=name) for name in ("dev", "onnx", "cuda", "jax-cuda")),
    ],
)
def test_the_lock_lies_within_the_ranges_of_pyproject(requirements, locks):
    versions = locked_versions(*locks)
    assert requirements
    for line in requirements:
        requirement = Requirement(line)
        assert requirement.specifier, f"{line}: no range"
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier


def test_conda_environments_are_there():
    assert CONDA == ["analysis.yaml", "features.yaml", "models.yaml"]


@pytest.mark.parametrize("name", CONDA)
def test_conda_environments_hold_the_versions_of_the_lock(name):
    pins = conda_pins(name)
    assert pins, f"{name} pins no package"
    versions = locked_versions("run.txt")
    assert {package: str(versions.get(package, "not in the lock")) for package in pins} == pins


@pytest.mark.parametrize("name", CONDA)
def test_conda_environments_name_their_python_and_leave_nothing_open(name):
    document = yaml.safe_load((ENVS / name).read_text())
    assert document["channels"] == ["conda-forge", "nodefaults"]
    plain = [entry for entry in document["dependencies"] if isinstance(entry, str)]
    pip = [line for entry in document["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]
    assert [line for line in pip if "==" not in line] == []
    assert [line for line in plain if "=" not in line] == ["pip"]
    (python,) = [line.partition("=")[2] for line in plain if line.startswith("python=")]
    assert python in PYTHONS


def test_the_supported_pythons_are_those_of_pyproject():
    supported = SpecifierSet(PROJECT["requires-python"])
    minors = [f"3.{minor}" for minor in range(8, 20)]
    assert tuple(minor for minor in minors if f"{minor}.1" in supported) == PYTHONS
