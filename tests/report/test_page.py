"""The report in a real browser: quiet, offline, usable by mouse, keyboard and screen reader, on paper and phones."""

from collections.abc import Callable
from pathlib import Path

from .conftest import Watched


def test_the_page_opens_without_a_complaint_and_asks_for_nothing(
    study_page: Path, watch: Callable[..., Watched]
) -> None:
    watched = watch()
    page = watched.open(study_page)
    page.mouse.wheel(0, 20_000)
    page.wait_for_timeout(300)
    assert watched.complaints == []
    assert watched.requests == []
    assert page.title().startswith("lambdascape")


def test_what_the_page_would_fetch_or_complain_of_is_noticed(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://example.invalid/x.png"><script>console.error("no"); missing()</script>')
    watched = watch()
    watched.open(bad)
    assert watched.requests == ["http://example.invalid/x.png"]
    assert any("no" in words for words in watched.complaints)
    assert any("missing" in words for words in watched.complaints)
