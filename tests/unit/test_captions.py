"""Snakemake's own report shows every figure and every main table, each with its place, its words and its caption."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from lambdascape.report.figures_section import TITLES, caption_html
from lambdascape.study.catalogue import FIGURES

RULES = Path(__file__).parents[2] / "workflow" / "rules"
MAIN_TABLES = ("claims", "every_run", "scores", "comparisons", "choice", "mechanism", "geometry", "moves", "rejected",
    "audit")  # fmt: skip
CATEGORIES = {"Answer", "Training", "Probes", "Spaces", "Data", "Tables"}


class Shown(NamedTuple):
    """One `report(…)` of a rule: its file's name without ending, category, caption and labels."""

    name: str
    category: str
    caption: Path
    labels: dict[str, str]


def shown() -> list[Shown]:
    found = []
    for path in sorted(RULES.glob("*.smk")):
        for file, rest in re.findall(r'=report\(\s*"([^"]+)",(.*?)\),\n', path.read_text(), re.DOTALL):
            told = dict(re.findall(r'(category|caption)="([^"]+)"', rest))
            labels = re.search(r"labels=\{(.*?)\},?\s*$", rest, re.DOTALL)
            assert labels, f"{file} has no labels"
            words = dict(re.findall(r'"([^"]+)": "([^"]+)"', labels[1]))
            found.append(Shown(Path(file).stem, told["category"], RULES / told["caption"], words))
    return found


def test_every_figure_and_every_main_table_is_shown_once() -> None:
    figures = [one.name for one in shown() if "Figure" in one.labels]
    tables = [one.name for one in shown() if "Table" in one.labels]
    assert sorted(figures) == sorted([*FIGURES, "protocols"])
    assert set(figures) == set(TITLES)
    assert sorted(tables) == sorted(MAIN_TABLES)
    assert len(shown()) == len(figures) + len(tables)


@pytest.mark.parametrize("one", shown(), ids=lambda one: one.name)
def test_it_has_a_category_a_caption_and_labels(one: Shown) -> None:
    assert one.category in CATEGORIES
    assert (one.category == "Tables") == ("Table" in one.labels)
    kind, *where = sorted(one.labels, key=["Figure", "Table", "Study", "Data set"].index)
    assert one.labels[where[0]] == {"Study": "{study}", "Data set": "{dataset}"}[where[0]]
    assert one.labels[kind]
    assert one.caption.stem == one.name
    assert len(caption_html(one.caption)) > 100


def test_no_two_of_one_category_have_the_same_words() -> None:
    words = [(one.category, one.labels.get("Figure", one.labels.get("Table"))) for one in shown()]
    assert len(set(words)) == len(words)
