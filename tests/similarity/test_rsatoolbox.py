"""Similarity compared with rsatoolbox, which shares no code with it."""

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm, compare

from lambdascape.config.settings import Geometry
from lambdascape.core.vectors import unit_norm
from lambdascape.embeddings.held_out import read_held_out
from lambdascape.similarity.measures import cka, crosses, hsic, prepare, rsa
from lambdascape.similarity.space_summary import group_distances
from support.spaces import make_space, write_space

SEEDS = pytest.mark.parametrize("seed", range(5))


def related(tiles: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two spaces of 6 and 5 dimensions, shape (tile, dim), less and less alike from seed to seed."""
    rng = np.random.default_rng([seed, tiles])
    x = rng.normal(size=(tiles, 6)) * np.linspace(2, 0.5, 6) + 1
    return x, x[:, :4] @ rng.normal(size=(4, 5)) + seed * rng.normal(size=(tiles, 5))


def by_rsatoolbox(x: np.ndarray, y: np.ndarray, method: str, groups: np.ndarray | None = None) -> float:
    """Similarity of the squared distances between rows, or between the means of groups of rows."""
    named = {} if groups is None else {"obs_descriptors": {"group": groups}}
    rdms = [
        calc_rdm(Dataset(z, **named), method="euclidean", descriptor=None if groups is None else "group")
        for z in (x, y)
    ]
    return float(compare(*rdms, method=method)[0, 0])


@SEEDS
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_rsa_is_rsatoolboxs(tmp_path, seed):
    """Through the files, with tiles of length 1; the rank of a distance is that of its square."""
    first, tiles = make_space(classes=3, sessions=6, clips=4, nodes=2, tiles=3, dim=5)
    second = first[:, :3] + seed * np.random.default_rng(seed).normal(size=(len(tiles), 3)).astype(np.float32)
    found, test = [], (tiles["fold"] == "fold1").to_numpy()
    for name, embedding in (("first", first), ("second", second)):
        path = write_space(tmp_path / f"{name}.h5", embedding, tiles)
        found.append(group_distances(read_held_out(path, "fold1", Geometry(max_tiles=1000, draw_seed=3)), 3))
    groups = pd.factorize(tiles[test]["label"] + "/" + tiles[test]["session"])[0]
    expected = by_rsatoolbox(*(unit_norm(z[test].astype(float)) for z in (first, second)), "spearman", groups)
    assert rsa(*found) == pytest.approx(expected, abs=1e-9)


@SEEDS
@pytest.mark.parametrize("tiles", [50, 400])
def test_cka_is_rsatoolboxs_but_for_its_bias(tiles, seed):
    """rsatoolbox's whitened cosine of squared distances is CKA with each tile's product with itself left in.

    So it is larger, by about 1 / tiles: 4 / tiles at most was seen. One tile of each session, as it knows no sessions.
    """
    spaces = related(tiles, seed)
    x, y = (z - z.mean(axis=0) for z in spaces)
    biased = np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    expected = by_rsatoolbox(*spaces, "cosine_cov")
    assert expected == pytest.approx(biased)
    a, b = (prepare(z, np.arange(tiles) % 2 == 0, np.arange(tiles)) for z in spaces)
    ours = cka(np.array([[hsic(one, other, crosses(one, other)) for other in (a, b)] for one in (a, b)]))[0, 1]
    assert 0 < expected - ours < 6 / tiles
