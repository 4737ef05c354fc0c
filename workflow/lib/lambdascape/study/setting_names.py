"""Names and units of settings in words, as figures and tables show them."""

from functools import cache
from typing import Any

from lambdascape.config.keys import key_of
from lambdascape.config.settings import Config, leaves

# Columns of runs.tsv that are called otherwise in the config.
COLUMNS = {"probe_epochs": "probes.by_epoch.epochs"}


@cache
def _words() -> dict[str, tuple[str, str]]:
    """Name and unit of each labelled key, by its path and by its last name, of which the first in the config counts."""
    found: dict[str, tuple[str, str]] = {}
    for path, field, _ in leaves(Config):
        about = key_of(field)
        if about.label:
            for name in (path, path.rsplit(".", 1)[-1]):
                found.setdefault(name, (about.label, about.shown_unit))
    return found


def in_words(column: str) -> tuple[str, str]:
    """Name and unit of a column of runs.tsv, such as `margin`; unknown ones keep their name."""
    return _words().get(COLUMNS.get(column, column), (column.replace("_", " "), ""))


def setting(column: str, value: Any) -> str:
    """A value of a column of runs.tsv as it stands beside a number, such as `λ = 0.01` or `margin 0.5`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    shown = f"{value:g}" if is_number else str(value)
    if column == "l2":
        return f"λ = {shown}"
    name, unit = in_words(column)
    return f"{name.lower()} {shown} {unit}".rstrip()


def symbol(column: str) -> str:
    """The short name of a column of runs.tsv for running text: λ, or the name in words."""
    return "λ" if column == "l2" else in_words(column)[0].lower()
