"""What the page's script knows, packed small: numbers as base64 of 16-bit integers, texts once each."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.viewer import thumbnails

STEPS = 32767  # a coordinate from -1 to 1 becomes a whole number from -STEPS to STEPS
MOST_POINTS = 65535  # that 16 bits can number
COLUMNS = ("clip", "path", "label", "session", "node", "split")


def page_data(
    points: pd.DataFrame,
    coordinates: pd.DataFrame,
    neighbours: pd.DataFrame,
    predictions: pd.DataFrame,
    sheet: Path,
    sound: pd.DataFrame,
) -> dict[str, Any]:
    """Gather what the script needs.

    Args:
        points: see `points.COLUMNS`.
        coordinates: see `projections.COORDINATE_COLUMNS`.
        neighbours: see `projections.NEIGHBOUR_COLUMNS`.
        predictions: see `predictions.COLUMNS`.
        sheet: the sheet of pictures.
        sound: see `sound.COLUMNS`, as text.

    Returns:
        Plain values: `points`, a mapping of columns, texts as `{names, codes}`; `spaces`, one mapping per space: run;
        views, coordinates (x, y) of every point and share of the variance; near, the neighbours of each point, `k` of
        them; predicted, 1 + index into `classes` or 0; `sheet` and `picture` (width, height, columns); `sound`.

    Raises:
        InputError: there are more points than can be numbered.
    """
    if len(points) > MOST_POINTS:
        raise InputError(f"the viewer must show at most {MOST_POINTS} points; got {len(points)}")
    classes = sorted(set(predictions["predicted"]))
    spaces = [
        {"run": run, "views": {view: _view(part) for view, part in here.groupby("view", sort=False)}}
        | _near(neighbours[neighbours["run"] == run])
        | {"predicted": _predicted(predictions[predictions["run"] == run], classes, len(points))}
        for run, here in coordinates.groupby("run", sort=False)
    ]
    return {
        "points": {column: _coded(points[column]) for column in COLUMNS} | {"start_s": points["start_s"].tolist()},
        "spaces": spaces,
        "classes": classes,
        "sheet": f"data:image/webp;base64,{base64.b64encode(sheet.read_bytes()).decode()}",
        "picture": [thumbnails.WIDTH, thumbnails.HEIGHT, thumbnails.COLUMNS],
        "sound": dict(zip(sound["point"], sound["mp3"], strict=True)),
    }


def json_text(values: Any) -> str:
    """JSON that can be put into a script of HTML: no text in it ends the script or opens a comment."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def packed(values: npt.ArrayLike, dtype: str) -> str:
    """Base64 of whole numbers in little-endian order."""
    return base64.b64encode(np.ascontiguousarray(np.asarray(values), dtype).tobytes()).decode()


def _coded(texts: "pd.Series[str]") -> dict[str, Any]:
    codes, names = pd.factorize(texts, sort=True)
    return {"names": [str(name) for name in names], "codes": packed(codes, "<u2")}


def _view(part: pd.DataFrame) -> dict[str, Any]:
    share = part[["x_share", "y_share"]].iloc[0]
    return {
        "xy": packed(np.round(part[["x", "y"]].to_numpy(float) * STEPS), "<i2"),
        "share": None if share.isna().any() else [round(float(value), 4) for value in share],
        "one_point": bool((part[["x", "y"]] == 0).all(axis=None)),
    }


def _near(neighbours: pd.DataFrame) -> dict[str, Any]:
    k = int(neighbours["rank"].max()) if len(neighbours) else 0
    return {"k": k, "near": packed(neighbours["neighbour"], "<u2")}


def _predicted(predictions: pd.DataFrame, classes: list[str], count: int) -> str:
    codes = np.zeros(count, np.intp)
    codes[predictions["point"].to_numpy(np.intp)] = (
        pd.Index(classes).get_indexer(pd.Index(predictions["predicted"])) + 1
    )
    return packed(codes, "<u2")
