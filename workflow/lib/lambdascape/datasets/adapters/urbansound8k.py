"""UrbanSound8K as its archive holds it: `audio/fold<n>/`, listed in `metadata/UrbanSound8K.csv`."""

from pathlib import Path

import pandas as pd

from lambdascape.core.declarations import adapter
from lambdascape.datasets.candidates import CANDIDATE, Reject, inner_paths, read_csv, unlisted
from lambdascape.datasets.index import URBANSOUND8K_META


@adapter("urbansound8k", archives=["UrbanSound8K"], index=["metadata/UrbanSound8K.csv"])
def read(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the data set offers.

    A session is one Freesound recording (`fsID`), from which all slices of up to 4 s were cut; the ten folds keep
    recordings whole.

    Args:
        base: the folder that holds `metadata/UrbanSound8K.csv`.

    Returns:
        A table with the columns `CANDIDATE`, and rejected rows of audio files that the index does not list.

    Raises:
        InputError: the index is malformed, or a path in it is doubled or leads outside.
    """
    rows = read_csv(base / URBANSOUND8K_META, ["slice_file_name", "fsID", "fold", "class"])
    paths = (f"audio/fold{row['fold']}/{row['slice_file_name']}" for row in rows)
    clips = pd.DataFrame(
        {
            "path": inner_paths(paths, str(base / URBANSOUND8K_META)),
            "label": [row["class"] for row in rows],
            "session": [row["fsID"] for row in rows],
            "fold": [f"fold{row['fold']}" for row in rows],
        },
        dtype=str,
    )
    return clips.reindex(columns=list(CANDIDATE), fill_value=""), unlisted(base, clips["path"], URBANSOUND8K_META)
