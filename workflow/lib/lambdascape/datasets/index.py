"""The files that say what the clips of a data set are; quick to import: it runs when the workflow is read."""

import hashlib
from pathlib import Path
from typing import Any

from lambdascape.datasets.listing import audio_files, natural

TABLE = "clips.csv"  # of a folder
META = "meta.txt"  # of DCASE 2018 Task 5
ARCHIVE = "DCASE2018-task5-dev"  # the folder that its archives make


def meta_folder(root: Path) -> Path:
    """The folder of `meta.txt`: `root`, or the archives' own folder in it."""
    inner = root / ARCHIVE
    return inner if (inner / META).is_file() and not (root / META).is_file() else root


def index_files(root: str | Path, adapter: str) -> list[Path]:
    """The index files that are there, in a fixed order; none where the data set does not exist yet.

    Args:
        root: the data set's folder.
        adapter: demo, dcase2018_task5 or folder.
    """
    if adapter == "folder":
        files = [Path(root) / TABLE]
    else:
        base = meta_folder(Path(root))
        folds = sorted(base.glob("evaluation_setup/fold*.txt"), key=lambda path: natural(path.name))
        files = [base / META, *folds]
    return [file for file in files if file.is_file()]


def source_digest(root: str | Path, settings: dict[str, Any]) -> str:
    """A quick fingerprint of what a data set lists, for the params of the rule that makes its manifest.

    Over the index files and, for a folder, over the names and sizes of its audio files, so that a file that was
    missing or broken is looked at again. The same wherever the folder lies.

    Args:
        root: the data set's folder.
        settings: `adapter`.

    Returns:
        16 hexadecimal digits; '' where there is nothing to read yet.
    """
    root = Path(root)
    try:
        files = index_files(root, settings["adapter"])
        parts = [f"{file.relative_to(root)}\n".encode() + file.read_bytes() for file in files]
        if settings["adapter"] == "folder":
            parts += [
                f"{name}\n{(root / name).lstat().st_size}\n".encode("utf-8", "surrogateescape")
                for name in audio_files(root)
            ]
    except OSError:  # the job that reads them in full says what is wrong
        return ""
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16] if parts else ""
