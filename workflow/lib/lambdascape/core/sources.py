"""What stands in the package's source files, read without importing them: code, imports, declarations."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from lambdascape.core.errors import InputError
from lambdascape.core.files import replace_text

LIBRARY = Path(__file__).parents[1]
# Beside Python's own compiled modules: what was found in each source file, by the digest of its bytes.
KEPT = "__pycache__/sources.json"
# Packages whose versions can change numbers: name in an import to name of the distribution. Readers and writers of
# files and plots are not among them.
NUMERIC = {name: name for name in ("jax", "keras", "librosa", "numba", "numpy", "scipy", "soxr", "tensorflow")}
NUMERIC |= {"sklearn": "scikit-learn", "umap": "umap-learn"}
# Decorators that declare what can be added, see `core.declarations`.
DECLARATIONS = "lambdascape.core.declarations"
KINDS = ("adapter", "figure", "loss", "network", "probe", "similarity_measure")
OF_A_FILE = ":"  # in the name of a task in a file outside the package: `plugins/mine.py:fit`
# What declares a field of a block of the config, and what of it figures and tables show; see `config.keys`.
FIELDS = ("key", "block")
LABELS = ("label", "unit", "counts")
# Where a statement holds others.
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


class SourceFile(NamedTuple):
    """What was found in one source file.

    Attributes:
        code: digest of its code in one normal form: without docstrings, texts of errors, printed lines, imports from
            the package, and the fields of blocks of the config, whose values arrive in the params of jobs.
        labels: names and units of those fields, one line each; empty where there are none.
        fields: digest of all of those fields, with their defaults, descriptions and published values; or empty.
        modules: names below `lambdascape` that it imports anywhere in it, for instance `figures.maps`.
        packages: the numeric packages that it imports, as keys of `NUMERIC`.
        declarations: see `core.declarations`: kind, name, function, arguments of the function, options.
    """

    code: str
    labels: str
    fields: str
    modules: list[str]
    packages: list[str]
    declarations: list[dict[str, Any]]


@cache
def sources() -> dict[Path, SourceFile]:
    """Path to what was found in it, of every module; kept from one start to the next, which saves 0.6 s."""
    files = {path: path.read_bytes() for path in sorted(LIBRARY.rglob("*.py"))}
    names = "\n".join([platform.python_version(), *(path.relative_to(LIBRARY).as_posix() for path in files)])
    keys = {path: hashlib.sha256(names.encode() + b"\0" + text).hexdigest() for path, text in files.items()}
    kept: dict[str, SourceFile] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        kept = {key: SourceFile(*found) for key, found in json.loads((LIBRARY / KEPT).read_text("utf-8")).items()}
    found = {path: kept.get(key) or read(files[path], path) for path, key in keys.items()}
    if set(kept) != set(keys.values()):
        with suppress(OSError):  # a checkout that can only be read
            replace_text(LIBRARY / KEPT, json.dumps({key: found[path] for path, key in keys.items()}))
    return found


def reached(names: Iterable[str], without: frozenset[str] = frozenset()) -> frozenset[str]:
    """The named modules and all modules of the package that they import, directly or through others, but for some."""
    known: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        if name not in known and name not in without:
            known.add(name)
            waiting |= set(sources()[path_of(name)].modules)
    return frozenset(known)


def path_of(module: str) -> Path:
    """The file of a module or package below `lambdascape`."""
    file = LIBRARY.joinpath(*module.split(".")).with_suffix(".py")
    return file if file.exists() else LIBRARY.joinpath(*module.split("."), "__init__.py")


def name_of(path: Path) -> str:
    """The name below `lambdascape` of the module in a file."""
    return ".".join(path.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__")


def read(text: bytes, path: Path, only: str = "") -> SourceFile:
    """What stands in one source file.

    Args:
        text: the file's bytes.
        path: its name, for messages.
        only: leave the code of what else is declared in the file out; empty: of nothing.

    Raises:
        InputError: it is no Python, or a declaration in it is wrong.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InputError(f"{path}: must be Python; line {error.lineno}: {error.msg}") from None
    modules: set[str] = set()
    packages: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            first, *base = node.module.split(".")
            if first == "lambdascape":
                inner = {".".join([*base, alias.name]) for alias in node.names}
                modules |= {name for name in inner if path_of(name).exists()} or {".".join(base)} - {""}
            packages |= {first} & set(NUMERIC)
            for alias in node.names:
                if node.module == DECLARATIONS and alias.asname not in (None, alias.name):
                    raise InputError(f"{path}, line {node.lineno}: {alias.name} must keep its name; got {alias.asname}")
        elif isinstance(node, ast.Import):
            modules |= {a.name.removeprefix("lambdascape.") for a in node.names if a.name.startswith("lambdascape.")}
            packages |= {alias.name.split(".")[0] for alias in node.names} & set(NUMERIC)
    declarations = [found for node in tree.body for found in _declared(node, path)]
    others = {one["function"] for one in declarations} - {only} if only else set()
    tree.body = [node for node in tree.body if getattr(node, "name", "") not in others]
    fields = [
        line for node in _statements(tree) if isinstance(node, ast.ClassDef) for line in node.body if _is_field(line)
    ]
    left_out = set(map(id, fields))
    for node in list(_statements(tree)):
        for block in BLOCKS:
            if hasattr(node, block):
                kept = [
                    line for line in getattr(node, block) if not _is_without_effect(line) and id(line) not in left_out
                ]
                setattr(node, block, kept)
        if isinstance(node, ast.Raise):
            _drop_texts(node)
    return SourceFile(
        _digest(ast.unparse(tree)),
        "\n".join(filter(None, map(_labels, fields))),
        _digest("\n".join(map(ast.unparse, fields))) if fields else "",
        sorted(modules),
        sorted(packages),
        declarations,
    )


def read_file(path: str, only: str = "") -> SourceFile:
    """What stands in a Python file outside the package; `only`: see `read`.

    Raises:
        InputError: it cannot be read, is no Python, or declares something wrongly.
    """
    try:
        return read(Path(path).read_bytes(), Path(path), only)
    except OSError as error:
        raise InputError(f"{path}: must be a Python file; {error.strerror}") from None


def _declared(node: ast.stmt, path: Path) -> Iterator[dict[str, Any]]:
    """The declarations at one function or class."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return
    for mark in node.decorator_list:
        kind = _called(mark)
        if isinstance(mark, ast.Call) and kind in KINDS:
            place = f"{path}, line {mark.lineno}: @{kind}"
            if len(mark.args) != 1 or not all(keyword.arg for keyword in mark.keywords):
                raise InputError(f"{place} must have one name, then options by keyword; got {ast.unparse(mark)}")
            options = {str(keyword.arg): _option(keyword.value, place) for keyword in mark.keywords}
            given = [] if isinstance(node, ast.ClassDef) else [*node.args.args, *node.args.kwonlyargs]
            yield {
                "kind": kind,
                "name": _option(mark.args[0], place),
                "function": node.name,
                "arguments": [argument.arg for argument in given],
                "options": options,
            }


def _called(mark: ast.expr) -> str:
    """The last name of what a decorator calls: `probe` of `@probe(…)` and of `@declarations.probe(…)`."""
    called = mark.func if isinstance(mark, ast.Call) else mark
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def _option(value: ast.expr, place: str) -> Any:
    """A literal as it is; the name of a class or function as `{"name": …}`."""
    if isinstance(value, ast.Name):
        return {"name": value.id}
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise InputError(
            f"{place} must have literal options, so that it can be read unimported; got {ast.unparse(value)}"
        ) from None


def _is_without_effect(line: ast.AST) -> bool:
    """Whether a statement is a text that stands alone, a printed line, or an import from the package."""
    if isinstance(line, ast.Expr):
        value = line.value
        text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return text or (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print")
    if isinstance(line, ast.ImportFrom):
        return (line.module or "").split(".")[0] == "lambdascape"
    return isinstance(line, ast.Import) and all(alias.name.startswith("lambdascape.") for alias in line.names)


def _is_field(line: ast.stmt) -> TypeGuard[ast.AnnAssign]:
    """Whether a statement in a class is a field of a block of the config: `name: type = key(…)` or `block(…)`."""
    value = line.value if isinstance(line, ast.AnnAssign) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in FIELDS


def _labels(field: ast.AnnAssign) -> str:
    """Name of a field, and its label and unit as they are written; empty where it has neither."""
    assert isinstance(field.value, ast.Call)
    shown = [ast.unparse(keyword) for keyword in field.value.keywords if keyword.arg in LABELS]
    return f"{ast.unparse(field.target)}: {', '.join(shown)}" if shown else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _drop_texts(error: ast.Raise) -> None:
    """Empty every text in what is raised."""
    for node in ast.walk(error):
        if isinstance(node, ast.JoinedStr):
            node.values = []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all that holds or is a statement in it; `ast.walk` would look into every expression, too."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for blocks in BLOCKS:
            waiting += getattr(node, blocks, ())
