import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_score

from lambdascape.geometry import clusters


def space(n=40, groups="abc", seed=4, apart=0.0):
    rng = np.random.default_rng(seed)
    group = rng.choice(list(groups), n).astype(object)
    centres = {name: apart * rng.normal(size=5) for name in groups}
    return rng.normal(size=(n, 5)) + np.array([centres[name] for name in group]), group


@pytest.mark.parametrize("apart", [0, 2])
def test_silhouette_agrees_with_scikit_learn_with_a_tile_alone_in_its_group_too(apart):
    x, group = space(apart=apart)
    assert clusters.silhouette(x, group) == pytest.approx(silhouette_score(x, group, metric="cosine"))
    group[0] = "alone"
    assert clusters.silhouette(x, group) == pytest.approx(silhouette_score(x, group, metric="cosine"))


@pytest.mark.parametrize("group", [["a"] * 4, ["a", "b", "c", "d"], []])
def test_without_groups_to_compare_all_is_missing(group):
    x, group = np.eye(4)[: len(group)], np.array(group, object)
    found = clusters.silhouette(x, group), clusters.intra_inter_ratio(x, group)
    assert np.isnan([*found, *clusters.kmeans_agreement(x, group, 0)]).all()


def test_the_ratio_agrees_with_a_plain_loop():
    x, group = space(apart=1)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    d = cdist(unit, unit, "sqeuclidean")
    within, between = [], []
    for a in "abc":
        rows = np.flatnonzero(group == a)
        within.append(np.mean([d[i, j] for i in rows for j in rows if i != j]))
        between += [d[np.ix_(rows, np.flatnonzero(group == b))].mean() for b in "abc" if b > a]
    assert clusters.intra_inter_ratio(x, group) == pytest.approx(np.mean(within) / np.mean(between))


def test_the_ratio_is_0_for_points_and_1_for_groups_that_say_nothing():
    names = np.array(["a", "a", "b", "b"], object)
    assert clusters.intra_inter_ratio(np.repeat(np.eye(2), 2, axis=0), names) == pytest.approx(0, abs=1e-12)
    x, group = space(n=3000)
    assert clusters.intra_inter_ratio(x, group) == pytest.approx(1, abs=0.02)


def test_kmeans_finds_groups_far_apart_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    group = np.repeat(np.array(["a", "b", "c"], object), 50)
    x = np.repeat(np.eye(3), 50, axis=0) + 0.05 * rng.normal(size=(150, 3))
    assert clusters.kmeans_agreement(x, group, 0) == pytest.approx((1, 1))
    ami, nmi = clusters.kmeans_agreement(rng.normal(size=(150, 3)), group, 0)
    assert abs(ami) < 0.05
    assert nmi > ami


def test_centroids_are_compared_on_the_unit_sphere():
    x = np.array([[2.0, 0], [5, 0], [0, 3], [-1, 0]])
    names, distances = clusters.centroid_distances(x, np.array(["b", "b", "a", "c"], object))
    assert names == ["a", "b", "c"]
    assert distances == pytest.approx(np.sqrt(np.array([[0, 2, 2], [2, 0, 4], [2, 4, 0]])))
    assert clusters.mean_distance(distances) == pytest.approx((2 * np.sqrt(2) + 2) / 3)
    assert clusters.centroid_distances(x[:0], np.array([], object))[0] == []
