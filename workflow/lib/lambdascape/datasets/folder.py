"""A folder of audio with a `clips.csv` (path; label, session, fold, node, moment), or without."""

import csv
from pathlib import Path

import pandas as pd

from lambdascape.datasets.index import TABLE
from lambdascape.datasets.listing import CANDIDATE, Reject, audio_files, inner_paths, unlisted
from lambdascape.errors import InputError


def read(root: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the folder offers.

    Args:
        root: the data set's folder.

    Returns:
        A table with the columns `CANDIDATE`, and rejected rows of audio files that `clips.csv` does not list.
        Without `clips.csv` every audio file is a clip without a label, in a session of its own.

    Raises:
        InputError: `clips.csv` is unreadable or empty, has no column `path`, or a path in it is doubled or
            leads outside.
    """
    if not (root / TABLE).is_file():
        paths = audio_files(root)
        return pd.DataFrame({"path": paths}, dtype=str).reindex(columns=list(CANDIDATE), fill_value=""), []
    table = _read_csv(root / TABLE)
    table["path"] = inner_paths(table["path"], str(root / TABLE))
    return table, unlisted(root, table["path"], TABLE)


def _read_csv(path: Path) -> pd.DataFrame:
    """The known columns of a comma-separated table as text; spaces around values but paths do not count."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: must be a comma-separated table in UTF-8; {error}") from None
    if "path" not in header or len(set(header)) < len(header):
        raise InputError(
            f"{path}: needs a column `path`, and no column twice; its columns are {', '.join(header) or 'none'}"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}, line {line}: must have {len(header)} values like the header; got {len(row)}")
    if not rows:
        raise InputError(f"{path}: must list at least one clip; it has only a header")
    table = pd.DataFrame([row for _, row in rows], columns=header, dtype=str)
    table = table.reindex(columns=list(CANDIDATE), fill_value="")
    others = [column for column in CANDIDATE if column != "path"]
    table[others] = table[others].apply(lambda column: column.str.strip())
    return table
