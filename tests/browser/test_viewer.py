"""The viewer in a real browser: maps, marks, pictures and sound, by mouse and keyboard, light and dark, on a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.spatial.distance import cdist

from lambdascape.core.tsv import read_table, write_table
from lambdascape.viewer.points import TEXT
from lambdascape.viewer.viewer_page import write_viewer
from support.viewers import ABOUT, viewer_files

from .conftest import Watched

Watch = Callable[..., Watched]
READY = "#viewer[data-ready]"
# What the tests look at; the page itself keeps its state to itself.
STATE = """() => ({
  tile: document.getElementById("viewer-audio").dataset.tile,
  source: (document.getElementById("viewer-audio").getAttribute("src") || "").slice(0, 22),
  said: document.getElementById("viewer-said").textContent,
  number: document.getElementById("viewer-tile").value,
  ringed: [...document.querySelectorAll(".viewer-map")].map((map) => map.dataset.ringed),
  clicked: [...document.querySelectorAll(".viewer-map")].map((map) => map.classList.contains("viewer-clicked")),
})"""
SOURCE = """([name, map]) => {
  const data = Bokeh.documents[map].get_model_by_name(name).data;
  return Object.fromEntries(Object.entries(data).map(([key, values]) => [key, Array.from(values)]));
}"""


@pytest.fixture(scope="session")
def viewer_page(study_page: Path) -> Path:
    return study_page.parents[1] / "viewer" / "index.html"


@pytest.fixture
def opened(watch: Watch, viewer_page: Path) -> Iterator[Callable[..., Any]]:
    """Opens the viewer, or another page; at the end of the test it must have kept quiet and asked for nothing."""
    windows = []

    def start(path: Path = viewer_page, **settings: Any) -> Any:
        windows.append(watch(**settings))
        page = windows[-1].open(path)
        page.wait_for_selector(READY, timeout=30_000)
        return page

    yield start
    for watched in windows:
        assert watched.complaints == []
        assert watched.requests == []


def choose(page: Any, tile: int) -> None:
    page.fill("#viewer-tile", str(tile))
    page.press("#viewer-tile", "Enter")


def source(page: Any, name: str, index: int = 0) -> dict[str, list[Any]]:
    return dict(page.evaluate(SOURCE, [name, index]))


def place(page: Any, tile: int, index: int = 0) -> tuple[float, float]:
    box = page.evaluate(
        """([tile, map]) => {
          document.getElementById(`viewer-plot-${map}`).scrollIntoView({ block: "center" });
          const doc = Bokeh.documents[map], plot = doc.roots()[0], data = doc.get_model_by_name("points").data;
          const frame = Bokeh.index.get_one(plot) ?? Bokeh.index[plot.id];
          const canvas = document.getElementById(`viewer-plot-${map}`).getBoundingClientRect();
          const inner = frame.frame.bbox, outer = frame.canvas_view.el.getBoundingClientRect();
          const { x_range, y_range } = plot;
          const across = (data.x[tile] - x_range.start) / (x_range.end - x_range.start);
          const down = (y_range.end - data.y[tile]) / (y_range.end - y_range.start);
          return [outer.left + inner.left + inner.width * across, outer.top + inner.top + inner.height * down];
        }""",
        [tile, index],
    )
    return box[0], box[1]


def write_again(folder: Path, output: Path, others: dict[str, Path]) -> Path:
    """The viewer of a stage's files, some of them replaced, of a study whose audio may not be passed on."""
    files = viewer_files(folder) | {"runs": folder.parent / "runs.tsv", "audit": folder.parent / "tables/audit.tsv"}
    about = ABOUT | {"licence": "none", "redistributable": False, "tile_s": 0.3, "points": 2000, "neighbours": 5}
    write_viewer(files | others, about, output / "viewer.html", output / "index.html")
    return output / "index.html"


def neighbours_of(viewer_page: Path, tile: int) -> list[str]:
    table = read_table(viewer_page.parent / "neighbours.tsv", ("run",))
    runs = read_table(viewer_page.parent / "coordinates.tsv", ("run", "view"))["run"].unique()
    return [
        " ".join(map(str, table[(table["run"] == run) & (table["point"] == tile)].sort_values("rank")["neighbour"]))
        for run in runs
    ]


def test_a_click_plays_the_tile_and_marks_its_neighbours(opened: Callable[..., Any], viewer_page: Path) -> None:
    page = opened()
    page.evaluate("""() => { window.played = [];
      const play = HTMLMediaElement.prototype.play;
      HTMLMediaElement.prototype.play = function () { window.played.push(this.dataset.tile); return play.call(this); };
      document.getElementById("viewer-audio").addEventListener("playing", () => { window.playing = true; }); }""")
    data = source(page, "points", 1)
    xy = np.column_stack([data["x"], data["y"]])
    gaps = np.sort(cdist(xy, xy), axis=1)[:, 1]
    heard = read_table(viewer_page.parent / "sound.tsv", ("mp3",))["point"].tolist()
    tile = max(heard, key=lambda point: gaps[point])  # the one that no other hides
    page.mouse.click(*place(page, tile, 1))
    page.wait_for_function("() => window.playing === true", timeout=10_000)
    state = page.evaluate(STATE)
    assert state["number"] == state["tile"] == str(tile)
    assert page.evaluate("() => window.played") == [str(tile)]
    assert state["source"] == "data:audio/mpeg;base64"
    assert state["ringed"] == neighbours_of(viewer_page, tile)
    assert state["clicked"] == [index == 1 for index in range(len(state["clicked"]))]
    for index, ringed in enumerate(state["ringed"]):
        dots = source(page, "points", index)
        marked = source(page, "ring", index)
        tiles = [int(number) for number in ringed.split()]
        assert marked["x"] == pytest.approx([dots["x"][other] for other in tiles])
        assert source(page, "self", index)["y"] == pytest.approx([dots["y"][tile]])
        here, there = set(tiles), set(map(int, state["ringed"][1].split()))
        assert len(source(page, "cross", index)["x"]) == len(there - here)
    page.wait_for_function("() => document.getElementById('viewer-audio').ended", timeout=10_000)


def test_neighbours_play_by_keyboard_and_show_pictures(opened: Callable[..., Any], viewer_page: Path) -> None:
    page = opened()
    page.focus("#viewer-tile")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('viewer-audio').dataset.tile === '3'")
    first = neighbours_of(viewer_page, 3)[0].split()[0]
    page.focus("#viewer-near button")
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => document.getElementById('viewer-audio').dataset.tile === '{first}'")
    assert page.evaluate(STATE)["number"] == "3"
    painted = """(selector) => [...document.querySelectorAll(selector)].every((canvas) => {
      const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return new Set(pixels).size > 8; })"""
    page.wait_for_function(painted, arg="#viewer-picture, #viewer-near canvas")
    points = read_table(viewer_page.parent / "points.tsv", TEXT)
    assert points["clip"][3] in page.inner_text("#viewer-facts")
    page.click('[data-step="1"]')
    assert page.evaluate(STATE)["number"] == "4"


def test_colours_and_views_switch(opened: Callable[..., Any], viewer_page: Path) -> None:
    page = opened()
    before = source(page, "points")
    classes = read_table(viewer_page.parent / "points.tsv", TEXT)["label"].nunique()
    assert len(set(before["colour"])) == len(page.query_selector_all("#viewer-key button")) == classes
    for column in ("session", "node", "split", "correct"):
        page.select_option("#viewer-colour", column)
        assert len(page.query_selector_all("#viewer-key button")) >= 2
        assert source(page, "points")["x"] == before["x"]
    assert page.inner_text("#viewer-key").split("\n")[:2] == ["right", "wrong"]
    predictions = read_table(viewer_page.parent / "predictions.tsv", ("run", "predicted"))
    points = read_table(viewer_page.parent / "points.tsv", TEXT)
    first = predictions[predictions["run"] == predictions["run"].iloc[0]]
    right = int((points["label"].iloc[first["point"]].to_numpy() == first["predicted"].to_numpy()).sum())
    assert source(page, "points")["colour"].count("#0173b2") == right
    page.select_option("#viewer-colour", "label")
    page.click("#viewer-key button")
    alone = source(page, "points")["alpha"]
    assert len(set(alone)) == 2
    page.click("#viewer-key button")
    assert len(set(source(page, "points")["alpha"])) == 1
    page.check('input[value="umap"]')
    coordinates = read_table(viewer_page.parent / "coordinates.tsv", ("run", "view"))
    run = coordinates["run"].iloc[0]
    for view in ("umap", "pca"):
        page.check(f'input[value="{view}"]')
        expected = coordinates[(coordinates["run"] == run) & (coordinates["view"] == view)]
        assert source(page, "points")["x"] == pytest.approx(expected["x"].tolist(), abs=1e-4)


def test_marks_follow_light_and_dark(opened: Callable[..., Any]) -> None:
    page = opened(color_scheme="dark")
    ink = """() => Bokeh.documents[0].roots()[0].renderers.filter((drawn) => drawn.name === "ink").map(
      ({ glyph }) => glyph.line_color.value ?? glyph.line_color)"""
    assert set(page.evaluate(ink)) == {"rgb(230, 233, 237)"}
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"() => ({ink})().every((colour) => colour === 'rgb(31, 35, 40)')")


def test_on_a_phone_maps_stand_below_one_another_and_nothing_is_cut(opened: Callable[..., Any]) -> None:
    page = opened(viewport={"width": 360, "height": 740}, has_touch=True)
    boxes = [part.bounding_box() for part in page.query_selector_all(".viewer-plot")]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 360 for box in boxes)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    page.touchscreen.tap(*place(page, 0))
    page.wait_for_function("() => !document.getElementById('viewer-panel').hidden")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_a_folder_is_played_from_the_start_of_the_tile(
    opened: Callable[..., Any], viewer_page: Path, tmp_path: Path
) -> None:
    points = read_table(viewer_page.parent / "points.tsv", TEXT)
    write_table(pd.DataFrame(columns=["point", "mp3"]), tmp_path / "sound.tsv")
    written = write_again(viewer_page.parent, tmp_path, {"sound": tmp_path / "sound.tsv"})
    tile = int((points["start_s"] > 0).idxmax())
    audio = tmp_path / "set" / points["path"][tile]
    audio.parent.mkdir(parents=True)
    soundfile.write(audio, np.zeros(16000 * 12), 16000)
    page = opened(written)
    choose(page, len(points))
    assert page.inner_text("#viewer-said") == f"There are tiles 0 to {len(points) - 1}."
    choose(page, tile)
    assert "No sound here" in page.inner_text("#viewer-said")
    assert page.is_visible("#viewer-silent")
    page.set_input_files("#viewer-files", tmp_path / "set")
    assert page.inner_text("#viewer-found").startswith("1 of ")
    page.press("#viewer-tile", "Enter")
    page.click('[data-step="-1"]')
    page.click('[data-step="1"]')
    page.wait_for_function("() => document.getElementById('viewer-said').textContent.startsWith('Playing')")
    page.wait_for_function("() => document.getElementById('viewer-audio').paused")
    stopped = page.evaluate("() => document.getElementById('viewer-audio').currentTime")
    start = points["start_s"][tile]
    assert start + 0.3 <= stopped <= start + 1.0
    again = page.evaluate("""() => new Promise((resolve) => {
      const audio = document.getElementById("viewer-audio");
      audio.addEventListener("seeked", () => { window.from = audio.currentTime; }, { once: true });
      audio.addEventListener("pause", () => resolve([window.from, audio.currentTime]), { once: true });
      audio.play(); })""")
    assert start <= again[0] <= start + 0.2
    assert start + 0.3 <= again[1] <= start + 1.0
    assert not page.is_visible("#viewer-silent")


def test_findings_of_the_audit_play(opened: Callable[..., Any], viewer_page: Path, tmp_path: Path) -> None:
    folder = viewer_page.parent
    heard = read_table(folder / "sound.tsv", ("mp3",))["point"].tolist()[:2]
    found = read_table(folder / "points.tsv", TEXT).loc[heard, ["clip", "label", "session", "node", "start_s"]]
    audit = found.assign(kind=["label", "far"], neighbours=["x", ""], share=[1.0, np.nan], spaces=3, of=4, distance=0.5)
    write_table(audit, tmp_path / "audit.tsv")
    page = opened(write_again(folder, tmp_path, {"audit": tmp_path / "audit.tsv"}))
    page.evaluate("""() => document.getElementById("viewer-audio").addEventListener(
      "playing", (event) => { window.playing = event.target.dataset.tile; })""")
    buttons = page.query_selector_all(".viewer-audit [data-tile]")
    assert [button.get_attribute("data-tile") for button in buttons] == [str(tile) for tile in heard]
    for button, tile in zip(buttons, heard, strict=True):
        button.click()
        page.wait_for_function(f"() => window.playing === '{tile}'", timeout=10_000)
        assert page.evaluate(STATE)["number"] == str(tile)


def test_what_is_faded_is_not_hit_and_the_picture_is_in_sight(opened: Callable[..., Any], viewer_page: Path) -> None:
    page = opened()
    labels = read_table(viewer_page.parent / "points.tsv", TEXT)["label"]
    data = source(page, "points")
    page.click("#viewer-key button")
    alone = [alpha > 0.1 for alpha in source(page, "points")["alpha"]]
    assert len(set(labels[alone])) == 1
    faded = [tile for tile in range(len(labels)) if not alone[tile]]
    xy, shown = np.column_stack([data["x"], data["y"]]), np.array(alone)
    far = faded[cdist(xy[~shown], xy[shown]).min(axis=1).argmax()]
    page.mouse.click(*place(page, far, 0))
    page.wait_for_timeout(700)  # longer than a double click takes
    assert page.is_hidden("#viewer-panel")
    page.click("#viewer-key button")
    page.mouse.click(*place(page, far, 0))
    page.wait_for_function("() => !document.getElementById('viewer-panel').hidden")
    box = page.query_selector("#viewer-picture").bounding_box()
    assert box["height"] > 60
    assert 0 <= box["y"] <= 900 - box["height"]
