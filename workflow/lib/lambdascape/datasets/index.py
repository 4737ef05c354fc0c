"""The files that say what the clips of a data set are; quick to import: it runs when the workflow is read."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from lambdascape.core.errors import InputError
from lambdascape.datasets.candidates import audio_files, natural

TABLE = "clips.csv"  # of a folder
META, MAP = "meta.txt", "evaluation_setup/map.txt"  # of DCASE 2018 Task 5, development and evaluation set
TAU_META = "meta.csv"
ESC50_META = "meta/esc50.csv"
URBANSOUND8K_META = "metadata/UrbanSound8K.csv"


class Layout(NamedTuple):
    """Where a data set's index lies.

    Attributes:
        archives: the folders that its archives make, as patterns.
        main: the index files of its editions, of which one must be there.
        lists: pattern of further index files.
    """

    archives: tuple[str, ...]
    main: tuple[str, ...]
    lists: str = ""


_DCASE = Layout(("DCASE2018-task5-dev", "DCASE2018-task5-eval"), (META, MAP), "evaluation_setup/*.txt")
_FOLD_LISTS = "evaluation_setup/fold1_*.csv"
LAYOUTS = {
    "demo": _DCASE,
    "dcase2018_task5": _DCASE,
    "tau2019": Layout(("TAU-urban-acoustic-scenes-2019-development",), (TAU_META,), _FOLD_LISTS),
    "tau2020": Layout(("TAU-urban-acoustic-scenes-2020-mobile-development",), (TAU_META,), _FOLD_LISTS),
    "tau2022": Layout(("TAU-urban-acoustic-scenes-2022-mobile-development",), (TAU_META,), _FOLD_LISTS),
    "esc50": Layout(("ESC-50-*",), (ESC50_META,)),
    "urbansound8k": Layout(("UrbanSound8K",), (URBANSOUND8K_META,)),
}


def data_folder(root: Path, adapter: str) -> Path:
    """The folder to which a data set's own paths are relative: `root`, or the folder in it that its archives make.

    Args:
        root: the data set's folder.
        adapter: folder, whose index is optional, or one of `LAYOUTS`.

    Raises:
        InputError: no index is there.
    """
    if adapter == "folder":
        return root
    layout = LAYOUTS[adapter]
    inner = [folder for pattern in layout.archives for folder in sorted(root.glob(pattern))]
    for base in (root, *inner):
        if any((base / file).is_file() for file in layout.main):
            return base
    raise InputError(
        f"{root}: must hold {' or '.join(layout.main)}, or a folder {' or '.join(layout.archives)} with it; neither "
        "is there. Unpack the archives there."
    )


def index_files(root: str | Path, adapter: str) -> list[Path]:
    """The index files that are there, in a fixed order; none where the data set does not exist yet.

    Args:
        root: the data set's folder.
        adapter: see `data_folder`.
    """
    root = Path(root)
    if adapter == "folder":
        return [file for file in [root / TABLE] if file.is_file()]
    try:
        base = data_folder(root, adapter)
    except InputError:
        return []
    layout = LAYOUTS[adapter]
    lists = sorted(base.glob(layout.lists), key=lambda path: natural(path.name)) if layout.lists else []
    files = dict.fromkeys([*(base / file for file in layout.main), *lists])
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
