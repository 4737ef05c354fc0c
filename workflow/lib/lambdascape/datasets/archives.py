"""The archives of the data sets that can be downloaded; quick to import: it runs when the workflow is read."""

import contextlib
import csv
import os
from pathlib import Path
from typing import NamedTuple

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.disk import require_space

TABLE = Path(__file__).with_name("archives.tsv")
# 10 s of 4 channels at 16 kHz and 16 bit unpack to twice their size; other audio to less.
UNPACKED_PER_BYTE = 2.1
# Bytes of log-mel frames (128 bands every 10 ms) per byte of such audio; of stereo at 44.1 kHz fewer.
FRAMES_PER_BYTE = 0.2
AT_ONCE = 2  # archives, as rules/datasets.smk says


class Archive(NamedTuple):
    """One archive: where it is, its md5 in hexadecimal, and its size in bytes, rounded, 0 where it is not known."""

    url: str
    md5: str
    bytes_nominal: int


def archives_of(dataset: str) -> dict[str, Archive]:
    """The archives of a data set by file name, in the order of the table.

    Args:
        dataset: as in the column of `archives.tsv`: the name of the adapter that reads it.

    Returns:
        Empty where the table does not know the data set.
    """
    return {
        row["filename"]: Archive(row["url"], row["md5"], int(row["bytes_nominal"] or 0))
        for row in _rows()
        if row["dataset"] == dataset
    }


def downloadable() -> list[str]:
    """Names of the data sets in the table."""
    return list(dict.fromkeys(row["dataset"] for row in _rows()))


def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def require_space_for_all(dataset: str, folder: str | Path, given: str | Path | None) -> None:
    """Stop where the disk cannot take what is still to come of a data set: its archives and the audio in them.

    Args:
        dataset: as for `archives_of`.
        folder: where archives and audio are put; what lies there already is not needed again.
        given: folder of archives that the user has, or None.

    Raises:
        InputError: less is free than is needed.
    """
    archives = archives_of(dataset)
    sizes = {name: archive.bytes_nominal for name, archive in archives.items()}
    to_load = sum(size for name, size in sizes.items() if not (given and Path(given, name).is_file()))
    needed = to_load + UNPACKED_PER_BYTE * sum(sizes.values()) - _bytes_in(Path(folder))
    require_space(folder, needed, f"{dataset}, archives and unpacked audio,")


def require_space_to_drain(
    dataset: str, folder: str | Path, given: str | Path | None, recipe: FeatureRecipe, shards: str | Path
) -> None:
    """Stop where the disk cannot take the two largest archives, their audio, and the features of all of them.

    Args:
        dataset: as for `archives_of`.
        folder: on the disk in question.
        given: folder of archives that the user has, or None.
        recipe: the feature settings.
        shards: the folder of the shards; those that are there are not needed again.

    Raises:
        InputError: less is free than is needed.
    """
    sizes = sorted((archive.bytes_nominal for archive in archives_of(dataset).values()), reverse=True)
    passing = (UNPACKED_PER_BYTE if given else 1 + UNPACKED_PER_BYTE) * sum(sizes[:AT_ONCE])
    frames = FRAMES_PER_BYTE * recipe.n_mels / 128 * 160 / recipe.hop_length * recipe.sr / 16000
    features = 2 * frames * UNPACKED_PER_BYTE * sum(sizes)  # in the shards, and in the store
    needed = passing + max(features - _bytes_in(Path(shards)), 0)
    require_space(folder, needed, f"{dataset}, {AT_ONCE} archives with their audio and all features,")


def _bytes_in(folder: Path) -> int:
    """Sizes of all files below a folder, in which other jobs may be at work; links count for nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).lstat().st_size
    return total
