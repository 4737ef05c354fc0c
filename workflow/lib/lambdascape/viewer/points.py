"""The tiles that the viewer shows: the same on every map, sampled by class and session, findings of the audit first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.core.tsv import read_table, read_text_table, write_table
from lambdascape.embeddings.held_out import sample_tiles
from lambdascape.embeddings.shown import common_tiles, place_of, shown_spaces
from lambdascape.geometry.label_audit import TEXT as AUDIT_TEXT

COLUMNS = ["point", "clip", "path", "channel", "label", "session", "node", "moment", "split", "start_s", "of"]
TEXT = ("clip", "path", "channel", "label", "session", "node", "moment", "split")
MOST_FINDINGS = 100  # of the audit, that are shown: of each kind as many, where there are


def sample_points(
    runs: str | Path,
    embeddings: Sequence[str | Path],
    names: Sequence[str],
    clips: str | Path,
    audit: str | Path,
    test_fold: str,
    most: int,
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
        most: tiles to show, at most; at least 1.
        seed: of the random sample.
        output: table `COLUMNS`: point is a number from 0; path of the audio file in the data set's folder and its
            channel (empty for the mean of all); split is `held out` or `training`; of, how many tiles
            all were sampled from.

    Raises:
        InputError: the spaces share no tile.
    """
    tiles = common_tiles(shown_spaces(runs, embeddings, names))
    drawn = tiles.iloc[choose(tiles, shown_findings(read_table(audit, AUDIT_TEXT)), most, seed)]
    files = read_text_table(clips).set_index("clip")[["path", "channel"]]
    points = drawn.join(files, on="clip").assign(
        point=np.arange(len(drawn)), split=np.where(drawn["fold"] == test_fold, "held out", "training"), of=len(tiles)
    )
    write_table(points[COLUMNS], output)


def shown_findings(audit: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_FINDINGS` rows of the audit, its kinds in turn: many of one kind do not hide another."""
    turn = audit.groupby("kind").cumcount().sort_values(kind="stable")
    return audit.loc[turn.index[:MOST_FINDINGS]]


def choose(tiles: pd.DataFrame, findings: pd.DataFrame, count: int, seed: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Rows of at most `count` tiles: those of the findings, and of the others each class × session with its share.

    Args:
        tiles: one row per tile: clip, start_s, label, session.
        findings: clip and start_s of tiles that shall be there, the most important first.
        count: how many tiles, at least 1.
        seed: of the random sample.

    Returns:
        Row numbers, ascending.
    """
    rows = place_of(tiles).get_indexer(place_of(findings)) if len(findings) else np.zeros(0, np.intp)
    first = pd.unique(rows[rows >= 0])[:count]
    others = np.setdiff1d(np.arange(len(tiles)), first)
    stratum = (tiles["label"] + "\t" + tiles["session"]).to_numpy(object)[others]
    return np.sort(np.concatenate([first, others[sample_tiles(stratum, count - len(first), seed, fair_to_small=True)]]))
