"""ESC-50 as its archive holds it: `audio/<fold>-<source>-<take>-<target>.wav`, listed in `meta/esc50.csv`."""

from pathlib import Path

import pandas as pd

from lambdascape.core.declarations import adapter
from lambdascape.datasets.candidates import CANDIDATE, Reject, inner_paths, read_csv, unlisted
from lambdascape.datasets.index import ESC50_META


@adapter("esc50", archives=["ESC-50-*"], index=["meta/esc50.csv"])
def read(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the data set offers.

    A session is one Freesound recording (`src_file`), of which several takes may be clips; the five folds keep
    recordings whole.

    Args:
        base: the folder that holds `meta/esc50.csv`.

    Returns:
        A table with the columns `CANDIDATE`, and rejected rows of audio files that the index does not list.

    Raises:
        InputError: the index is malformed, or a path in it is doubled or leads outside.
    """
    rows = read_csv(base / ESC50_META, ["filename", "fold", "category", "src_file"])
    clips = pd.DataFrame(
        {
            "path": inner_paths((f"audio/{row['filename']}" for row in rows), str(base / ESC50_META)),
            "label": [row["category"] for row in rows],
            "session": [row["src_file"] for row in rows],
            "fold": [f"fold{row['fold']}" for row in rows],
        },
        dtype=str,
    )
    return clips.reindex(columns=list(CANDIDATE), fill_value=""), unlisted(base, clips["path"], ESC50_META)
