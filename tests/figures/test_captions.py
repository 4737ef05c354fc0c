"""Every figure is declared with its title, caption and place; Snakemake's own report shows it, and every main table."""

import re
from pathlib import Path

import pytest

from lambdascape.core.declarations import Declared, declared
from lambdascape.report.figures_section import caption_html, linked, parted

RULES = Path(__file__).parents[2] / "workflow" / "rules"
REPORT = Path(__file__).parents[2] / "workflow" / "report"
MAIN_TABLES = ("claims", "every_run", "scores", "comparisons", "choice", "mechanism", "geometry", "moves", "rejected",
    "audit")  # fmt: skip
CATEGORIES = {"Answer", "Training", "Probes", "Spaces", "Data"}
FIGURES = declared("figure")


def test_every_main_table_is_shown_once_with_a_caption_and_words_of_its_own() -> None:
    text = "".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
    shown = re.findall(
        r'report\(\s*"[^"]+/(\w+)\.tsv",\s*caption="\.\./report/tables/(\w+)\.rst",\s*category="Tables",\s*labels=(\{.*\})',
        text,
    )
    assert sorted(name for name, _, _ in shown) == sorted(MAIN_TABLES)
    assert all(name == caption for name, caption, _ in shown)
    assert len({labels for *_, labels in shown}) == len(shown)
    for _, caption, _ in shown:
        assert len(caption_html((REPORT / f"tables/{caption}.rst").read_text(), caption)) > 100


@pytest.mark.parametrize("one", FIGURES.values(), ids=FIGURES)
def test_a_caption_says_what_is_shown_then_how_to_read_it_and_where_it_is_from(one: Declared) -> None:
    assert one.options["category"] in CATEGORIES
    assert {"svg", "png"} <= set(one.arguments)
    html = caption_html(one.options["caption"], one.name)
    assert not re.search(r"{{|{%", one.options["caption"])
    lead, rest, origin = parted(linked(html, lambda words: f"../{words}"))
    assert lead.startswith("<p><strong>")
    assert lead.endswith("</p>")
    assert len(rest) > 100
    assert rest.count("<p>") == rest.count("</p>")
    assert origin.startswith('From <a href="../')


def test_no_two_of_one_category_have_the_same_words() -> None:
    words = [(one.options["category"], one.options["label"]) for one in FIGURES.values()]
    assert len(set(words)) == len(words)


def test_the_templates_place_every_figure_of_the_package_once() -> None:
    template = "".join(path.read_text(encoding="utf-8") for path in (REPORT / "page").glob("*.j2"))
    assert sorted(re.findall(r'figure\("(\w+)"\)', template)) == sorted(FIGURES)
