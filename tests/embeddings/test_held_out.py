import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdascape.core.vectors import is_one_point, unit_norm
from lambdascape.embeddings.held_out import sample_tiles


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=80), st.integers(2, 90), st.integers(0, 9))
@settings(deadline=None)
def test_drawn_tiles_keep_the_shares_of_the_labels(labels, limit, seed):
    label = np.array(labels, object)
    rows = sample_tiles(label, limit, seed)
    assert len(set(rows)) == len(rows) == min(limit, len(label))
    assert (np.diff(rows) > 0).all()
    for name in set(labels):
        share = (label == name).sum() * len(rows) / len(label)
        # Each label is rounded, by half a tile at most, and the total must come out even.
        assert abs((label[rows] == name).sum() - share) <= 0.5 + 0.5 * len(set(labels))


def test_the_draw_on_which_spaces_are_measured_stays_as_it_was():
    few = np.array(list("aaaaaabbbc"), object)
    assert sample_tiles(few, 5, 1).tolist() == [0, 1, 4, 7, 8]
    assert sample_tiles(np.tile(few, 3), 9, 7).tolist() == [4, 12, 14, 17, 19, 22, 24, 27, 28]


def test_labels_too_small_for_a_tile_of_their_own_have_their_share_together():
    label = np.array(["large"] * 900 + [f"small{i}" for i in range(100)], object)
    small = [(sample_tiles(label, 100, seed, fair_to_small=True) >= 900).sum() for seed in range(50)]
    assert np.mean(small) == pytest.approx(10, abs=1.5)
    assert (sample_tiles(label, 100, 1) < 900).all()


def test_unit_norm_leaves_zeros():
    assert unit_norm(np.array([[3.0, 4], [0, 0]])).tolist() == [[0.6, 0.8], [0, 0]]


def test_rounding_is_no_spread():
    point = np.float32([0.3, -0.1, 0.7])
    rows = np.tile(point, (50, 1)).astype(np.float64)
    noise = np.random.default_rng(0).normal(size=rows.shape)
    assert is_one_point(rows)
    assert is_one_point(rows + 1e-8 * noise)
    assert not is_one_point(rows + 1e-4 * noise)
    assert is_one_point(0 * rows)
