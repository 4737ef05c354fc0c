"""Bokeh's part of the page: an empty plot for each space, which the page's script fills."""

from pathlib import Path
from typing import Any

import pandas as pd

SIDE = 320  # pixels of a map, before it is stretched to its place
EDGE = 1.08  # the points are within ±1
SIZES = ((600, 9.0), (1500, 7.0), (3000, 5.5))  # up to so many points, size of one in pixels
SMALLEST = 4.5
MARKS = "overlay"  # a layer of its own: a click redraws the marks, not the points
LOOKS = ("x", "y", "colour", "alpha", "marker")
SELF, RING, CROSS = 23, 15, 11  # pixels


def plots(points: pd.DataFrame, count: int) -> list[dict[str, Any]]:
    """Empty plots as Bokeh embeds them.

    Args:
        points: the points that will be shown, for their number and what can be said of them.
        count: how many plots.

    Returns:
        Bokeh's JSON of each: a figure with the sources `points` (x, y, colour, alpha, marker, texts of the tooltip),
        `ring` (x, y: neighbours here), `cross` (x, y: neighbours elsewhere), `self` (x, y) and `line` (x0, y0, x1, y1).
    """
    from bokeh.embed import json_item

    return [dict(json_item(_plot(points))) for _ in range(count)]


def _plot(points: pd.DataFrame) -> Any:
    from bokeh.models import BoxZoomTool, ColumnDataSource, HoverTool, PanTool, Range1d, ResetTool, WheelZoomTool
    from bokeh.plotting import figure

    said = [name for name in ("class", "session", "node") if _differs(points, "label" if name == "class" else name)]
    sources = {
        "points": ColumnDataSource({name: [] for name in (*LOOKS, "clip", "start", *said)}),
        "line": ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1")}),
    } | {name: ColumnDataSource({"x": [], "y": []}) for name in ("ring", "cross", "self")}
    for name, source in sources.items():
        source.name = name
    tools = [PanTool(), WheelZoomTool(), BoxZoomTool(match_aspect=True), ResetTool()]
    plot: Any = figure(
        width=SIDE,
        height=SIDE,
        aspect_ratio=1,
        sizing_mode="stretch_width",
        x_range=Range1d(-EDGE, EDGE),
        y_range=Range1d(-EDGE, EDGE),
        tools=tools,
        toolbar_location="above",
        active_drag=None,
        active_scroll=None,
        background_fill_color=None,
        outline_line_color=None,
        border_fill_color=None,
        min_border=2,
        name="map",
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.axis.visible = False
    plot.grid.visible = False
    size = next((size for most, size in SIZES if len(points) <= most), SMALLEST)
    plot.segment("x0", "y0", "x1", "y1", source=sources["line"], line_width=1, line_alpha=0.7, level=MARKS, name="ink")
    dots = plot.scatter(
        "x", "y", source=sources["points"], size=size, marker="marker", fill_color="colour", fill_alpha="alpha",
        line_color=None, name="dots",
    )  # fmt: skip
    plot.scatter(
        "x", "y", source=sources["cross"], size=CROSS, marker="x", line_width=2, name="ink", alpha=0.8, level=MARKS
    )
    for name, size, marker, width in (("ring", RING, "circle", 2.2), ("self", SELF, "circle_dot", 2.6)):
        plot.scatter(
            "x", "y", source=sources[name], size=size, marker=marker, fill_color=None, line_width=width, level=MARKS,
            name="ink",
        )  # fmt: skip
    dots.selection_glyph = dots.nonselection_glyph = None
    hover = HoverTool(
        renderers=[dots],
        tooltips=[(name, f"@{name}") for name in (*said, "clip", "start")],
        point_policy="snap_to_data",
        line_policy="none",
        attachment="vertical",
    )
    plot.add_tools(hover)
    plot.toolbar.active_inspect = hover
    return plot


def _differs(points: pd.DataFrame, column: str) -> bool:
    return bool(points[column].ne("").any())


def bokeh_script() -> str:
    """BokehJS, as it comes with Bokeh; no plot here uses what it would load from elsewhere (fonts, formulas)."""
    from bokeh.settings import settings

    return (Path(settings.bokehjs_path()) / "js" / "bokeh.min.js").read_text(encoding="utf-8")
