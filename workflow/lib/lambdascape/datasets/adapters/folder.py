"""A folder of audio with a `clips.csv` (path; label, session, fold, node, moment), or without."""

from pathlib import Path

import pandas as pd

from lambdascape.core.declarations import adapter
from lambdascape.datasets.candidates import CANDIDATE, Reject, audio_files, inner_paths, read_csv, unlisted
from lambdascape.datasets.index import TABLE


@adapter("folder", archives=[], index=["clips.csv"], needs_index=False)
def read(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the folder offers.

    Args:
        base: the data set's folder.

    Returns:
        A table with the columns `CANDIDATE`, and rejected rows of audio files that `clips.csv` does not list.
        Without `clips.csv` every audio file is a clip without a label, in a session of its own.

    Raises:
        InputError: `clips.csv` is unreadable or empty, has no column `path`, or a path in it is doubled or
            leads outside.
    """
    if not (base / TABLE).is_file():
        paths = audio_files(base)
        return pd.DataFrame({"path": paths}, dtype=str).reindex(columns=list(CANDIDATE), fill_value=""), []
    table = pd.DataFrame(read_csv(base / TABLE, ["path"]), dtype=str).reindex(columns=list(CANDIDATE), fill_value="")
    table["path"] = inner_paths(table["path"], str(base / TABLE))
    others = [column for column in CANDIDATE if column != "path"]
    table[others] = table[others].apply(lambda column: column.str.strip())
    return table, unlisted(base, table["path"], TABLE)
