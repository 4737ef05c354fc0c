import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from lambdascape.core.errors import InputError
from lambdascape.embeddings import neighbours
from lambdascape.embeddings.neighbours import most_neighbours, nearest


@given(st.integers(2, 120), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_nearest_are_those_of_a_plain_sort(n, groups, seed):
    rng = np.random.default_rng(seed)
    points, group = rng.normal(size=(n, 4)) + 5, rng.integers(0, groups, n)
    most = most_neighbours(group)
    if most == 0:
        return
    count = int(rng.integers(1, most + 1))
    distance = cdist(points, points)
    distance[group[:, None] == group] = np.inf
    expected = np.argsort(distance, axis=1, kind="stable")[:, :count]
    before, neighbours.CELLS = neighbours.CELLS, 3 * n  # three rows at a time
    try:
        found = nearest(points, count, group)
    finally:
        neighbours.CELLS = before
    found_distances = np.take_along_axis(distance, found, axis=1)
    assert found_distances == pytest.approx(np.take_along_axis(distance, expected, axis=1), abs=1e-4)
    assert all(len(set(row)) == count for row in found.tolist())


def test_many_columns_go_the_short_way_and_give_the_same(monkeypatch):
    points = np.random.default_rng(3).normal(size=(900, 8))
    group = np.arange(900) // 4
    short = nearest(points, 20, group)
    monkeypatch.setattr(neighbours, "BLOCK", 900)  # one block: a whole sort
    assert short.tolist() == nearest(points, 20, group).tolist()


def test_equal_points_have_as_many_neighbours_as_asked_for():
    found = nearest(np.zeros((100, 3)), 5, np.arange(100))
    assert all(len(set(row)) == 5 and i not in row for i, row in enumerate(found.tolist()))


def test_more_neighbours_than_there_are_is_refused():
    assert most_neighbours(np.array([0, 0, 1])) == 1
    assert most_neighbours(np.array([], int)) == 0
    with pytest.raises(InputError, match="must be 1 to 1; got 2"):
        nearest(np.zeros((3, 2)), 2, np.array([0, 0, 1]))
