"""Fingerprints of the code that makes a result."""

import hashlib
from functools import cache
from importlib import metadata

from lambdascape.core.sources import NUMERIC, OF_A_FILE, name_of, path_of, reached, read_file, sources

# These carry out or report work but cannot change a result, so that a change of theirs retrains nothing.
WITHOUT_EFFECT = frozenset(
    f"{package}.{module}"
    for package, modules in {
        "config": ("keys", "settings"),  # of which `SHOWN` says what counts where
        "core": ("declarations", "disk", "errors", "locks", "sources"),
        "jobs": ("call", "fingerprint", "gpu_locks", "job", "job_locks", "machine", "memory", "provenance", "receipts"),
        "models": ("tensorboard",),
    }.items()
    for module in modules
)
# What a module shows of the fields of the config: an attribute of `SourceFile`.
SHOWN = {"study.setting_names": "labels", "study.hyperparameters": "fields"}


def task(name: str) -> dict[str, str]:
    """A task for the `params` of a rule: its name, and the fingerprint of the code behind it.

    Args:
        name: module and function below `lambdascape`, such as `models.training.train`, or file and function, such as
            `mine.py:fit`.

    Returns:
        `name`, and `code`: see `fingerprint`.
    """
    file, _, function = name.rpartition(OF_A_FILE)
    return {"name": name, "code": fingerprint(file, function) if file else fingerprint(name.rpartition(".")[0])}


def fingerprint(module: str, only: str = "") -> str:
    """Digest of the code of a module and of every module of the package that it reaches.

    Taken over syntax trees without the names of modules, docstrings, texts of errors and printed lines, so that moving
    a module, a better message, comments and formatting change nothing; and over the versions of the numeric packages
    that the code imports. The fields of the config are left out, for the params of a job hold their values. Only where
    a module of `SHOWN` is reached, what it shows of them counts.

    Args:
        module: name below `lambdascape`, such as `models.training`, or path of a Python file.
        only: of a file, leave the code of what else it declares out, so that a change of a probe repeats no figure.

    Returns:
        16 hexadecimal digits.

    Raises:
        InputError: there is no such file.
    """
    if module.endswith(".py"):
        start = [read_file(module, only)]
        names = reached(start[0].modules, WITHOUT_EFFECT)
    else:
        start, names = [], reached([module], WITHOUT_EFFECT)
    found = [*start, *(sources()[path_of(name)] for name in names)]
    packages = sorted({NUMERIC[name] for source in found for name in source.packages})
    parts = [*sorted(source.code for source in found), *(f"{name} {_version(name)}" for name in packages)]
    shown = [part for module, part in SHOWN.items() if module in names]
    if shown:
        every = list(sources().values())
        parts += [sources()[path_of("config.keys")].code]
        parts += [text for part in shown for text in sorted(getattr(source, part) for source in every) if text]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def fingerprints() -> frozenset[str]:
    """The fingerprints of all modules of this checkout."""
    return frozenset(fingerprint(name_of(path)) for path in sources())


@cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)
