"""The tiles that the viewer shows: the same on every map, drawn by class and session, findings of the audit first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.audit import TEXT as AUDIT_TEXT
from lambdascape.files import read_table, read_text_table, write_table
from lambdascape.measured import draw_tiles
from lambdascape.viewer.spaces import common_tiles, place_of, shown_spaces

COLUMNS = ["point", "clip", "path", "channel", "label", "session", "node", "moment", "split", "start_s"]
TEXT = ("clip", "path", "channel", "label", "session", "node", "moment", "split")
MOST_FINDINGS = 100  # of the audit, that are shown


def draw_points(
    runs: str | Path,
    embeddings: Sequence[str | Path],
    names: Sequence[str],
    clips: str | Path,
    audit: str | Path,
    test_fold: str,
    count: int,
    seed: int,
    output: str | Path,
) -> None:
    """Draw the tiles to show: each class × session with its share, and first of all the findings of the audit.

    Args:
        runs: runs.tsv.
        embeddings: HDF5 files of spaces.
        names: the space of each file, in the same order.
        clips: clips.tsv of the data set.
        audit: audit.tsv.
        test_fold: the fold held out.
        count: tiles to show, at most; at least 1.
        seed: seed of the draw.
        output: table `COLUMNS`: point is a number from 0; path of the audio file in the data set's folder and its
            channel (empty for the mean of all); split is `held out` or `training`.

    Raises:
        InputError: the spaces share no tile.
    """
    tiles = common_tiles(shown_spaces(runs, embeddings, names))
    findings = read_table(audit, AUDIT_TEXT).head(MOST_FINDINGS)
    drawn = tiles.iloc[choose(tiles, findings, count, seed)]
    files = read_text_table(clips).set_index("clip")[["path", "channel"]]
    points = drawn.join(files, on="clip").assign(
        point=np.arange(len(drawn)), split=np.where(drawn["fold"] == test_fold, "held out", "training")
    )
    write_table(points[COLUMNS], output)


def choose(tiles: pd.DataFrame, findings: pd.DataFrame, count: int, seed: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Rows of at most `count` tiles: those of the findings, and of the others each class × session with its share.

    Args:
        tiles: one row per tile: clip, start_s, label, session.
        findings: clip and start_s of tiles that shall be there, the most important first.
        count: how many tiles, at least 1.
        seed: seed of the draw.

    Returns:
        Row numbers, ascending.
    """
    rows = place_of(tiles).get_indexer(place_of(findings)) if len(findings) else np.zeros(0, np.intp)
    first = pd.unique(rows[rows >= 0])[:count]
    others = np.setdiff1d(np.arange(len(tiles)), first)
    stratum = (tiles["label"] + "\t" + tiles["session"]).to_numpy(object)[others]
    return np.sort(np.concatenate([first, others[draw_tiles(stratum, count - len(first), seed)]]))
