import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from lambdascape import geometry
from lambdascape.errors import InputError
from lambdascape.files import read_table
from lambdascape.geometry import (
    alignment,
    effective_rank,
    intrinsic_dimension,
    measure_geometry,
    neighbouring_tiles,
    participation_ratio,
    spectrum,
    uniformity,
)
from lambdascape.measured import read_held_out

from .spaces import make_space, write_space

SHAPE = [
    "effective_rank", "participation_ratio", "intrinsic_dimension", "intrinsic_dimension_half",
    "intrinsic_dimension_quarter", "intrinsic_dimension_eighth", "alignment", "uniformity", "norm_mean", "norm_std",
]  # fmt: skip
GROUPED = [
    "silhouette", "intra_inter_ratio", "centroid_distance", "kmeans_ami", "kmeans_nmi",
    "precision_at_1", "r_precision", "map_at_r", "retrieval_chance",
]  # fmt: skip
MEASURES = [*SHAPE, *(f"{measure}{of}" for of in ("", "_session", "_node") for measure in GROUPED)]


def measure(tmp_path, embedding, tiles, max_tiles=1000, seed=1):
    path = write_space(tmp_path / "space.h5", embedding, tiles)
    outputs = [tmp_path / f"{name}.tsv" for name in ("geometry", "spectrum", "centroids")]
    measure_geometry(path, "fold1", {"max_tiles": max_tiles, "draw_seed": seed}, *outputs)
    table = read_table(tmp_path / "geometry.tsv", ("split", "measure"))
    assert table["split"].eq("test").all()
    return dict(zip(table["measure"], table["value"], strict=True))


def test_ranks_agree_with_plain_loops():
    x = np.random.default_rng(0).normal(size=(30, 5)) * [3, 2, 1, 0.5, 0.1] + 1
    sigma = np.sqrt(np.linalg.eigvalsh(x.T @ x))
    entropy = -sum(s / sum(sigma) * np.log(s / sum(sigma)) for s in sigma)
    assert effective_rank(x) == pytest.approx(np.exp(entropy))
    v = np.linalg.eigvalsh(np.cov(x.T))
    assert participation_ratio(x) == pytest.approx(sum(v) ** 2 / sum(e**2 for e in v))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_equal_orthogonal_directions_have_rank_k(k):
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(8, k)))[0].T  # (k, 8)
    x = np.concatenate([basis, -basis])
    assert effective_rank(x) == pytest.approx(k)
    assert participation_ratio(x) == pytest.approx(k)


def test_an_isotropic_gaussian_uses_nearly_all_directions():
    # N draws in D dimensions have a participation ratio of about D / (1 + D / N) (Marchenko-Pastur): 15.87.
    x = np.random.default_rng(2).normal(size=(2000, 16))
    assert participation_ratio(x) == pytest.approx(16 / (1 + 16 / 2000), abs=0.05)
    assert 15.9 < effective_rank(x) <= 16


@given(st.integers(0, 1000), st.floats(0.1, 10))
@settings(max_examples=25, deadline=None)
def test_ranks_know_neither_scale_nor_rotation(seed, scale):
    rng = np.random.default_rng(seed)
    x, turn = rng.normal(size=(20, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for rank in (effective_rank, participation_ratio):
        assert rank(scale * x @ turn) == pytest.approx(rank(x))
        assert 1 <= rank(x) <= 4


def test_alignment_and_uniformity_agree_with_plain_loops(monkeypatch):
    monkeypatch.setattr(geometry, "CHUNK", 7)
    x = np.random.default_rng(3).normal(size=(25, 4))
    unit = np.array([row / np.sqrt(sum(row**2)) for row in x])
    pairs = np.array([[0, 1], [3, 4], [10, 2]])
    assert alignment(x, pairs) == pytest.approx(np.mean([sum((unit[i] - unit[j]) ** 2) for i, j in pairs]))
    potentials = [np.exp(-2 * d**2) for d in pdist(unit)]
    assert uniformity(x) == pytest.approx(np.log(np.mean(potentials)))


def test_opposite_points_have_the_largest_distances():
    x = np.array([[1.0, 0], [-2.0, 0]])
    assert alignment(x, np.array([[0, 1]])) == pytest.approx(4)
    assert uniformity(x) == pytest.approx(-8)


def test_a_space_collapsed_to_one_point_has_what_is_defined(tmp_path):
    embedding, tiles = make_space()
    embedding = np.tile(np.float32([0.3, -0.1, 0.7, 0, 0.2, 0.6]), (len(embedding), 1))
    values = measure(tmp_path, embedding, tiles)
    assert values["effective_rank"] == pytest.approx(1)
    for name in ("alignment", "uniformity", "silhouette", "silhouette_node", "norm_std", "centroid_distance"):
        assert values[name] == pytest.approx(0, abs=1e-6)
    defined = {"effective_rank", "alignment", "uniformity", "norm_mean", "norm_std"}
    defined |= {f"{name}{of}" for name in ("silhouette", "centroid_distance") for of in ("", "_session", "_node")}
    assert {name for name in MEASURES if not np.isnan(values[name])} == defined
    assert read_table(tmp_path / "spectrum.tsv")["share"].isna().all()


def test_a_space_of_zeros_has_no_rank_and_no_division_by_zero(tmp_path):
    embedding, tiles = make_space()
    values = measure(tmp_path, 0 * embedding, tiles)
    assert np.isnan([values["effective_rank"], values["participation_ratio"]]).all()
    assert [values[name] for name in ("alignment", "uniformity", "silhouette", "norm_mean", "norm_std")] == [0] * 5


def test_one_tile_gives_what_is_defined(tmp_path):
    embedding, tiles = make_space()
    tiles.loc[1:, "fold"] = "fold2"
    values = measure(tmp_path, embedding, tiles)
    assert [name for name in MEASURES if not np.isnan(values[name])] == ["effective_rank", "norm_mean", "norm_std"]
    assert values["effective_rank"] == 1
    assert values["norm_mean"] == pytest.approx(np.linalg.norm(embedding[0]))


def test_only_the_test_split_is_measured(tmp_path):
    embedding, tiles = make_space()
    fold = (tiles["fold"] == "fold1").to_numpy()
    values = measure(tmp_path, embedding, tiles)
    assert list(values) == MEASURES
    other = measure(tmp_path, np.where(fold[:, None], embedding, 9 * embedding + 1), tiles)
    assert values == pytest.approx(other, rel=0, abs=0, nan_ok=True)
    assert values["norm_mean"] == pytest.approx(np.linalg.norm(embedding[fold], axis=1).mean())
    assert values["effective_rank"] == pytest.approx(effective_rank(embedding[fold].astype(float)))


def test_without_labels_only_what_asks_for_labels_is_missing(tmp_path):
    embedding, tiles = make_space(clips=10)
    values = measure(tmp_path, embedding, tiles.assign(label=""))
    assert [name for name in MEASURES if np.isnan(values[name])] == GROUPED
    assert read_table(tmp_path / "centroids.tsv").empty


def test_without_nodes_only_what_asks_for_nodes_is_missing(tmp_path):
    embedding, tiles = make_space(clips=10)
    values = measure(tmp_path, embedding, tiles.assign(node=""))
    assert [name for name in MEASURES if np.isnan(values[name])] == [f"{name}_node" for name in GROUPED]


def test_unlabelled_tiles_enter_no_measure_of_labels(tmp_path):
    embedding, tiles = make_space()
    known = measure(tmp_path, embedding, tiles)
    extra = tiles[tiles["fold"] == "fold1"].assign(label="", session="new", moment="new")
    more = np.concatenate([embedding, 5 - embedding[extra.index]])
    found = measure(tmp_path, more, pd.concat([tiles, extra]))
    assert [found[name] for name in GROUPED] == pytest.approx([known[name] for name in GROUPED])


def test_retrieval_by_label_never_finds_the_own_session_nor_by_session_the_own_moment(tmp_path):
    """Every session is one point, and every moment another one nearby: only what is left out could be found."""
    _, tiles = make_space(classes=2, sessions=4, clips=3)
    session, moment = pd.factorize(tiles["session"])[0], pd.factorize(tiles["moment"])[0]
    points = np.random.default_rng(1).normal(size=(session.max() + 1, 6))[session]
    points = points + 1e-3 * np.random.default_rng(2).normal(size=(moment.max() + 1, 6))[moment]
    values = measure(tmp_path, points.astype(np.float32), tiles)
    assert values["precision_at_1_session"] == values["map_at_r_session"] == 1  # the other moments of the session
    # Of the test split's four sessions, one other is of the tile's class and two are not: chance is 1/3.
    assert values["retrieval_chance"] == pytest.approx(1 / 3)
    assert values["precision_at_1"] < 1
    assert values["retrieval_chance_node"] == pytest.approx(1 / 2)


def test_runs_are_measured_on_the_same_tiles_whatever_their_embeddings(tmp_path):
    _, tiles = make_space(clips=10)
    drawn = []
    for seed in (1, 2):
        embedding = np.random.default_rng(seed).normal(size=(len(tiles), 3 + seed)).astype(np.float32)
        path = write_space(tmp_path / f"{seed}.h5", embedding, tiles)
        drawn.append(read_held_out(path, "fold1", {"max_tiles": 30, "draw_seed": 7}).drawn.tolist())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 30


def test_a_draw_is_a_function_of_its_seed(tmp_path):
    space = make_space(clips=10)
    draws = [measure(tmp_path, *space, max_tiles=30, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == pytest.approx(draws[1], rel=0, abs=0, nan_ok=True)
    assert draws[0]["uniformity"] != draws[2]["uniformity"]
    assert draws[0]["alignment"] == draws[2]["alignment"]


def test_an_unknown_fold_is_refused(tmp_path):
    embedding, tiles = make_space()
    with pytest.raises(InputError, match=r"split\.test_fold must be a fold"):
        measure(tmp_path, embedding, tiles.assign(fold="fold3"))


def test_neighbours_are_consecutive_tiles_of_one_clip():
    tiles = pd.DataFrame({"clip": ["b", "a", "b", "a", "c", "b"], "start_s": [2.0, 0.0, 0.0, 1.0, 0.0, 1.0]})
    assert neighbouring_tiles(tiles).tolist() == [[1, 3], [2, 5], [5, 0]]


def test_the_spectrum_is_that_of_the_covariance(tmp_path):
    embedding, tiles = make_space(clips=10)
    measure(tmp_path, embedding, tiles)
    table = read_table(tmp_path / "spectrum.tsv")
    held_out = embedding[(tiles["fold"] == "fold1").to_numpy()].astype(float)
    values = np.sort(np.linalg.eigvalsh(np.cov(held_out.T, bias=True)))[::-1]
    assert table["direction"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["variance"].to_numpy() == pytest.approx(values)
    assert table["share"].to_numpy() == pytest.approx(values / values.sum())


def test_a_spectrum_has_a_row_for_every_dimension_even_with_fewer_tiles():
    table = spectrum(np.array([[1.0, 0, 0], [0, 1, 0]]))
    assert table["share"].to_numpy() == pytest.approx([1, 0, 0])


def one_each(n):
    return np.array([f"m{i}" for i in range(n)], object)


@pytest.mark.parametrize(("dimension", "tolerance"), [(1, 0.1), (2, 0.2), (5, 0.5)])
def test_twonn_finds_the_dimension_of_a_curved_surface_in_a_wider_space(dimension, tolerance):
    rng = np.random.default_rng(5)
    flat = rng.uniform(size=(3000, dimension))
    wide = np.concatenate([np.sin(flat), flat**2, flat], axis=1) @ rng.normal(size=(3 * dimension, 20))
    assert intrinsic_dimension(wide, one_each(3000)) == pytest.approx(dimension, abs=tolerance)


def test_twonn_agrees_with_a_plain_loop():
    rng = np.random.default_rng(6)
    x, moment = rng.normal(size=(60, 4)), np.repeat(one_each(30), 2)
    ratios = []
    for i in range(60):
        r = sorted((np.sqrt(sum((x[i] - x[j]) ** 2)), moment[j]) for j in range(60) if moment[j] != moment[i])
        ratios.append(next(distance for distance, m in r if m != r[0][1]) / r[0][0])
    pairs = [(np.log(mu), -np.log(1 - (k + 1) / 60)) for k, mu in enumerate(sorted(ratios)[:54])]
    assert intrinsic_dimension(x, moment) == pytest.approx(sum(a * b for a, b in pairs) / sum(a * a for a, _ in pairs))


def test_what_several_nodes_heard_at_once_does_not_lower_the_dimension():
    rng = np.random.default_rng(7)
    x = np.repeat(rng.normal(size=(500, 6)), 2, axis=0) + 1e-4 * rng.normal(size=(1000, 6))
    found = intrinsic_dimension(x, np.repeat(one_each(500), 2))
    assert found == pytest.approx(intrinsic_dimension(x[::2], one_each(500)), rel=0.05)
    alone = intrinsic_dimension(x, one_each(1000))
    assert alone < found / 2 or alone > 2 * found


def test_twonn_takes_equal_tiles_once_and_is_missing_where_nothing_else_is_left():
    x = np.random.default_rng(8).normal(size=(400, 3))
    copied = np.concatenate([x, x[:40]])
    assert intrinsic_dimension(copied, one_each(440)) == pytest.approx(intrinsic_dimension(x, one_each(400)))
    assert np.isnan(intrinsic_dimension(np.concatenate([x[:15], x[:15]]), one_each(30)))
    assert np.isnan(intrinsic_dimension(x[:19], one_each(19)))
    assert np.isnan(intrinsic_dimension(x, np.repeat(one_each(1), 400)))
