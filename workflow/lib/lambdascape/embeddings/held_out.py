"""The tiles on which spaces are measured: drawn once from the manifest, so the same for every run of a study."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.config.settings import Geometry
from lambdascape.core.errors import InputError
from lambdascape.core.vectors import ROUNDING, Floats
from lambdascape.embeddings.space_file import read_embeddings
from lambdascape.embeddings.splits import in_test_split

Integers = npt.NDArray[np.intp]
Texts = npt.NDArray[np.object_]

UNKNOWN = "no held-out tile has a"  # label, or node: begins the reason of what asks for it
UNCENTRED = "_uncentred"  # ends the name of a measure that was not centred by the mean of the training tiles


@dataclass(frozen=True)
class HeldOut:
    """The held-out tiles of one space.

    Attributes:
        embedding: shape (tile, dim), all tiles of the test split.
        tiles: one row per tile, numbered from 0, with the columns of `space_file.TILE_COLUMNS` and `start_s`.
        drawn: row numbers of the tiles to measure, ascending.
        centre: shape (dim,), the mean of all tiles of the training split.
    """

    embedding: Floats
    tiles: pd.DataFrame
    drawn: Integers
    centre: Floats

    @cached_property
    def centred(self) -> Floats:
        """The embeddings less the mean of the training tiles; zero where only the rounding of float32 is left."""
        rest = self.embedding - self.centre
        squares = [np.square(x).sum(axis=1, keepdims=True) for x in (rest, self.embedding)]
        return np.where(squares[0] > ROUNDING**2 * squares[1], rest, 0.0)

    def column(self, name: str) -> Texts:
        """A text column of the drawn tiles."""
        return self.tiles[name].to_numpy(object)[self.drawn]


def read_held_out(embeddings_path: str | Path, test_fold: str, settings: Geometry) -> HeldOut:
    """Read the held-out tiles of a space and draw those to measure.

    The draw looks at the tiles' labels and at the seed of the config alone, never at a run: spaces over the same
    tiles are measured on the same ones.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: the fold held out.
        settings: how many tiles, and the seed of their sample.

    Raises:
        InputError: no tile belongs to the fold, or none to another.
    """
    embedding, tiles, _ = read_embeddings(embeddings_path)
    test = in_test_split(tiles, test_fold)
    if test.all():
        raise InputError(f"{embeddings_path}: must have training tiles beside the fold {test_fold!r}; it has none")
    centre = embedding[~test].mean(axis=0, dtype=np.float64)
    tiles = tiles[test].reset_index(drop=True)
    drawn = sample_tiles(tiles["label"].to_numpy(object), settings.max_tiles, settings.draw_seed)
    return HeldOut(embedding[test].astype(np.float64), tiles, drawn, centre)


def sample_tiles(label: Texts, max_tiles: int, seed: int, fair_to_small: bool = False) -> Integers:
    """Draw tiles so that each label keeps its share, but for rounding.

    Args:
        label: shape (tile,), text; the empty text counts as a label.
        max_tiles: how many to draw; all are taken when there are no more.
        seed: seed of the draw.
        fair_to_small: round at random, so that labels of too few tiles for a whole share have it together; else
            none of them is drawn.

    Returns:
        Row numbers of the drawn tiles, ascending.
    """
    if len(label) <= max_tiles:
        return np.arange(len(label))
    rng = np.random.default_rng([seed])
    order = rng.permutation(len(label))
    shuffled = pd.Series(label[order])
    groups = shuffled.groupby(shuffled)
    start = rng.random(groups.ngroups)[groups.ngroup()] if fair_to_small else 0.5
    place = (groups.cumcount() + start) / groups.transform("size")  # each label's tiles, spread evenly over 0 to 1
    return np.sort(order[np.argsort(place.to_numpy(), kind="stable")[:max_tiles]])
