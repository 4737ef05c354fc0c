"""The report in a real browser: quiet, offline, usable by mouse, keyboard and screen reader, on paper and phones."""

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from .conftest import Watched

Watch = Callable[..., Watched]
PHONE = {"viewport": {"width": 320, "height": 640}}
DARK = {"color_scheme": "dark"}
LARGEST = 15_000_000  # bytes
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def page(study_page: Path, watch: Watch) -> Any:
    return watch().open(study_page)


def unfold(page: Any) -> None:
    for summary in page.locator("summary").all():
        summary.evaluate("one => { one.parentElement.open = true; }")


def names(page: Any) -> list[str]:
    """Names of the runs in the order of the rows that are shown."""
    shown = page.locator("#run-table tbody:not([hidden]) .opens").all_inner_texts()
    return [name.split()[0] for name in shown]


def values(page: Any, column: int) -> list[float]:
    """The numbers by which a column is sorted; what is missing is left out."""
    cells = page.locator(f"#run-table tbody tr:first-child > :nth-child({column + 1})")
    return [float(value) for value in cells.evaluate_all("cells => cells.map(c => c.dataset.value)") if value]


def column_of(page: Any, name: str) -> int:
    heads = page.locator("#run-table thead th").all_inner_texts()
    return next(place for place, head in enumerate(heads) if head.startswith(name))


def background(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_page_opens_without_a_complaint_and_asks_for_nothing(study_page: Path, watch: Watch) -> None:
    watched = watch()
    page = watched.open(study_page)
    page.mouse.wheel(0, 20_000)
    page.wait_for_timeout(300)
    assert watched.complaints == []
    assert watched.requests == []
    assert page.title().startswith("lambdascape")
    assert study_page.stat().st_size < LARGEST
    broken = page.locator("img").evaluate_all("all => all.filter(i => !(i.complete && i.naturalWidth)).length")
    assert broken == 0


def test_made_up_data_are_called_so_at_the_top_and_on_every_map(page: Any) -> None:
    said = page.locator("header .banner", has_text="synthetic").count() == 1
    made_up = said if os.environ.get("LAMBDASCAPE_PAGE") else True  # the tiny study's data are
    assert said == made_up
    maps = page.locator(".viewer-map")
    assert maps.count() > 2
    assert page.locator(".viewer-map figcaption", has_text="synthetic data").count() == made_up * maps.count()


def test_what_the_page_would_fetch_or_complain_of_is_noticed(tmp_path: Path, watch: Watch) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://example.invalid/x.png"><script>console.error("no"); missing()</script>')
    watched = watch()
    watched.open(bad)
    assert watched.requests == ["http://example.invalid/x.png"]
    assert any("no" in words for words in watched.complaints)
    assert any("missing" in words for words in watched.complaints)


def test_a_script_that_got_into_the_page_would_not_run(study_page: Path, tmp_path: Path, watch: Watch) -> None:
    text = study_page.read_text(encoding="utf-8")
    changed = tmp_path / "changed.html"
    changed.write_text(text.replace("</h1>", "</h1><script>document.title = 'taken'</script>"), encoding="utf-8")
    watched = watch()
    assert watched.open(changed).title() != "taken"
    assert any("Content Security Policy" in words for words in watched.complaints)


def test_question_figure_verdicts_and_next_steps_stand_on_the_first_screen(page: Any) -> None:
    for part in ("h1", "#answer .answer", "#figure-response img", ".verdicts li:last-child", "#next"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + (0 if part == "#next" else box["height"]) <= 900, part


def test_a_verdict_leads_to_its_claim_and_unfolds_it(page: Any) -> None:
    page.locator(".verdicts a").nth(1).click()
    claim = page.locator("#claim-2")
    assert claim.locator("details").evaluate("one => one.open")
    assert claim.locator("dl").is_visible()


def test_runs_sort_by_any_column_up_and_down_with_what_is_missing_last(page: Any) -> None:
    every = names(page)
    column = column_of(page, "λ")
    head = page.locator("#run-table thead th").nth(column)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert values(page, column) == sorted(values(page, column))
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert values(page, column) == sorted(values(page, column), reverse=True)
    without = len(every) - len(values(page, column))
    assert without > 0  # the reference spaces have no λ
    assert all(not name.startswith("l2") for name in names(page)[-without:])
    assert sorted(names(page)) == sorted(every)
    assert page.locator("[aria-sort]").count() == 1
    assert "descending" in page.locator(".filter [role=status]").inner_text()


def test_names_sort_by_the_numbers_in_them(page: Any) -> None:
    page.locator("#run-table thead button").first.click()
    shown = names(page)
    trained = [name for name in shown if name.startswith("l2~")]
    numbers = [[float(number) for number in re.findall(r"~([\d.]+(?:e-?\d+)?)", name)] for name in trained]
    assert numbers == sorted(numbers)
    assert shown == [*trained, *sorted(set(shown) - set(trained))]


def test_the_filter_keeps_the_rows_that_have_every_word(page: Any) -> None:
    every = names(page)
    field = page.get_by_label("Filter the runs")
    told = str(field.get_attribute("placeholder")).removeprefix("such as ")
    assert told == every[0]
    field.fill("untrained seed~1")
    assert names(page) == ["untrained_seed~1"]
    assert page.locator(".filter [role=status]").inner_text() == f"1 of {len(every)} runs"
    field.fill("no such run")
    assert names(page) == []
    field.fill("")
    assert names(page) == every


def test_runs_can_be_sorted_filtered_and_opened_by_keyboard_alone(page: Any) -> None:
    page.get_by_label("Filter the runs").focus()
    page.keyboard.type("seed~1")
    left = names(page)
    assert left
    assert all("seed~1" in name for name in left)
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.matches('.scroll')"):  # it is a stop only where it scrolls
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('th') !== null")
    page.keyboard.press("Enter")
    assert page.locator("#run-table th").first.get_attribute("aria-sort") == "ascending"
    opener = page.locator("#run-table tbody:not([hidden]) .opener").first
    opener.focus()
    page.keyboard.press("Space")
    assert opener.get_attribute("aria-expanded") == "true"
    card = page.locator(f"#{opener.get_attribute('aria-controls')}")
    assert card.is_visible()
    assert "How λ acted" in card.inner_text()
    page.keyboard.press("Enter")
    assert not card.is_visible()


def test_without_scripts_everything_is_there_to_read(study_page: Path, watch: Watch) -> None:
    page = watch(java_script_enabled=False).open(study_page)
    assert page.locator("#run-table tr.behind").first.is_visible()
    trained = page.locator("#run-table .swatch").count()
    assert page.locator("#run-table tbody").count() > trained == page.locator("#run-table tr.behind").count() > 0
    assert not page.locator("#theme").is_visible()
    assert page.locator("#claims summary").first.is_visible()


def test_dark_follows_the_system_and_the_button_and_is_kept(study_page: Path, watch: Watch) -> None:
    page = watch(**DARK).open(study_page)
    dark = background(page)
    button = page.locator("#theme")
    assert button.get_attribute("aria-label") == "Show the page light"
    button.click()
    light = background(page)
    assert light == "rgb(255, 255, 255)" != dark
    page.reload()
    assert background(page) == light
    page.locator("#theme").click()
    assert background(page) == dark
    assert background(watch().open(study_page)) == light


@pytest.mark.parametrize("width", [320, 360, 400, 768, 1024])
def test_no_screen_is_too_narrow(width: int, study_page: Path, watch: Watch) -> None:
    page = watch(viewport={"width": width, "height": 700}).open(study_page)
    unfold(page)
    wide = page.evaluate("""() => [...document.querySelectorAll("main *")].filter((one) => {
        const box = one.getBoundingClientRect();
        return box.width && box.right > innerWidth + 1 && !one.closest(".scroll, .card, pre");
    }).map((one) => one.outerHTML.slice(0, 120))""")
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    scrolls = page.locator("#run-table").evaluate("one => one.offsetWidth > one.parentElement.clientWidth")
    assert scrolls or width > 500


@pytest.mark.parametrize("settings", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_serious(settings: dict[str, Any], study_page: Path, watch: Watch) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = watch(reduced_motion="reduce", **settings).open(study_page)
    unfold(page)
    page.locator("#run-table .opener").first.click()
    page.wait_for_selector("#viewer[data-ready]", timeout=30_000)
    page.fill("#viewer-tile", "1")
    page.press("#viewer-tile", "Enter")
    page.wait_for_selector("#viewer-panel:not([hidden])")
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    told = [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"]) for one in serious]
    assert told == []


def test_boxes_that_scroll_are_stops_of_the_keyboard_and_no_others(study_page: Path, watch: Watch) -> None:
    told = """() => [...document.querySelectorAll(".scroll, .card")].filter((b) => b.checkVisibility()).map((box) => ({
        scrolls: box.scrollWidth > box.clientWidth, stop: box.tabIndex === 0,
        region: box.getAttribute("role") === "region" && box.getAttribute("aria-label") !== null,
        bare: !["tabindex", "role", "aria-label"].some((name) => box.hasAttribute(name)),
    }))"""
    page = watch().open(study_page)
    found = []
    for width in (1280, 400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(TWO_FRAMES)
        found.append(page.evaluate(told))
        assert all(box["stop"] and box["region"] if box["scrolls"] else box["bare"] for box in found[-1])
    wide, narrow, again = (sum(box["scrolls"] for box in boxes) for boxes in found)
    assert wide == again < narrow
    page.locator("#table-1 summary").click()  # what was folded was not looked at
    page.evaluate(TWO_FRAMES)
    assert all(box["stop"] if box["scrolls"] else box["bare"] for box in page.evaluate(told))


def test_landmarks_headings_and_names_are_in_order(page: Any) -> None:
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    levels = [int(tag[1]) for tag in page.locator("h1, h2, h3").evaluate_all("all => all.map(h => h.tagName)")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#answer")
    page.locator("#theme").focus()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_paper_shows_everything_in_black_on_white(study_page: Path, watch: Watch) -> None:
    page = watch(**DARK).open(study_page)
    page.get_by_label("Filter the runs").fill("no such run")
    page.emulate_media(media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    for part in ("#claims dl", "#run-table tr.behind", "figcaption details p", ".next dl"):
        shown = page.locator(part)
        assert shown.count() > 0
        assert all(one.is_visible() for one in shown.all()), part
