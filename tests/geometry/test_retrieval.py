import numpy as np
import pytest

from lambdascape.embeddings import neighbours
from lambdascape.geometry.retrieval import NAMES, Grouping, _score, retrieve


def plain(x, group, left_out):
    """The definitions, one tile and one rank at a time."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    rows = []
    for i in range(len(x)):
        if group[i] < 0:
            continue
        others = [j for j in range(len(x)) if left_out[j] != left_out[i] and group[j] >= 0]
        others.sort(key=lambda j: -unit[i] @ unit[j])
        hits = [int(group[j] == group[i]) for j in others]
        R = sum(hits)
        if R:
            average = sum(sum(hits[: k + 1]) / (k + 1) for k in range(R) if hits[k]) / R
            rows.append((hits[0], sum(hits[:R]) / R, average, R / len(hits)))
    return np.mean(rows, axis=0)


def test_scores_agree_with_the_definitions(monkeypatch):
    monkeypatch.setattr(neighbours, "CELLS", 60 * 7)  # seven tiles at a time
    rng = np.random.default_rng(2)
    groupings = [Grouping(rng.integers(-1, 4, 60), rng.integers(0, 20, 60)) for _ in range(3)]
    x = rng.normal(size=(60, 3)) + 2 * np.eye(3)[groupings[0].group % 3]
    for found, grouping in zip(retrieve(x, groupings), groupings, strict=True):
        assert list(found) == list(NAMES)
        assert list(found.values()) == pytest.approx(plain(x, grouping.group, grouping.left_out), abs=1e-6)


@pytest.mark.finding("B12")
def test_asked_are_the_tiles_that_have_another_of_their_group_to_find():
    rng = np.random.default_rng(3)
    for _ in range(20):
        group, left_out = rng.integers(-1, 8, 15), rng.integers(0, 3, 15)
        asked = [
            i
            for i in range(15)
            if group[i] >= 0 and any(group[j] == group[i] and left_out[j] != left_out[i] for j in range(15))
        ]
        assert Grouping(group, left_out).asked() == (len(asked), len(set(group[asked])))
    assert Grouping(np.full(3, -1), np.arange(3)).asked() == (0, 0)


@pytest.mark.parametrize(
    ("hits", "r_precision", "map_at_r"),
    [([1], 0.1, 0.1), ([1, 10], 0.2, 0.12), ([1, 2], 0.2, 0.2), (list(range(1, 11)), 1, 1)],
)
def test_the_toy_examples_of_musgrave_et_al(hits, r_precision, map_at_r):
    """Ten tiles to retrieve among a hundred; those not named are the last of the ranking (2003.08505, table 1)."""
    group = np.ones(101, int)
    group[[0, *hits, *range(101 - (10 - len(hits)), 101)]] = 0
    *scores, asked = _score(np.arange(101)[None], slice(0, 1), Grouping(group, np.arange(101)))
    assert asked == 1
    assert scores == pytest.approx([1, r_precision, map_at_r, 0.1])


def test_a_space_of_separate_points_is_perfect_and_noise_is_chance():
    group, left_out = np.repeat(np.arange(4), 50), np.arange(200)
    rng = np.random.default_rng(1)
    x = np.eye(4)[group] + 0.01 * rng.normal(size=(200, 4))
    found = retrieve(x, [Grouping(group, left_out)])[0]
    assert [found[name] for name in NAMES[:3]] == pytest.approx([1, 1, 1])
    noise = retrieve(rng.normal(size=(2000, 8)), [Grouping(np.tile(group, 10), np.arange(2000))])[0]
    assert noise["retrieval_chance"] == pytest.approx(499 / 1999)
    assert noise["precision_at_1"] == pytest.approx(0.25, abs=0.04)
    assert noise["r_precision"] == pytest.approx(0.25, abs=0.01)


def test_ties_give_chance_and_not_the_order_of_the_manifest():
    """Two places, each with half of both groups, sorted by group as a manifest is."""
    group = np.repeat([0, 1], 200)
    x = np.tile(np.eye(2), (200, 1))
    found = retrieve(x, [Grouping(group, np.arange(400))])[0]
    assert found["precision_at_1"] == pytest.approx(0.5, abs=0.1)


def test_nothing_to_find_is_missing():
    x = np.random.default_rng(0).normal(size=(6, 2))
    same = Grouping(np.zeros(6, int), np.zeros(6, int))
    alone = Grouping(np.arange(6), np.arange(6))
    unknown = Grouping(np.full(6, -1), np.arange(6))
    for found in [*retrieve(x, [same, alone, unknown]), *retrieve(np.ones((6, 2)), [same]), *retrieve(x[:0], [same])]:
        assert np.isnan(list(found.values())).all()
