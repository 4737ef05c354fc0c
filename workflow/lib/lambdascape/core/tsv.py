"""The tab-separated tables of the workflow."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as tab-separated text, atomically; missing values become empty cells, floats keep every digit."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def read_table(path: str | Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a tab-separated table.

    Args:
        path: a file written by `write_table`.
        text: columns that are text whatever they look like: a label `NA` stays `NA`, a session `01` stays `01`.

    Returns:
        The table; in the other columns an empty cell is a missing value.

    Raises:
        InputError: a column named in `text` is missing.
    """
    header = pd.read_csv(path, sep="\t", nrows=0).columns
    missing = sorted(set(text) - set(header))
    if missing:
        raise InputError(f"{path}: needs the columns {', '.join(text)}; {', '.join(missing)} missing")
    return pd.read_csv(
        path,
        sep="\t",
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values={column: [""] for column in header if column not in text},
    )


def read_text_table(path: str | Path) -> pd.DataFrame:
    """Read a tab-separated table in which every column is text; an empty cell is an empty text."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def iterate_rows(path: str | Path, start: int = 0, stop: int | None = None) -> Iterator[dict[str, str]]:
    """Yield rows of a tab-separated table one by one, as text, in memory that does not grow with the table.

    Args:
        path: the table.
        start: the first row, from 0.
        stop: one past the last row; None for all.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        yield from islice(csv.DictReader(stream, delimiter="\t"), start, stop)


def write_rows(rows: list[dict[str, Any]], path: str | Path) -> None:
    """Write a table given as one mapping per row; a key that a row lacks becomes an empty cell."""
    write_table(pd.DataFrame(rows).convert_dtypes(), path)
