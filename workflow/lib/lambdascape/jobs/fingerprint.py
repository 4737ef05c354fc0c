"""Fingerprints of the code that makes a result."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from lambdascape.core.files import replace_text

LIBRARY = Path(__file__).parents[1]
SCRIPTS = LIBRARY.parents[1] / "scripts"
# Beside Python's own compiled modules: what was found in each source file, by the digest of its bytes.
KEPT = "__pycache__/fingerprints.json"
# These carry out or report work but cannot change a result, so that a change of theirs retrains nothing.
WITHOUT_EFFECT = frozenset(
    f"{package}.{module}"
    for package, modules in {
        "core": ("disk", "errors", "locks"),
        "jobs": ("fingerprint", "gpu_locks", "job", "machine", "memory", "provenance", "receipts"),
        "models": ("tensorboard",),
    }.items()
    for module in modules
)
# Packages whose versions can change numbers: name in an import to name of the distribution. Readers and writers of
# files and plots are not among them.
NUMERIC = {name: name for name in ("jax", "keras", "librosa", "numba", "numpy", "scipy", "soxr", "tensorflow")}
NUMERIC |= {"sklearn": "scikit-learn", "umap": "umap-learn"}
# Where a statement holds others.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


class SourceFile(NamedTuple):
    """What a fingerprint takes from one source file.

    Attributes:
        code: digest of its code in one normal form, see `fingerprint`.
        modules: names below `lambdascape` that it imports anywhere in it, for instance `figures.maps`.
        packages: the numeric packages that it imports, as keys of `NUMERIC`.
    """

    code: str
    modules: list[str]
    packages: list[str]


def fingerprint(script: str) -> str:
    """Digest of what a script of the workflow runs: its own code and every module of the package that it reaches.

    Taken over syntax trees without the names of modules, docstrings, texts of errors and printed lines, so that moving
    a module, a better message, comments and formatting change nothing; and over the versions of the numeric packages
    that the code imports.

    Args:
        script: name of a file in workflow/scripts, without `.py`.

    Returns:
        16 hexadecimal digits.
    """
    sources = _sources()
    start = sources[SCRIPTS / f"{script}.py"]
    reached = [start, *(sources[_path(name)] for name in _reached(start.modules))]
    packages = sorted({NUMERIC[name] for source in reached for name in source.packages})
    parts = [*sorted(source.code for source in reached), *(f"{name} {_version(name)}" for name in packages)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def fingerprints() -> frozenset[str]:
    """The fingerprints of all scripts of this checkout."""
    return frozenset(fingerprint(path.stem) for path in sorted(SCRIPTS.glob("*.py")))


@cache
def _sources() -> dict[Path, SourceFile]:
    """Path to what was found in it, of every script and module; kept from one start to the next, which saves 0.6 s."""
    paths = (*sorted(SCRIPTS.glob("*.py")), *sorted(LIBRARY.rglob("*.py")))
    files = {path: path.read_bytes() for path in paths}
    known = "\n".join(
        [
            platform.python_version(),
            *(path.relative_to(LIBRARY).as_posix() for path in paths if path.is_relative_to(LIBRARY)),
        ]
    )
    keys = {path: hashlib.sha256(known.encode() + b"\0" + text).hexdigest() for path, text in files.items()}
    kept: dict[str, SourceFile] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        kept = {key: SourceFile(*found) for key, found in json.loads((LIBRARY / KEPT).read_text("utf-8")).items()}
    found = {path: kept.get(key) or _read(files[path]) for path, key in keys.items()}
    if set(kept) != set(keys.values()):
        with suppress(OSError):  # a checkout that can only be read
            replace_text(LIBRARY / KEPT, json.dumps({key: found[path] for path, key in keys.items()}))
    return found


def _read(source: bytes) -> SourceFile:
    tree = ast.parse(source)
    modules: set[str] = set()
    packages: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            first, *base = node.module.split(".")
            if first == "lambdascape":
                inner = {".".join([*base, alias.name]) for alias in node.names}
                modules |= {name for name in inner if _path(name).exists()} or {".".join(base)} - {""}
            packages |= {first} & set(NUMERIC)
        elif isinstance(node, ast.Import):
            modules |= {a.name.removeprefix("lambdascape.") for a in node.names if a.name.startswith("lambdascape.")}
            packages |= {alias.name.split(".")[0] for alias in node.names} & set(NUMERIC)
    for node in list(_statements(tree)):
        for block in BLOCKS:
            if hasattr(node, block):
                setattr(node, block, [line for line in getattr(node, block) if not _is_without_effect(line)])
        if isinstance(node, ast.Raise):
            _drop_texts(node)
    return SourceFile(hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), sorted(modules), sorted(packages))


def _is_without_effect(line: ast.AST) -> bool:
    """Whether a statement is a text that stands alone, a printed line, or an import from the package."""
    if isinstance(line, ast.Expr):
        value = line.value
        text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return text or (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print")
    if isinstance(line, ast.ImportFrom):
        return (line.module or "").split(".")[0] == "lambdascape"
    return isinstance(line, ast.Import) and all(alias.name.startswith("lambdascape.") for alias in line.names)


def _drop_texts(error: ast.Raise) -> None:
    """Empty every text in what is raised."""
    for node in ast.walk(error):
        if isinstance(node, ast.JoinedStr):
            node.values = []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""


@cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)


def _reached(names: Iterable[str]) -> frozenset[str]:
    """The named modules and all modules of the package that they import, directly or through others."""
    reached: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        if name not in reached and name not in WITHOUT_EFFECT:
            reached.add(name)
            waiting |= set(_sources()[_path(name)].modules)
    return frozenset(reached)


def _path(name: str) -> Path:
    file = LIBRARY.joinpath(*name.split(".")).with_suffix(".py")
    return file if file.exists() else LIBRARY.joinpath(*name.split("."), "__init__.py")


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all that holds or is a statement in it; `ast.walk` would look into every expression, too."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for blocks in BLOCKS:
            waiting += getattr(node, blocks, ())
