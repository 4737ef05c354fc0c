"""Is what lies nearest to a tile of the same kind? Whole rankings, scored for several groupings at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.vectors import Floats, is_one_point, unit_norm
from lambdascape.embeddings.neighbours import Codes, row_chunks

SHUFFLE = 1986  # seed of the order that breaks ties, so that the order of the manifest cannot
NAMES = ("precision_at_1", "r_precision", "map_at_r", "retrieval_chance")
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Grouping:
    """What is to be retrieved, and what would be too easy.

    Attributes:
        group: shape (tile,), from 0; -1 for tiles whose group is unknown, which are neither asked nor ranked.
        left_out: shape (tile,); tiles with the same number as the one that asks are not ranked for it.
    """

    group: Codes
    left_out: Codes

    def of(self, rows: Rows) -> "Grouping":
        """The same for some tiles in some order."""
        return Grouping(self.group[rows], self.left_out[rows])

    def asked(self) -> tuple[int, int]:
        """How many tiles, and how many groups, have a tile of their group that may be ranked (R > 0)."""
        known = pd.DataFrame({"group": self.group, "left_out": self.left_out})[self.group >= 0]
        groups = known.groupby("group")["left_out"].agg(["size", "nunique"])
        several = groups["size"][groups["nunique"] > 1]
        return int(several.sum()), len(several)


def retrieve(embedding: Floats, groupings: Sequence[Grouping]) -> list[dict[str, float]]:
    """Rank all tiles by cosine similarity to each tile and score how early those of its group come.

    With R the number of tiles of the group that may be ranked: `precision_at_1` asks the first of the ranking,
    `r_precision` is the share of the group among its first R, and `map_at_r` is (1/R) Σ_{i ≤ R} P(i) rel(i) (Musgrave
    et al. 2003.08505, section 4.2), which also asks for their order. `retrieval_chance` is the mean of R / ranked
    tiles, what the first two come to in a random order. Means over the tiles with R > 0.

    Args:
        embedding: shape (tile, dim).
        groupings: what counts as the same kind, each over the same tiles.

    Returns:
        For each grouping the four scores, 0 to 1; NaN when no tile has R > 0, or the space is one point.
    """
    if len(embedding) == 0 or is_one_point(embedding):
        return [dict.fromkeys(NAMES, float("nan")) for _ in groupings]
    order = np.random.default_rng([SHUFFLE]).permutation(len(embedding))
    unit = unit_norm(embedding)[order]
    mixed = [grouping.of(order) for grouping in groupings]
    sums = np.zeros((len(groupings), len(NAMES) + 1))  # the last column counts tiles
    for rows in row_chunks(len(unit)):
        similarity = (unit[rows] @ unit.T).astype(np.float32)
        ranking = np.argsort(-similarity, axis=1, kind="stable")
        for k, grouping in enumerate(mixed):
            sums[k] += _score(ranking, rows, grouping)
    return [
        dict(zip(NAMES, (row[:-1] / row[-1]).tolist() if row[-1] else [float("nan")] * len(NAMES), strict=True))
        for row in sums
    ]


def _score(ranking: Rows, rows: slice, grouping: Grouping) -> Floats:
    """Sums of the scores of some tiles and their number, from whole rankings of shape (row, tile)."""
    own = grouping.group[rows, None]
    group = grouping.group[ranking]
    ranked = (grouping.left_out[ranking] != grouping.left_out[rows, None]) & (group >= 0) & (own >= 0)
    relevant = ranked & (group == own)
    R = relevant.sum(axis=1)
    place = np.cumsum(ranked, axis=1, dtype=np.int32)
    hits = np.cumsum(relevant, axis=1, dtype=np.int32)
    early = relevant & (place <= R[:, None])
    precision = np.divide(hits, place, out=np.zeros(place.shape, np.float32), where=early)
    asked = R > 0
    first = (relevant & (place == 1)).any(axis=1)
    scores = np.stack([first * R, early.sum(axis=1), precision.sum(axis=1), R * R / np.maximum(place[:, -1], 1)])
    return np.append((scores[:, asked] / R[asked]).sum(axis=1), asked.sum())
