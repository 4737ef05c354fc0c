"""What the viewer of a study is written from."""

from pathlib import Path
from typing import Any

PARTS = Path(__file__).parents[2] / "workflow/report/viewer"
ABOUT: dict[str, Any] = {
    "study": "demo", "synthetic": True, "title": "Rooms", "licence": "free", "redistributable": True, "tile_s": 2.0,
    "fmin": 50, "fmax": 8000, "points": 40, "neighbours": 3,
}  # fmt: skip


def viewer_files(folder: Path) -> dict[str, str | Path]:
    """The files of the stage in a folder, and the workflow's templates; runs.tsv and audit.tsv lie there, too."""
    parts = {"template": "viewer.html.j2", "around": "around.html.j2", "style": "style.css", "script": "viewer.js"}
    names = ("runs", "points", "coordinates", "neighbours", "predictions", "audit", "sound")
    return {
        **{name: PARTS / file for name, file in parts.items()},
        **{name: folder / f"{name}.tsv" for name in names},
        "pictures": folder / "pictures.webp",
        "attribution": folder / "attribution.txt",
    }
