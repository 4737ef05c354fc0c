"""The files that say what the clips of a data set are; quick to import: it runs when the workflow is read."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.datasets.candidates import audio_files, natural

TABLE = "clips.csv"  # of a folder
META, MAP = "meta.txt", "evaluation_setup/map.txt"  # of DCASE 2018 Task 5, development and evaluation set
TAU_META = "meta.csv"
ESC50_META = "meta/esc50.csv"
URBANSOUND8K_META = "metadata/UrbanSound8K.csv"


def layout_of(adapter: str, plugins: Sequence[str] = ()) -> dict[str, Any]:
    """How a data set's files lie: the options of `declarations.adapter`."""
    return declared("adapter", plugins)[adapter].options


def data_folder(root: Path, adapter: str, plugins: Sequence[str] = ()) -> Path:
    """The folder to which a data set's own paths are relative: `root`, or the folder in it that its archives make.

    Args:
        root: the data set's folder.
        adapter: name of a `declarations.adapter`.
        plugins: files of the user that may declare it.

    Raises:
        InputError: no index is there.
    """
    layout = layout_of(adapter, plugins)
    if not layout["needs_index"]:
        return root
    inner = [folder for pattern in layout["archives"] for folder in sorted(root.glob(pattern))]
    for base in (root, *inner):
        if any((base / file).is_file() for file in layout["index"]):
            return base
    names, folders = " or ".join(layout["index"]), " or ".join(layout["archives"])
    raise InputError(
        f"{root}: must hold {names}, or a folder {folders} with it; neither is there. Unpack the archives there."
    )


def index_files(root: str | Path, adapter: str, plugins: Sequence[str] = ()) -> list[Path]:
    """The index files that are there, in a fixed order; none where the data set does not exist yet.

    Args:
        root: the data set's folder.
        adapter: see `data_folder`.
        plugins: see `data_folder`.
    """
    root = Path(root)
    try:
        base = data_folder(root, adapter, plugins)
    except InputError:
        return []
    layout = layout_of(adapter, plugins)
    lists = sorted(base.glob(layout["lists"]), key=lambda path: natural(path.name)) if layout["lists"] else []
    files = dict.fromkeys([*(base / file for file in layout["index"]), *lists])
    return [file for file in files if file.is_file()]


def source_digest(root: str | Path, adapter: str, plugins: Sequence[str] = ()) -> str:
    """A quick fingerprint of what a data set lists, for the params of the rule that makes its manifest.

    Over the index files and, for a folder, over the names and sizes of its audio files, so that a file that was
    missing or broken is looked at again. The same wherever the folder lies.

    Args:
        root: the data set's folder.
        adapter: see `data_folder`.
        plugins: see `data_folder`.

    Returns:
        16 hexadecimal digits; '' where there is nothing to read yet.
    """
    root = Path(root)
    try:
        files = index_files(root, adapter, plugins)
        parts = [f"{file.relative_to(root)}\n".encode() + file.read_bytes() for file in files]
        if not layout_of(adapter, plugins)["needs_index"]:
            parts += [
                f"{name}\n{(root / name).lstat().st_size}\n".encode("utf-8", "surrogateescape")
                for name in audio_files(root)
            ]
    except OSError:  # the job that reads them in full says what is wrong
        return ""
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16] if parts else ""
