"""Shape of one embedding space: how many directions it uses, how evenly, and what it groups."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.config.settings import Geometry
from lambdascape.core.tsv import write_table
from lambdascape.core.vectors import Floats, is_one_point, unit_norm
from lambdascape.embeddings.held_out import UNCENTRED, UNKNOWN, HeldOut, Texts, read_held_out
from lambdascape.embeddings.neighbours import nearest
from lambdascape.geometry.clusters import (
    centroid_distances,
    intra_inter_ratio,
    kmeans_agreement,
    mean_distance,
    silhouette,
)
from lambdascape.geometry.retrieval import NAMES as RETRIEVAL
from lambdascape.geometry.retrieval import Grouping, retrieve

CHUNK = 1024  # rows of the matrix of distances held at once
# What counts as the same kind, and what is not ranked in retrieval because it would be found too easily.
GROUPS = {"label": "session", "session": "moment", "node": "moment"}
FEWEST_CLASSES = 3  # of two sessions or more; what fewer do says little of the others
FEWEST_SESSIONS = 1500  # of which a dimension is estimated; see `intrinsic_dimension`
DISCARDED = 0.1  # share of the points with the largest ratios, which the estimate leaves out
SEPARATION = ("silhouette", "intra_inter_ratio", "centroid_distance", "kmeans_ami", "kmeans_nmi")


def measure_geometry(
    embeddings_path: str | Path,
    test_fold: str,
    settings: Geometry,
    geometry_path: str | Path,
    spectrum_path: str | Path,
    centroids_path: str | Path,
) -> None:
    """Measure the space of the test split's tiles.

    What depends on the origin is centred by the mean of the training tiles: embeddings that share a large constant
    are nearly parallel, and their rank and their cosines would show little but that constant. The number without it
    has the same name with `_uncentred` at its end.

    Alignment takes all consecutive tiles of the test split, the intrinsic dimension a tile of every session,
    everything else the tiles that `measured` draws, the same for every run. What is asked of the label is asked of the
    session and of the node too (names ending in `_session` and `_node`), which a good space need not tell: nuisances.
    Tiles without a label, or node, are left out there. Retrieval ranks for a label no tile of the same session, for
    session and node no tile of the same moment: what one clip, or several nodes at once, heard is the same event. The
    other measures of the label look at the mean of each session's tiles in the place of tiles, and at classes of two
    sessions or more: the tiles of one session are alike whatever their class. A measure that is not defined for the
    tiles at hand has a missing value and the reason.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: fold whose tiles are measured; the tiles of all others give the mean.
        settings: how many tiles are measured, and the seed of what is sampled.
        geometry_path: table split (test), measure, value, reason (why it is missing, else empty); the measures are
            those of `shape_of` and `groups_of`.
        spectrum_path: table direction (from 1), variance, share: the eigenvalues of the covariance.
        centroids_path: table first, second, distance: centroids of all classes, each pair once; centred, over the means
            of sessions.

    Raises:
        InputError: no tile belongs to the fold, or none to another.
    """
    held_out = read_held_out(embeddings_path, test_fold, settings)
    values = shape_of(held_out) | groups_of(held_out, settings.draw_seed)
    reasons = [_reason(name, values, held_out) if np.isnan(value) else "" for name, value in values.items()]
    table = {"split": "test", "measure": values.keys(), "value": values.values(), "reason": reasons}
    write_table(pd.DataFrame(table), geometry_path)
    write_table(spectrum(held_out.embedding[held_out.drawn]), spectrum_path)
    write_table(_centroids(held_out), centroids_path)


def shape_of(held_out: HeldOut) -> dict[str, float]:
    """The measures that know no groups."""
    pairs, drawn = neighbouring_tiles(held_out.tiles), held_out.embedding[held_out.drawn]
    found: dict[str, float] = {}
    for embedding, ending in ((held_out.centred, ""), (held_out.embedding, UNCENTRED)):
        found |= {
            f"effective_rank{ending}": effective_rank(embedding[held_out.drawn]),
            f"alignment{ending}": alignment(embedding, pairs),
            f"uniformity{ending}": uniformity(embedding[held_out.drawn]),
        }
    norms = np.linalg.norm(drawn, axis=1)
    return found | {
        "participation_ratio": participation_ratio(drawn),
        "intrinsic_dimension": intrinsic_dimension(held_out.embedding, held_out.tiles["session"].to_numpy(object)),
        "norm_mean": float(norms.mean()),
        "norm_std": float(norms.std()),
    }


def groups_of(held_out: HeldOut, seed: int) -> dict[str, float]:
    """The measures of label, session and node, and of how many tiles and groups they are.

    `retrieval_tiles` and `retrieval_groups` count the tiles that were asked (R > 0) and their groups,
    `separation_points` and `separation_groups` what silhouette, ratio, centroids and k-means looked at: sessions and
    classes for the label, tiles and groups else.
    """
    columns = {name: held_out.column(name) for name in ("label", "session", "node", "moment")}
    groupings = {of: Grouping(_codes(columns[of]), _codes(columns[left_out])) for of, left_out in GROUPS.items()}
    found: dict[str, float] = {}
    for embedding, uncentred in ((held_out.centred, ""), (held_out.embedding, UNCENTRED)):
        drawn = embedding[held_out.drawn]
        retrieved = retrieve(drawn, list(groupings.values()))
        for (of, grouping), scores in zip(groupings.items(), retrieved, strict=True):
            points, names = _points(drawn, columns, of)
            tiles, groups = grouping.asked()
            values = _separation(points, names, seed) | scores
            if of == "label" and groups < FEWEST_CLASSES:
                values = dict.fromkeys(values, float("nan"))
            if uncentred:
                values.pop("retrieval_chance")  # the same
            else:
                values |= {"retrieval_tiles": tiles, "retrieval_groups": groups}
                values |= {"separation_points": len(points), "separation_groups": len(set(names))}
            ending = "" if of == "label" else f"_{of}"
            found |= {f"{name}{ending}{uncentred}": float(value) for name, value in values.items()}
    return found


def _separation(points: Floats, names: Texts, seed: int) -> dict[str, float]:
    """How well groups of points are kept together and apart."""
    found = (
        silhouette(points, names),
        intra_inter_ratio(points, names),
        mean_distance(centroid_distances(points, names)[1]),
        *kmeans_agreement(points, names, seed),
    )
    return dict(zip(SEPARATION, found, strict=True))


def _points(drawn: Floats, columns: dict[str, Texts], of: str) -> tuple[Floats, Texts]:
    """Points and their groups: known tiles, or for the label the sessions of classes that have two or more."""
    if of != "label":
        known = columns[of] != ""
        return drawn[known], columns[of][known]
    means, names = session_means(drawn, columns["label"], columns["session"])
    several = pd.Series(names, dtype=object).duplicated(keep=False).to_numpy(bool)
    return means[several], names[several]


def session_means(embedding: Floats, label: Texts, session: Texts) -> tuple[Floats, Texts]:
    """Mean embedding of each session's tiles of one label.

    Args:
        embedding: shape (tile, dim).
        label: shape (tile,); tiles with the empty text are left out.
        session: shape (tile,).

    Returns:
        Means of shape (session, dim), labels of shape (session,); a session of two labels counts for both.
    """
    known = label != ""
    tiles = pd.DataFrame({"label": label[known], "session": session[known]})
    code = tiles.groupby(["label", "session"], sort=True).ngroup().to_numpy()  # (tile,)
    names = tiles.drop_duplicates().sort_values(["label", "session"])["label"].to_numpy(object)  # (session,)
    sums = np.zeros((len(names), embedding.shape[1]))
    np.add.at(sums, code, embedding[known])
    return sums / np.bincount(code, minlength=len(names))[:, None], names


def _reason(measure: str, values: dict[str, float], held_out: HeldOut) -> str:
    """Why a measure is missing."""
    sessions = held_out.tiles["session"].nunique()
    if measure == "intrinsic_dimension" and sessions < FEWEST_SESSIONS:
        return f"it takes one tile of each held-out session and needs {FEWEST_SESSIONS} sessions; there are {sessions}"
    if measure.startswith(("alignment", "uniformity")):
        return "there are no two tiles to compare"
    of = next((of for of in ("session", "node") if f"_{of}" in measure), "label")
    grouped = measure.removesuffix(UNCENTRED).removesuffix(f"_{of}") in (*SEPARATION, *RETRIEVAL)
    if grouped and (held_out.column(of) == "").all():
        return f"{UNKNOWN} {of}"
    classes = int(values["retrieval_groups"])
    if grouped and of == "label" and classes < FEWEST_CLASSES:
        return f"{classes} classes have two held-out sessions or more; {FEWEST_CLASSES} are needed"
    if is_one_point(held_out.embedding[held_out.drawn]):
        return "all measured tiles are one point"
    return f"too few {of}s, or too few tiles of each" if grouped else "too few tiles differ"


def _codes(column: Texts) -> npt.NDArray[np.intp]:
    """Numbers from 0 for texts, -1 for the empty one."""
    return pd.factorize(pd.Series(column).replace("", None))[0]


def _centroids(held_out: HeldOut) -> pd.DataFrame:
    columns = held_out.column("label"), held_out.column("session")
    names, distances = centroid_distances(*session_means(held_out.centred[held_out.drawn], *columns))
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

    With p = σ / Σσ over the singular values σ of the matrix (tile, dim) as it is given, it is exp(-Σ p ln p), from 1
    to dim (Garrido et al. 2210.02885, eq. 1, without its ε). What all tiles share is a direction of its own: tiles in a
    narrow cone have about 1, and less their mean as many as they vary in.

    Args:
        embedding: shape (tile, dim), centred or not.

    Returns:
        At least 1, which is also that of one point: so the ε of the source has it, and collapsed runs rank last.
    """
    sigma = np.linalg.svd(embedding, compute_uv=False)
    if sigma[0] == 0:
        return 1.0
    p = sigma[sigma > 0] / sigma.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def participation_ratio(embedding: Floats) -> float:
    """Number of directions among which the variance is shared.

    With v the eigenvalues of the covariance it is (Σv)² / Σv², from 1 to dim. The mean embedding does not count.

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


def intrinsic_dimension(embedding: Floats, session: Texts) -> float:
    """Dimension of the surface on which the tiles lie, by TwoNN over one tile of each session.

    With μ = r₂ / r₁ the ratio of the distances to a tile's second and first neighbour, -ln(1 - F(μ)) = d ln μ; d is
    the slope of the line through the origin, fitted without the tenth of the tiles with the largest μ (Facco et al.
    2017, Scientific Reports 7:12140). It holds for independent points whose density is constant as far as the second
    neighbour. Tiles are clusters inside clusters (sessions, moments), so neither holds among them, at any scale. Of
    20 simulated data sets of 16 dimensions (`make bench-dimension`), no estimate was within 25 % of the truth in more
    than 4, be it with 9 sessions × 3 moments × 9 tiles or with 30 × 20 × 5: TwoNN on all tiles, on one tile of each
    moment, within moments or sessions; GRIDE at several scales (Denti et al. 2022, Scientific Reports 12:20005); the
    likelihood of 3 to 20 neighbours (Levina & Bickel 2004).

    Sessions are independent. With one tile of each the estimate falls short where they are few; it is given from the
    least number on at which all simulated data sets came within 25 %. Estimate over truth, mean (range):

        sessions   8 dimensions         16 dimensions
        300        0.92 (0.78 to 1.02)  0.74 (0.65 to 0.89)
        1000       0.98 (0.87 to 1.05)  0.79 (0.74 to 0.86)
        1500       0.98 (0.92 to 1.03)  0.82 (0.76 to 0.87)
        3000       0.99 (0.93 to 1.04)  0.83 (0.79 to 0.88)

    Args:
        embedding: shape (tile, dim).
        session: shape (tile,).

    Returns:
        Above 0; NaN with fewer than `FEWEST_SESSIONS` sessions that differ, or one point.
    """
    order = np.random.default_rng([len(session)]).permutation(len(session))
    one_each = order[~pd.Series(session[order]).duplicated().to_numpy(bool)]
    points = np.unique(embedding[one_each], axis=0)
    if len(points) < FEWEST_SESSIONS or is_one_point(points):
        return float("nan")
    near = nearest(points, 2, np.arange(len(points)))  # (session, 2)
    r = np.linalg.norm(points[near] - points[:, None], axis=2)
    return twonn(np.sort(r, axis=1))  # neighbours were compared in float32


def twonn(distances: Floats) -> float:
    """Fit of TwoNN, see `intrinsic_dimension`.

    Args:
        distances: shape (point, 2), to the nearest and to the second neighbour, above 0.

    Returns:
        Above 0; NaN where the two are equal for all points.
    """
    n = len(distances)
    x = np.sort(np.log(distances[:, 1] / distances[:, 0]))[: int((1 - DISCARDED) * n)]
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
