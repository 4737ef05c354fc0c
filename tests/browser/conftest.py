"""A finished report in a real browser that can reach nothing but files."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.checkouts import Checkout

CHROMIUM = ("chromium", "chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update"]
# What the page may ask for; any other address is cut off and remembered.
LOCAL = ("file:", "data:", "blob:", "about:")


@dataclass
class Watched:
    """A page in the browser, with what went wrong there.

    Attributes:
        page: playwright's page.
        complaints: what the console said as an error or a warning, and errors that nobody caught.
        requests: addresses beyond this machine's files that were asked for; none was let through.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, fragment: str = "") -> Any:
        """Load a file and wait until its scripts have run; returns playwright's page."""
        self.page.goto(path.resolve().as_uri() + fragment, wait_until="load")
        return self.page


@pytest.fixture(scope="session")
def study_page(request: pytest.FixtureRequest) -> Path:
    """The report of a study that has run: the tiny one, or the page that LAMBDASCAPE_PAGE names."""
    given = os.environ.get("LAMBDASCAPE_PAGE")
    if given:
        return Path(given)
    finished: Checkout = request.getfixturevalue("finished")
    return finished.folder / "results/tiny/report/index.html"


@pytest.fixture(scope="session")
def chromium() -> Path:
    found = next((path for path in map(shutil.which, CHROMIUM) if path), None)
    if not found:
        pytest.skip("needs Chromium (apt-get install chromium), which is not there: this test checks no page here")
    return Path(found)


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def watch(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Opens a window of its own, with any setting of playwright's `new_context`; cut off from every network."""
    contexts = []

    def opened(**settings: Any) -> Watched:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        contexts.append(context)
        watched = Watched(context.new_page())
        watched.page.on("console", lambda line: _heard(watched, line))
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        context.route(lambda address: not address.startswith(LOCAL), lambda route: _cut(watched, route))
        watched.page.on("websocket", lambda socket: watched.requests.append(socket.url))
        return watched

    yield opened
    for context in contexts:
        context.close()


def _heard(watched: Watched, line: Any) -> None:
    if line.type in ("error", "warning"):
        watched.complaints.append(f"{line.type}: {line.text}")


def _cut(watched: Watched, route: Any) -> None:
    watched.requests.append(route.request.url)
    route.abort()
