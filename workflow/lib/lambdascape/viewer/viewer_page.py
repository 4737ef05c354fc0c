"""The viewer as a piece of HTML for the report, and as a page of its own: all inlined, nothing fetched."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lambdascape.core.files import write_text
from lambdascape.core.tsv import read_table, read_text_table
from lambdascape.embeddings.shown import place_of
from lambdascape.geometry.label_audit import KINDS
from lambdascape.geometry.label_audit import TEXT as AUDIT_TEXT
from lambdascape.study.run_table import mapped_runs, read_sweep
from lambdascape.viewer.data import json_text, page_data
from lambdascape.viewer.plots import bokeh_script, plots
from lambdascape.viewer.points import TEXT, shown_findings
from lambdascape.viewer.sound import RATE

VIEW_NAMES = {"pca": "PCA", "umap": "UMAP"}
AUDIT_COLUMNS = {"label": "Class", "session": "Session", "node": "Node"}
GROUPS = {"label": "class", "session": "session", "node": "node", "split": "split"}


def write_viewer(
    tables: Mapping[str, str | Path], about: Mapping[str, Any], fragment: str | Path, page: str | Path
) -> None:
    """Write the viewer.

    Args:
        tables: paths, by name: template (Jinja2, of the piece), around (of the page around it), style, script; runs,
            points, coordinates, neighbours, predictions, audit, pictures, sound, attribution.
        about: study, synthetic, title and licence of the data, redistributable, tile_s, fmin and fmax of its pictures,
            points (that may be shown), neighbours.
        fragment: HTML to write, for the body of a page whose policy lets the scripts of `script_sources` run,
            images come from `data:` and sound from `data:` and `blob:`. Its colours are the report's custom properties.
        page: HTML to write: the piece as a page of its own.
    """
    points = read_table(tables["points"], TEXT)
    audit = read_table(tables["audit"], AUDIT_TEXT)
    shown = findings(shown_findings(audit).sort_index(), points)
    coordinates = read_table(tables["coordinates"], ("run", "view"))
    predictions = read_table(tables["predictions"], ("run", "predicted"))
    sound = read_text_table(tables["sound"])
    sweep = read_sweep(tables["runs"])
    words = dict(mapped_runs(sweep))
    spaces = {run: words[run].replace("\n", ", ") for run in coordinates["run"].unique()}
    data = {"plots": plots(points, len(spaces))} | page_data(
        points, coordinates, read_table(tables["neighbours"], ("run",)), predictions, Path(tables["pictures"]), sound
    )
    media = {name: data.pop(name) for name in ("sheet", "sound")}  # parsed when they are first needed
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

    def rendered(template: str, **values: Any) -> str:
        return environment.from_string(Path(tables[template]).read_text(encoding="utf-8")).render(about=about, **values)

    piece = rendered(
        "template",
        spaces=list(spaces.values()),
        views={view: VIEW_NAMES[view] for view in coordinates["view"].unique()},
        groups=colourings(points, predictions),
        symbol=sweep.symbol,
        findings=shown,
        found=len(audit),
        kinds={kind: words for kind, words in KINDS.items() if (audit["kind"] == kind).any()},
        told={column: name for column, name in AUDIT_COLUMNS.items() if audit[column].ne("").any()},
        points=len(points),
        common=int(points["of"].iloc[0]),
        heard=len(sound),
        rate=RATE // 1000,
        attribution=Path(tables["attribution"]).read_text(encoding="utf-8"),
        style=Markup(Path(tables["style"]).read_text(encoding="utf-8")),
        bokeh=Markup(bokeh_script()),
        script=Markup(Path(tables["script"]).read_text(encoding="utf-8")),
        data=Markup(json_text(data | {"words": spaces, "tile_s": about["tile_s"]})),
        media=Markup(json_text(media)),
    )
    write_text(piece, fragment)
    write_text(rendered("around", piece=Markup(piece), scripts=" ".join(script_sources(piece))), page)


def script_sources(html: str) -> list[str]:
    """The sources that a content security policy must list for the scripts of a piece of HTML: `'sha256-…'` of each."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)  # data, which have a type, do not run
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]


def colourings(points: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, str]:
    """Columns by which points can be coloured, with names; columns without differences are left out."""
    there = {column: name for column, name in GROUPS.items() if points[column].nunique() > 1}
    return there | ({"correct": "correctness of the probe"} if len(predictions) else {})


def findings(audit: pd.DataFrame, points: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of the audit whose tile is among the points, with the number of the point."""
    if audit.empty:
        return []
    rows = audit.assign(point=place_of(points).get_indexer(place_of(audit))).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows if row["point"] >= 0]
