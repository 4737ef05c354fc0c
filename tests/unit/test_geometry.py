import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from lambdascape import geometry
from lambdascape.errors import InputError
from lambdascape.files import read_table
from lambdascape.geometry import (
    alignment,
    draw_tiles,
    effective_rank,
    measure_geometry,
    neighbouring_tiles,
    participation_ratio,
    silhouette,
    uniformity,
    unit_norm,
)

from .spaces import make_space, write_space

MEASURES = [
    "effective_rank", "participation_ratio", "alignment", "uniformity",
    "silhouette", "silhouette_session", "norm_mean", "norm_std",
]  # fmt: skip


def measure(tmp_path, embedding, tiles, max_tiles=1000, seed=1):
    path = write_space(tmp_path / "space.h5", embedding, tiles)
    measure_geometry(path, "fold1", {"max_tiles": max_tiles}, tmp_path / "geometry.tsv", seed)
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


def test_silhouette_agrees_with_a_plain_loop_over_cosine_distances():
    rng = np.random.default_rng(4)
    x, group = rng.normal(size=(20, 3)), rng.choice(["a", "b", "c"], 20).astype(object)
    d = cdist(x, x, "cosine")
    found = []
    for i in range(20):
        own = [d[i, j] for j in range(20) if group[j] == group[i] and j != i]
        other = min(np.mean(d[i][group == g]) for g in set(group) - {group[i]})
        found.append((other - np.mean(own)) / max(other, np.mean(own)) if own else 0.0)
    assert silhouette(x, group) == pytest.approx(np.mean(found))


@pytest.mark.parametrize("group", [["a"] * 4, ["a", "b", "c", "d"], []])
def test_silhouette_is_missing_without_groups_to_compare(group):
    assert np.isnan(silhouette(np.eye(4)[: len(group)], np.array(group, object)))


def test_a_space_collapsed_to_one_point_has_defined_values(tmp_path):
    embedding, tiles = make_space()
    embedding = np.tile(np.float32([0.3, -0.1, 0.7, 0, 0.2, 0.6]), (len(embedding), 1))
    values = measure(tmp_path, embedding, tiles)
    assert values["effective_rank"] == pytest.approx(1)
    assert np.isnan(values["participation_ratio"])
    assert values["alignment"] == pytest.approx(0)
    assert values["uniformity"] == pytest.approx(0)
    assert values["silhouette"] == pytest.approx(0, abs=1e-6)
    assert values["norm_std"] == pytest.approx(0)


def test_a_space_of_zeros_has_no_rank_and_no_division_by_zero(tmp_path):
    embedding, tiles = make_space()
    values = measure(tmp_path, 0 * embedding, tiles)
    assert np.isnan([values["effective_rank"], values["participation_ratio"]]).all()
    assert [values[name] for name in MEASURES[2:]] == [0] * 6


def test_one_tile_gives_what_is_defined(tmp_path):
    embedding, tiles = make_space()
    tiles.loc[1:, "fold"] = "fold2"
    values = measure(tmp_path, embedding, tiles)
    missing = [name for name in MEASURES if np.isnan(values[name])]
    assert missing == ["participation_ratio", "alignment", "uniformity", "silhouette", "silhouette_session"]
    assert values["effective_rank"] == 1
    assert values["norm_mean"] == pytest.approx(np.linalg.norm(embedding[0]))


def test_only_the_test_split_is_measured(tmp_path):
    embedding, tiles = make_space()
    fold = (tiles["fold"] == "fold1").to_numpy()
    values = measure(tmp_path, embedding, tiles)
    assert list(values) == MEASURES
    assert values == measure(tmp_path, np.where(fold[:, None], embedding, 9 * embedding + 1), tiles)
    assert values["norm_mean"] == pytest.approx(np.linalg.norm(embedding[fold], axis=1).mean())
    assert values["effective_rank"] == pytest.approx(effective_rank(embedding[fold].astype(float)))


def test_without_labels_only_the_silhouette_of_labels_is_missing(tmp_path):
    embedding, tiles = make_space()
    values = measure(tmp_path, embedding, tiles.assign(label=""))
    assert [name for name in MEASURES if np.isnan(values[name])] == ["silhouette"]


def test_unlabelled_tiles_do_not_enter_the_silhouette_of_labels(tmp_path):
    embedding, tiles = make_space()
    known = measure(tmp_path, embedding, tiles)["silhouette"]
    extra = tiles[tiles["fold"] == "fold1"].assign(label="", session="new")
    more = np.concatenate([embedding, 5 - embedding[extra.index]])
    assert measure(tmp_path, more, pd.concat([tiles, extra]))["silhouette"] == pytest.approx(known)


def test_a_draw_is_a_function_of_its_seed(tmp_path):
    space = make_space(clips=10)
    draws = [measure(tmp_path, *space, max_tiles=30, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0]["alignment"] == draws[2]["alignment"]


def test_an_unknown_fold_is_refused(tmp_path):
    embedding, tiles = make_space()
    with pytest.raises(InputError, match=r"split\.test_fold must be a fold"):
        measure(tmp_path, embedding, tiles.assign(fold="fold3"))


@given(
    st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=80),
    st.integers(2, 90),
    st.integers(0, 9),
)
@settings(deadline=None)
def test_drawn_tiles_keep_the_shares_of_the_labels(labels, limit, seed):
    label = np.array(labels, object)
    rows = draw_tiles(label, limit, seed)
    assert len(set(rows)) == len(rows) == min(limit, len(label))
    assert (np.diff(rows) > 0).all()
    for name in set(labels):
        share = (label == name).sum() * len(rows) / len(label)
        # Each label is rounded, by half a tile at most, and the total must come out even.
        assert abs((label[rows] == name).sum() - share) <= 0.5 + 0.5 * len(set(labels))


def test_neighbours_are_consecutive_tiles_of_one_clip():
    tiles = pd.DataFrame({"clip": ["b", "a", "b", "a", "c", "b"], "start_s": [2.0, 0.0, 0.0, 1.0, 0.0, 1.0]})
    assert neighbouring_tiles(tiles).tolist() == [[1, 3], [2, 5], [5, 0]]


def test_unit_norm_leaves_zeros():
    assert unit_norm(np.array([[3.0, 4], [0, 0]])).tolist() == [[0.6, 0.8], [0, 0]]
