"""Shape of one embedding space: how many directions it uses, how evenly, and what it groups."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.clusters import centroid_distances, intra_inter_ratio, kmeans_agreement, mean_distance, silhouette
from lambdascape.files import write_table
from lambdascape.measured import Floats, HeldOut, Texts, is_one_point, read_held_out, unit_norm
from lambdascape.neighbours import most_neighbours, nearest
from lambdascape.retrieval import Grouping, retrieve

CHUNK = 1024  # rows of the matrix of distances held at once
# What counts as the same kind, and what is not ranked in retrieval because it would be found too easily.
GROUPS = {"label": "session", "session": "moment", "node": "moment"}
PARTS = {"": 1, "_half": 2, "_quarter": 4, "_eighth": 8}  # in how many parts the tiles are cut for the dimension
FEWEST = 20  # tiles of which a dimension is estimated
DISCARDED = 0.1  # share of the tiles with the largest ratios, which the estimate leaves out


def measure_geometry(
    embeddings_path: str | Path,
    test_fold: str,
    settings: dict[str, Any],
    output: str | Path,
    spectrum_path: str | Path,
    centroids_path: str | Path,
) -> None:
    """Measure the space of the test split's tiles.

    Alignment takes all consecutive tiles of the test split, everything else the tiles that `measured` draws, the
    same for every run. What is asked of the label is asked of the session and of the node too (names ending in
    `_session` and `_node`), which a good space need not tell: nuisances. Tiles without a label, or node, are left out
    there. Retrieval ranks for a label no tile of the same session, for session and node no tile of the same moment:
    what one clip, or several nodes at once, heard is the same event. A measure that is not defined for the tiles at
    hand has a missing value; each function says when.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are measured.
        settings: `max_tiles`, at least 2, and `draw_seed`.
        output: table split (test), measure, value; the measures are those of `shape_of` and `groups_of`.
        spectrum_path: table direction (from 1), variance, share: the eigenvalues of the covariance.
        centroids_path: table first, second, distance: class centroids, each pair once.

    Raises:
        InputError: no tile belongs to the fold.
    """
    held_out = read_held_out(embeddings_path, test_fold, settings)
    values = shape_of(held_out) | groups_of(held_out, settings["draw_seed"])
    write_table(pd.DataFrame({"split": "test", "measure": values.keys(), "value": values.values()}), output)
    write_table(spectrum(held_out.embedding[held_out.drawn]), spectrum_path)
    write_table(_centroids(held_out), centroids_path)


def shape_of(held_out: HeldOut) -> dict[str, float]:
    """The measures that know no groups."""
    drawn = held_out.embedding[held_out.drawn]
    norms = np.linalg.norm(drawn, axis=1)
    return {
        "effective_rank": effective_rank(drawn),
        "participation_ratio": participation_ratio(drawn),
        **_dimensions(drawn, held_out.column("moment")),
        "alignment": alignment(held_out.embedding, neighbouring_tiles(held_out.tiles)),
        "uniformity": uniformity(drawn),
        "norm_mean": float(norms.mean()),
        "norm_std": float(norms.std()),
    }


def _dimensions(embedding: Floats, moment: Texts) -> dict[str, float]:
    """The intrinsic dimension on all tiles and, as a mean over disjoint parts, on fewer: its range over N."""
    order = np.random.default_rng([len(embedding)]).permutation(len(embedding))
    return {
        f"intrinsic_dimension{name}": float(
            np.mean([intrinsic_dimension(embedding[rows], moment[rows]) for rows in np.array_split(order, parts)])
        )
        for name, parts in PARTS.items()
    }


def groups_of(held_out: HeldOut, seed: int) -> dict[str, float]:
    """The measures of label, session and node."""
    drawn = held_out.embedding[held_out.drawn]
    groupings = [
        Grouping(_codes(held_out.column(of)), _codes(held_out.column(left_out))) for of, left_out in GROUPS.items()
    ]
    found: dict[str, float] = {}
    for of, retrieved in zip(GROUPS, retrieve(drawn, groupings), strict=True):
        group = held_out.column(of)
        known = group != ""
        x, names = drawn[known], group[known]
        mutual = kmeans_agreement(x, names, seed)
        values = {
            "silhouette": silhouette(x, names),
            "intra_inter_ratio": intra_inter_ratio(x, names),
            "centroid_distance": mean_distance(centroid_distances(x, names)[1]),
            "kmeans_ami": mutual[0],
            "kmeans_nmi": mutual[1],
            **retrieved,
        }
        ending = "" if of == "label" else f"_{of}"
        found |= {f"{name}{ending}": value for name, value in values.items()}
    return found


def _codes(column: Texts) -> npt.NDArray[np.intp]:
    """Numbers from 0 for texts, -1 for the empty one."""
    return pd.factorize(pd.Series(column).replace("", None))[0]


def _centroids(held_out: HeldOut) -> pd.DataFrame:
    label = held_out.column("label")
    known = label != ""
    names, distances = centroid_distances(held_out.embedding[held_out.drawn][known], label[known])
    return pd.DataFrame(_pairs(names, distances), columns=["first", "second", "distance"])


def _pairs(names: list[str], distances: Floats) -> Iterator[tuple[str, str, float]]:
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        yield names[i], names[j], float(distances[i, j])


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
    if is_one_point(embedding):
        return float("nan")
    variance = np.linalg.svd(embedding - embedding.mean(axis=0), compute_uv=False) ** 2
    return float(variance.sum() ** 2 / (variance**2).sum())


def spectrum(embedding: Floats) -> pd.DataFrame:
    """Variance along each principal direction, from the largest.

    Args:
        embedding: shape (tile, dim).

    Returns:
        One row per dimension: direction (from 1), variance (an eigenvalue of the covariance), share of all variance;
        shares are missing when the tiles do not differ by more than rounding.
    """
    centred = embedding - embedding.mean(axis=0)
    variance = np.zeros(embedding.shape[1])
    scale = np.linalg.svd(centred, compute_uv=False) ** 2 / len(centred)
    variance[: len(scale)] = scale
    share = np.full(len(variance), np.nan) if is_one_point(embedding) else variance / variance.sum()
    return pd.DataFrame({"direction": np.arange(1, len(variance) + 1), "variance": variance, "share": share})


def intrinsic_dimension(embedding: Floats, moment: Texts) -> float:
    """Dimension of the surface on which the tiles lie, by TwoNN.

    With μ = r₂ / r₁ the ratio of the distances to a tile's second and first neighbour, -ln(1 - F(μ)) = d ln μ; d is
    the slope of the line through the origin, fitted without the tenth of the tiles with the largest μ (Facco et al.
    2017, Scientific Reports 7:12140). A tile and its two neighbours are of three moments, for what several nodes hear
    at once is one point seen twice, which would make μ nearly 1 or very large; of equal tiles one is kept. The estimate
    depends on how densely the surface is sampled, so it is told at several numbers of tiles; where it changes with
    them, no one number is the dimension.

    Args:
        embedding: shape (tile, dim).
        moment: shape (tile,).

    Returns:
        Above 0; NaN with fewer than `FEWEST` different tiles, fewer than three moments, or one point.
    """
    embedding, kept = np.unique(embedding, axis=0, return_index=True)
    group = pd.factorize(moment[kept])[0]
    if len(embedding) < FEWEST or group.max() < 2 or is_one_point(embedding):
        return float("nan")
    count = min(int(np.bincount(group).max()) + 1, most_neighbours(group))
    near = nearest(embedding, count, group)  # (tile, count)
    first, other = near[:, 0], group[near] != group[near[:, :1]]
    second = near[np.arange(len(near)), other.argmax(axis=1)]
    r = np.stack([np.linalg.norm(embedding[near] - embedding, axis=1) for near in (first, second)])
    r = np.sort(r[:, other.any(axis=1)], axis=0)  # neighbours were compared in float32
    n = r.shape[1]
    if n < FEWEST:
        return float("nan")
    x = np.sort(np.log(r[1] / r[0]))[: int((1 - DISCARDED) * n)]
    y = -np.log1p(-np.arange(1, len(x) + 1) / n)
    return float((x * y).sum() / (x**2).sum()) if x.any() else float("nan")


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
