"""Calls the function that a rule names, with the rule's named files and params as keyword arguments."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from lambdascape.config.settings import as_annotated
from lambdascape.core.errors import InputError
from lambdascape.core.files import write_digest
from lambdascape.core.sources import OF_A_FILE
from lambdascape.jobs.devices import accelerator
from lambdascape.jobs.job import job
from lambdascape.jobs.receipts import DIGEST

# Files and params with these names decide when and where a job runs, and are not passed on: `digest` and `contents`
# stand for what is in large files, `after` for what must be there first.
NOT_PASSED = ("after", "caption", "contents", "device", "digest", "digests", "task")
TABLES = "tables"
ARGUMENTS = "arguments"
NAMES = "names_of_"  # before the name of an input: its keys


def run(snakemake: Any) -> None:
    """Run the task of a job: `params.task`, see `fingerprint.task`.

    The log, the limit on threads, the receipt and the digests of products (outputs that end in `.sha256`) are made
    here. A job whose settings have a block `training`, or that has a param `device` of such a kind, computes with a
    network on the device that the block asks for.

    Args:
        snakemake: the object that Snakemake hands to a script.
    """
    inputs, outputs, params = (dict(part.items()) for part in (snakemake.input, snakemake.output, snakemake.params))
    with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, params), _device(params):
        function = find(params["task"]["name"])
        wildcards = dict(snakemake.wildcards.items()) | {"threads": snakemake.threads}
        values = arguments(function, inputs, outputs, params, wildcards)
        function(**values)
        for path in snakemake.output:
            if path.endswith(DIGEST):
                write_digest(path.removesuffix(DIGEST), path)


def call(name: str, values: Mapping[str, Any]) -> None:
    """Call a task by hand: no log, no receipt, no digest.

    Args:
        name: module and function below `lambdascape`, such as `probes.fit.fit_probes`.
        values: its keyword arguments as plain values; settings as mappings.

    Raises:
        InputError: there is no such task, or an argument, or a key of settings, is missing or unknown.
    """
    with _device(values):
        function = find(name)
        try:
            inspect.signature(function).bind(**values)
        except TypeError as error:
            raise InputError(f"{name}{inspect.signature(function)}: {error}") from None
        function(**typed(function, values))


def find(name: str) -> Callable[..., Any]:
    """The function of a task.

    Raises:
        InputError: there is none of this name.
    """
    file, _, function = name.rpartition(OF_A_FILE)
    try:
        if file:
            return getattr(module_of(file), function)
        module, _, function = name.rpartition(".")
        return getattr(import_module(f"lambdascape.{module}"), function)
    except (ModuleNotFoundError, AttributeError) as error:
        rule = "a task must be a function below lambdascape, such as models.training.train, or FILE.py:FUNCTION"
        raise InputError(f"{rule}; got {name} ({error})") from None


def module_of(path: str) -> ModuleType:
    """Import a Python file outside the package, once.

    Raises:
        InputError: it is not there, or cannot be imported.
    """
    place = hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:8]  # files of one name are not one module
    name = f"lambdascape_plugin_{Path(path).stem}_{place}"
    if name not in sys.modules:
        specification = spec_from_file_location(name, path)
        if specification is None or specification.loader is None or not Path(path).is_file():
            raise InputError(f"plugins: must name Python files; there is none at {path}")
        sys.modules[name] = module_from_spec(specification)
        try:
            specification.loader.exec_module(sys.modules[name])
        except Exception as error:
            del sys.modules[name]
            raise InputError(f"{path}: cannot be imported; {type(error).__name__}: {error}") from error
    return sys.modules[name]


def arguments(
    function: Callable[..., None],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    params: Mapping[str, Any],
    wildcards: Mapping[str, Any],
) -> dict[str, Any]:
    """The keyword arguments of a task.

    A path named `x` becomes the argument `x_path`, or `x` where the function has none of that name; a list or a param
    named `x` becomes `x`, or `x_path`. The only output (beside its digest) becomes `output` where the function has
    neither. A list `x` becomes a mapping where there is a param `names_of_x`, the keys. The argument `tables` gets
    every input that has no argument of its own, by name. What a param `arguments` holds is passed by name. A wildcard
    is passed where the function asks for it and nothing else has its name, as a whole number where the argument is
    annotated `int`. A mapping becomes a block of the config where the argument is annotated so, see `typed`.

    Args:
        function: the task.
        inputs: name to path or list of paths.
        outputs: name to path or list of paths.
        params: name to plain value.
        wildcards: name to text; also `threads`.

    Raises:
        TypeError: a named file or param has no argument, two have the same, or an argument has no value.
        InputError: see `typed`.
    """
    asked = inspect.signature(function).parameters
    made = {name: value for name, value in outputs.items() if _is_passed(name) and not str(value).endswith(DIGEST)}
    keys = {name.removeprefix(NAMES): value for name, value in params.items() if name.startswith(NAMES)}
    found: dict[str, Any] = {}
    single = "output" if len(made) == 1 else ""
    for kind, named in (("input", inputs), ("output", made), ("param", params)):
        for name, value in named.items():
            if not _is_passed(name):
                continue
            if name == ARGUMENTS:
                found |= value
                continue
            is_path = kind != "param" and isinstance(value, str)
            forms = [f"{name}_path", name] if is_path else [name, f"{name}_path"]
            free = [key for key in (*forms, single if kind == "output" else "") if key in asked and key not in found]
            if free:
                found[free[0]] = value if kind == "param" else _plain(value, keys.get(name))
            elif kind == "input" and not value:
                continue  # a list of none, where a rule serves several functions
            elif kind == "input" and TABLES in asked:
                found.setdefault(TABLES, {})[name] = _plain(value)
            else:
                raise TypeError(f"{function.__name__}: must have an argument for the {kind} {name}")
    for name, value in wildcards.items():
        if name in asked and name not in found:
            found[name] = int(value) if asked[name].annotation is int else value
    inspect.signature(function).bind(**found)
    return typed(function, found)


def typed(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments in the types that a function asks for: a mapping where it asks for a block becomes the block.

    Args:
        function: its annotations name blocks of the config, see `settings.as_annotated`.
        values: name of an argument to plain value.

    Raises:
        InputError: a mapping lacks a key of its block, or has an unknown one.
    """
    asked = inspect.signature(function).parameters
    plain = [name for name, value in values.items() if isinstance(value, Mapping | list)]
    if any(isinstance(asked[name].annotation, str) for name in plain):
        asked = inspect.signature(function, eval_str=True).parameters
    return {**values, **{name: as_annotated(values[name], asked[name].annotation) for name in plain}}


def _is_passed(name: str) -> bool:
    return (
        not name.endswith(("_digest", "_digests")) and name not in NOT_PASSED and not name.startswith(("after_", NAMES))
    )


def _plain(value: Any, names: Sequence[str] | None = None) -> Any:
    """A path as it is; several as a plain list, or by their names: what Snakemake holds is a list of its own."""
    if isinstance(value, str):
        return value
    return list(value) if names is None else dict(zip(names, value, strict=True))


def _device(values: Mapping[str, Any]) -> AbstractContextManager[None]:
    settings = values.get("settings")
    if isinstance(settings, Mapping) and "training" in settings:
        return _accelerator(settings["training"])
    return _accelerator(values["device"]) if "device" in values else nullcontext()


def _accelerator(options: Mapping[str, Any]) -> AbstractContextManager[None]:
    asked = inspect.signature(accelerator).parameters
    return accelerator(**{name: options[name] for name in asked if name in options})
