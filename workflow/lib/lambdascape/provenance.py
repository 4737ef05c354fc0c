"""Where a result comes from: fingerprints of code, digests of settings and files, versions."""

import ast
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from lambdascape.small_files import replace_text

LIBRARY = Path(__file__).parent
SCRIPTS = LIBRARY.parents[1] / "scripts"
KEPT = Path(".snakemake/fingerprints.json")
# These carry out or report work but cannot change a result, so that a better message retrains nothing.
WITHOUT_EFFECT = frozenset(
    {"cards", "disk", "errors", "jobs", "locks", "machine", "memory", "provenance", "receipts", "tensorboard"}
)
# What may begin with a docstring.
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Where a statement holds others.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
PACKAGES = (
    "snakemake",
    "tensorflow",
    "keras",
    "jax",
    "numpy",
    "scipy",
    "pandas",
    "h5py",
    "librosa",
    "scikit-learn",
    "seaborn",
    "matplotlib",
    "bokeh",
    "umap-learn",
    "soundfile",
)


def fingerprint(script: str) -> str:
    """Digest of what a script of the workflow runs: its own code and every module of the package that it reaches.

    Taken over the syntax tree without docstrings, so that comments, docstrings and formatting change nothing.

    Args:
        script: name of a file in workflow/scripts, without `.py`.

    Returns:
        16 hexadecimal digits.
    """
    return _kept_fingerprints()[script]


@cache
def _kept_fingerprints() -> dict[str, str]:
    """Script to fingerprint, kept in Snakemake's folder with a digest of the sources that they are taken from.

    Taking them costs half a second, and each job is a start of its own.
    """
    sources = _sources()
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(KEPT.read_text(encoding="utf-8"))
        if found["sources"] == sources:
            return dict(found["fingerprints"])
    taken = _taken_fingerprints()
    with suppress(OSError):  # no such folder yet, or one that can only be read
        replace_text(KEPT, json.dumps({"sources": sources, "fingerprints": taken}))
    return taken


def _taken_fingerprints() -> dict[str, str]:
    return {path.stem: _taken(path) for path in sorted(SCRIPTS.glob("*.py"))}


def _sources() -> str:
    """Digest of every module and script, to the byte, and of the Python that reads them."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in (*sorted(SCRIPTS.glob("*.py")), *sorted(LIBRARY.rglob("*.py"))):
        digest.update(f"\0{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _taken(start: Path) -> str:
    parts = [_code(start)] + [f"{name}\n{_code(_path(name))}" for name in sorted(_reached(_imports(start)))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def contents(*places: str) -> str:
    """Digest of what stands in files of the checkout, or in all files of folders of it.

    For `params`, beside an input whose date is not looked at: a fresh clone is younger than any result.

    Args:
        places: paths of files and folders; without any, the digest of nothing.

    Returns:
        16 hexadecimal digits.
    """
    files = [file for place in map(Path, places) for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    read = [file.read_bytes() for file in files if file.is_file()]
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in read)).hexdigest()[:16]


def fingerprints() -> frozenset[str]:
    """The fingerprints of all scripts of this checkout."""
    return frozenset(_taken_fingerprints().values())


def _reached(names: frozenset[str]) -> frozenset[str]:
    """The named modules and all modules of the package that they import, directly or through others."""
    reached: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        if name not in reached and name not in WITHOUT_EFFECT:
            reached.add(name)
            waiting |= _imports(_path(name))
    return frozenset(reached)


@cache
def _imports(path: Path) -> frozenset[str]:
    """Names below `lambdascape` that a file imports anywhere in it, for instance {"files", "figures.maps"}."""
    found: set[str] = set()
    for node in _statements(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lambdascape":
            base = node.module.split(".")[1:]
            inner = [".".join([*base, alias.name]) for alias in node.names]
            found |= {name for name in inner if _path(name).exists()} or {".".join(base)} - {""}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("lambdascape.") for a in node.names if a.name.startswith("lambdascape.")}
    return frozenset(found)


def _path(name: str) -> Path:
    file = LIBRARY.joinpath(*name.split(".")).with_suffix(".py")
    return file if file.exists() else LIBRARY.joinpath(*name.split("."), "__init__.py")


@cache
def _code(path: Path) -> str:
    """The code of a file in one normal form, without comments, docstrings and other texts that stand alone."""
    tree = _tree(path)
    for node in _statements(tree):
        if isinstance(node, DOCUMENTED):
            node.body = [line for line in node.body if not _is_text(line)] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all that holds or is a statement in it; `ast.walk` would look into every expression, too."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for blocks in BLOCKS:
            waiting += getattr(node, blocks, ())


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def settings_digest(settings: Any) -> str:
    """Digest of plain settings (numbers, text, lists, dicts), the same in every process; 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers, read without importing them."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def git_state(folder: str | Path) -> str:
    """Commit of the checkout at `folder`, with `, with changes` where files differ from it, or `no git checkout`."""
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        return commit + (", with changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "no git checkout"


def _git(folder: str | Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()
