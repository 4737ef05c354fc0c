"""What is odd about clips that can be used: warnings for the user, who alone knows whether they matter."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

COMMON = 0.95  # share of the clips from which what they agree in is called usual


class Warned(NamedTuple):
    """A clip that is used all the same: its path, what is odd, what was found, and what was expected."""

    path: str
    warning: str
    found: str
    expected: str


def silent(clips: pd.DataFrame) -> list[Warned]:
    """Clips in which every value is zero."""
    return [Warned(path, "it is silent", "zeros only", "sound") for path in clips["path"][clips["silent"].astype(bool)]]


def unlike_the_others(clips: pd.DataFrame) -> list[Warned]:
    """Clips whose rate, channels or length differ from what nearly all have in common.

    Args:
        clips: rows with path, rate, channels and frames.
    """
    lengths = clips.assign(length=clips["frames"] / clips["rate"])
    units = {"rate": "Hz", "channels": "channels", "length": "s"}
    return [warned for column, unit in units.items() for warned in _unlike(lengths, column, unit)]


def _unlike(clips: pd.DataFrame, column: str, unit: str) -> Iterator[Warned]:
    counts = clips[column].value_counts()
    if counts.iloc[0] < COMMON * len(clips):
        return
    usual = counts.index[0]
    for path, value in clips.loc[clips[column] != usual, ["path", column]].itertuples(index=False):
        yield Warned(path, f"its {column} is unlike the others'", f"{value:g} {unit}", f"{usual:g} {unit}")
