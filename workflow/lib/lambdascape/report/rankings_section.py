"""This study's ranking beside that of the study it is compared with, in words and as a table."""

from typing import Any

import pandas as pd

from lambdascape.report.formatting import NOTHING, Table, number, span
from lambdascape.study.setting_names import setting, symbol
from lambdascape.tables.rankings import MEASURES, RankedMeasure, swaps


def protocol_sentences(table: pd.DataFrame) -> list[str]:
    """How the order of the shared values differs, a sentence for each measure; and what limits this result."""
    first, second = table["study"].unique()
    sentences = []
    for measure in _measured(table):
        swapped, pairs = swaps(table, measure.name)
        of = f"{swapped} of {pairs} pairs" if pairs > 1 else "the one pair"
        change = (
            f"{of} of {_symbol(table)} change their order" if swapped else f"the order of {_symbol(table)} is the same"
        )
        if swapped == 1:
            change = change.replace(" change their", " changes its")
        sentences.append(f"From {first} to {second}, by {measure.words}: {change}.")
    single = [study for study in (first, second) if (table.loc[table["study"] == study, "seeds"] < 2).any()]
    if single:
        verb = "rests" if len(single) == 1 else "rest"
        sentences.append(f"{' and '.join(single)} {verb} on one seed: a changed order may be chance.")
    return sentences


def protocol_table(table: pd.DataFrame) -> Table:
    """Mean, interval over seeds and rank of every shared value in both studies, a row for each measure and value."""
    first, second = table["study"].unique()
    rows = []
    for measure in _measured(table):
        here = table[table["measure"] == measure.name]
        for value in dict.fromkeys(here["setting"].tolist()):
            sides = [here[(here["setting"] == value) & (here["study"] == study)].iloc[0] for study in (first, second)]
            cells = [cell for side in sides for cell in (_cell(side), str(side["rank"]))]
            rows.append([measure.words, setting(str(here["key"].iloc[0]), value), *cells])
    header = ["Measure", "Value", first, "Rank", second, "Rank"]
    return Table("The ranking in two studies", header, rows, words=2)


def _measured(table: pd.DataFrame) -> list[RankedMeasure]:
    return [measure for measure in MEASURES if (table["measure"] == measure.name).any()]


def _symbol(table: pd.DataFrame) -> str:
    return symbol(str(table["key"].iloc[0]))


def _cell(side: "pd.Series[Any]") -> str:
    ends = span(side["low"], side["high"])
    return number(side["mean"]) + (f" ({ends})" if ends != NOTHING else "")
