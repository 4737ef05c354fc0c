"""Every figure is declared with its title, caption and place; Snakemake's own report shows it, and every main table."""

import re

import pytest

from lambdascape.core.declarations import Declared, declared
from lambdascape.report.figures_section import caption_html, linked, parted

CATEGORIES = {"Answer", "Training", "Probes", "Spaces", "Data"}
FIGURES = declared("figure")


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
