"""Shape of one embedding space: how many directions it uses, how evenly, and what it groups."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.files import write_table
from lambdascape.splits import in_test_split
from lambdascape.store import read_embeddings

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

CHUNK = 1024  # rows of the matrix of distances held at once
# Embeddings are float32: spread below this share of their size is rounding.
ROUNDING = 4 * float(np.finfo(np.float32).eps)


def measure_geometry(
    embeddings_path: str | Path, test_fold: str, settings: dict[str, Any], output: str | Path, seed: int
) -> None:
    """Measure the space of the test split's tiles.

    Alignment takes all consecutive tiles of the test split, everything else at most `max_tiles` tiles, drawn
    in proportion to their labels. A measure that is not defined for the tiles at hand has a missing value;
    each function says when.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are measured.
        settings: `max_tiles`, at least 2.
        output: table split (test), measure (effective_rank | participation_ratio | alignment | uniformity |
            silhouette | silhouette_session | norm_mean | norm_std), value.
        seed: seed of the draw.

    Raises:
        InputError: no tile belongs to the fold.
    """
    embedding, tiles, _ = read_embeddings(embeddings_path)
    test = in_test_split(tiles, test_fold)
    tiles = tiles[test].reset_index(drop=True)
    space = embedding[test].astype(np.float64)
    rows = draw_tiles(tiles["label"].to_numpy(object), settings["max_tiles"], seed)
    drawn, label = space[rows], tiles["label"].to_numpy(object)[rows]
    labelled = label != ""
    norms = np.linalg.norm(drawn, axis=1)
    values = {
        "effective_rank": effective_rank(drawn),
        "participation_ratio": participation_ratio(drawn),
        "alignment": alignment(space, neighbouring_tiles(tiles)),
        "uniformity": uniformity(drawn),
        "silhouette": silhouette(drawn[labelled], label[labelled]),
        "silhouette_session": silhouette(drawn, tiles["session"].to_numpy(object)[rows]),
        "norm_mean": float(norms.mean()),
        "norm_std": float(norms.std()),
    }
    write_table(pd.DataFrame({"split": "test", "measure": values.keys(), "value": values.values()}), output)


def draw_tiles(label: Texts, max_tiles: int, seed: int) -> npt.NDArray[np.intp]:
    """Draw tiles so that each label keeps its share, but for rounding.

    Args:
        label: shape (tile,), text; the empty text counts as a label.
        max_tiles: how many to draw; all are taken when there are no more.
        seed: seed of the draw.

    Returns:
        Row numbers of the drawn tiles, ascending.
    """
    if len(label) <= max_tiles:
        return np.arange(len(label))
    order = np.random.default_rng([seed]).permutation(len(label))
    shuffled = pd.Series(label[order])
    groups = shuffled.groupby(shuffled)
    place = (groups.cumcount() + 0.5) / groups.transform("size")  # each label's tiles, spread evenly over 0 to 1
    return np.sort(order[np.argsort(place.to_numpy(), kind="stable")[:max_tiles]])


def neighbouring_tiles(tiles: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Pair each tile with the next one of its clip.

    Args:
        tiles: one row per tile, numbered from 0, with the columns `clip` and `start_s`.

    Returns:
        Shape (pair, 2), row numbers.
    """
    ordered = tiles.sort_values(["clip", "start_s"], kind="stable")
    same = (ordered["clip"] == ordered["clip"].shift(-1)).to_numpy(bool)[:-1]
    rows = ordered.index.to_numpy()
    return np.column_stack([rows[:-1][same], rows[1:][same]])


def unit_norm(embedding: Floats) -> Floats:
    """Scale each embedding, shape (tile, dim), to length 1; an embedding of zeros stays as it is."""
    norms = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.where(norms > 0, norms, 1)


def effective_rank(embedding: Floats) -> float:
    """Number of directions that the space uses: exp of the entropy of its singular values (RankMe).

    With p = σ / Σσ over the singular values σ of the matrix (tile, dim), not centred, it is exp(-Σ p ln p),
    from 1 to dim (Garrido et al. 2210.02885, eq. 1, without its ε). A space that collapsed to one point, or
    to a narrow cone, has 1.

    Args:
        embedding: shape (tile, dim).

    Returns:
        At least 1; NaN when every embedding is zero.
    """
    sigma = np.linalg.svd(embedding, compute_uv=False)
    if sigma[0] == 0:
        return float("nan")
    p = sigma[sigma > 0] / sigma.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def participation_ratio(embedding: Floats) -> float:
    """Number of directions among which the variance is shared.

    With v the eigenvalues of the covariance it is (Σv)² / Σv², from 1 to dim. Unlike `effective_rank` it is
    centred: the mean embedding does not count.

    Args:
        embedding: shape (tile, dim).

    Returns:
        At least 1; NaN when the tiles do not differ by more than rounding.
    """
    centred = embedding - embedding.mean(axis=0)
    if (centred**2).sum() <= ROUNDING**2 * (embedding**2).sum():
        return float("nan")
    variance = np.linalg.svd(centred, compute_uv=False) ** 2
    return float(variance.sum() ** 2 / (variance**2).sum())


def alignment(embedding: Floats, pairs: npt.NDArray[np.intp]) -> float:
    """Mean squared distance between neighbouring tiles on the unit sphere.

    Wang & Isola 2005.10242, section 4.1, with α = 2.

    Args:
        embedding: shape (tile, dim); scaled to unit norm here.
        pairs: shape (pair, 2), row numbers.

    Returns:
        0 (neighbours agree) to 4; NaN without a pair.
    """
    if len(pairs) == 0:
        return float("nan")
    unit = unit_norm(embedding)
    return float(((unit[pairs[:, 0]] - unit[pairs[:, 1]]) ** 2).sum(axis=1).mean())


def uniformity(embedding: Floats) -> float:
    """How evenly tiles cover the unit sphere: ln of the mean of exp(-2 d²) over all pairs of tiles.

    Wang & Isola 2005.10242, section 4.1, with t = 2.

    Args:
        embedding: shape (tile, dim); scaled to unit norm here.

    Returns:
        At most 0 (all in one point), the lower the more even; NaN with fewer than two tiles.
    """
    n = len(embedding)
    if n < 2:
        return float("nan")
    unit = unit_norm(embedding)
    squares = (unit**2).sum(axis=1)
    total = 0.0
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        d2 = squares[rows, None] + squares - 2 * unit[rows] @ unit.T  # (chunk, tile)
        total += np.exp(-2 * np.maximum(d2, 0)).sum()
    return float(np.log((total - n) / (n * (n - 1))))  # the n pairs of a tile with itself have exp(0)


def silhouette(embedding: Floats, group: Texts) -> float:
    """Mean silhouette of the groups under cosine distance (Rousseeuw 1987).

    On the unit sphere the cosine distance is half the squared distance that the triplet loss compares.

    Args:
        embedding: shape (tile, dim).
        group: shape (tile,), the label or session of each tile.

    Returns:
        -1 to 1, 0 when all tiles are one point; NaN with fewer than two groups, or when every tile is its own
        group.
    """
    if not 2 <= len(set(group)) < len(group):
        return float("nan")
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(embedding, pd.factorize(group)[0], metric="cosine"))
