"""The table of every run on the page: cells to sort by, and details of each row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lambdascape.figures.style import colours
from lambdascape.models.collapse import FLAGS
from lambdascape.report.comparisons_section import records
from lambdascape.report.formatting import NOTHING, number, span
from lambdascape.report.mechanism_section import mechanism_cards
from lambdascape.report.provenance_section import duration
from lambdascape.study.run_table import Sweep, text
from lambdascape.tables.every_run import heading
from lambdascape.tables.flagged import MARK

# Columns of every_run.tsv without a column here: they are joined with another one, or are in the details.
JOINED = (
    *("kind", "macro_f1_low", "macro_f1_high", *FLAGS),
    *("mechanism_rule", "loss_first", "penalty_first", "epochs"),
)
FLAG = "flag"  # the column that joins the flags
LAST = (  # columns in this order, behind the run and what varies
    *(
        "macro_f1_test",
        "macro_f1_validation",
        "held_out_loss",
        "training_loss",
        "loss_last",
        "penalty_last",
        "effective_rank",
    ),
    *(FLAG, "mechanism", "seconds", "device"),
)
FORMS: dict[str, Callable[[Any], str]] = {
    "seed": lambda value: f"{value:g}",
    "effective_rank": lambda value: number(value, 1),
    "seconds": duration,
}
OWN_WORDS = {
    "seconds": ("Training time", "wall time of all epochs, also of those before a kill"),
    FLAG: ("Flag", "problems of the space after the last epoch"),
}


@dataclass(frozen=True)
class Column:
    """A column: its name, its meaning, and whether it holds numbers."""

    name: str
    meaning: str
    number: bool

    @property
    def pair(self) -> tuple[str, str]:
        """Name and meaning."""
        return self.name, self.meaning


@dataclass(frozen=True)
class Cell:
    """A cell: its text, and the number that it is sorted by, empty where there is none."""

    text: str
    value: str = ""


@dataclass(frozen=True)
class Row:
    """A run: its cells, its colour in the figures, and its details, name and text; both may be empty."""

    cells: list[Cell]
    colour: str
    card: list[tuple[str, str]]


@dataclass(frozen=True)
class RunTable:
    """All runs of a study; `ill` says whether something is wrong with one of them."""

    caption: str
    columns: list[Column]
    rows: list[Row]
    ill: bool


def run_table(sweep: Sweep, every_run: pd.DataFrame, mechanism: pd.DataFrame) -> RunTable:
    """Set the table of every run for the page.

    Args:
        sweep: what varies.
        every_run: every_run.tsv.
        mechanism: mechanism.tsv.

    Returns:
        Columns that hold nothing in any row are left out.
    """
    table = every_run.assign(**{FLAG: pd.Series(_flags(every_run), every_run.index, dtype=object)})
    first = [name for name in table if name not in (*JOINED, *LAST)]
    names = [name for name in (*first, *LAST) if table[name].notna().any()]
    columns = [_column(str(name), table[name]) for name in names]
    cards = mechanism_cards(mechanism)
    by_value = colours(sweep.values)
    own = dict(zip(sweep.trained["run"], sweep.trained["axis_value"], strict=True))
    rows = [
        Row(
            [_cell(row, str(name), column, sweep) for name, column in zip(names, columns, strict=True)],
            by_value[own[row["run"]]] if row["run"] in own else "",
            [*_course(row), *cards.get(row["run"], [])],
        )
        for row in records(table)
    ]
    trained, second = len(sweep.trained), len(sweep.recomputed)
    again = f", {second} of them again with recomputed statistics," if second else ""
    caption = f"{trained} trained runs{again} and {len(rows) - trained - second} baselines"
    return RunTable(caption, columns, rows, any(map(_is_ill, records(table))))


def _is_ill(row: dict[str, Any]) -> bool:
    return not pd.isna(row[FLAG]) and row[FLAG] != "none"


def _flags(every_run: pd.DataFrame) -> list[str | None]:
    """The flags of each row in words, `none` for a trained run without any; missing where none is known."""
    found = []
    for row in records(every_run):
        raised = [flag.replace("_", " ") for flag in FLAGS if not pd.isna(row[flag]) and row[flag] == 1]
        known = any(not pd.isna(row[flag]) for flag in FLAGS)
        found.append(", ".join(raised) or ("none" if known else None))
    return found


def _column(name: str, values: "pd.Series[Any]") -> Column:
    words, meaning = OWN_WORDS.get(name) or heading(name)
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return Column(words, "" if meaning == "as set" else meaning, is_number)


def _cell(row: dict[str, Any], name: str, column: Column, sweep: Sweep) -> Cell:
    value = row[name]
    if pd.isna(value) or value == "":
        return Cell(NOTHING)
    if name == "run":
        return Cell(f"{value} {MARK}" if _is_ill(row) else str(value))
    if not column.number:
        return Cell(text(value))
    form = text if name in (sweep.key, *sweep.others) else FORMS.get(name, number)
    words = form(value)
    if name == "macro_f1_test" and not pd.isna(row["macro_f1_low"]):
        words += f" ({span(row['macro_f1_low'], row['macro_f1_high'])})"
    return Cell(words, f"{float(value):.10g}")


def _course(row: dict[str, Any]) -> list[tuple[str, str]]:
    """How the training went, first epoch to last."""
    if row["kind"] != "trained":
        return []
    parts = [("Epochs", text(row["epochs"]))] if not pd.isna(row["epochs"]) else []
    for name, words in (("loss", "Loss, training"), ("penalty", "Penalty")):
        ends = [row[f"{name}_first"], row[f"{name}_last"]]
        if not pd.isna(ends).any():
            parts.append((words, f"{number(ends[0])} after the first epoch, {number(ends[1])} after the last"))
    return parts
