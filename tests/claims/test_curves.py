import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdascape.claims.curves import convergence_epoch, end_of_curve, share_still_falling


def decay(epochs, half_life, noise=0.0, seed=0):
    return 1 + 0.5 ** (np.arange(epochs) / half_life) + noise * np.random.default_rng(seed).normal(size=epochs)


@pytest.mark.parametrize(
    ("curve", "state"),
    [
        (decay(20, 1), "converged"),
        (decay(20, 10), "falling"),
        (np.linspace(2, 1, 8), "falling"),
        (np.linspace(2, 1, 7), "unclear"),  # too short
        (np.linspace(1, 2, 20), "rising"),
        (np.array([2, 1.9, 1.8, 1.9, 2.1, 2.4, 2.8, 3.2, 3.6, 4.0]), "rising"),  # it overfits
        (np.full(20, 0.3), "converged"),
        (np.append(decay(19, 1), np.nan), "unclear"),
        (np.concatenate([np.linspace(2, 1.5, 15), [1.0, 1.9, 0.9, 1.8, 1.0]]), "unclear"),  # noise hides the slope
    ],
)
def test_end_of_a_curve(curve, state):
    assert end_of_curve(curve) == state


@given(st.floats(0.1, 100), st.floats(-50, 50), st.integers(1, 12))
def test_end_of_a_curve_knows_neither_unit_nor_offset(scale, offset, half_life):
    curve = decay(24, half_life, noise=0.01)
    assert end_of_curve(scale * curve + offset) == end_of_curve(curve)


def test_line_through_the_end_agrees_with_numpy():
    # 20 epochs: the last 5. Its slope decides, so curves just above and below 5 % of the whole fall differ.
    curve = np.concatenate([np.linspace(2, 1.1, 15), np.full(5, 1.0)])
    for fall, state in ((0.049, "converged"), (0.06, "falling")):
        curve[15:] = 1 + fall * np.linspace(1, 0, 5)
        slope = np.polyfit(range(5), curve[15:], 1)[0]
        assert (-4 * slope > 0.05 * (curve[0] - curve.min())) == (state == "falling")
        assert end_of_curve(curve) == state


def test_convergence_epoch_is_the_first_from_which_the_curve_stays_near_its_end():
    curve = np.array([2.0, 1.5, 1.03, 1.2, 1.04, 1, 1, 1, 1, 1, 1, 1])
    assert convergence_epoch(curve) == 5
    assert convergence_epoch(decay(20, 10)) == 21
    assert np.isnan(convergence_epoch(np.linspace(2, 1, 5)))
    assert np.isnan(convergence_epoch(np.linspace(1, 2, 20)))
    assert convergence_epoch(np.full(10, 0.3)) == 1


@pytest.mark.parametrize(
    ("curve", "share"),
    [
        (np.linspace(2, 1, 20), 4 / 19),  # a straight line: its last five epochs are four steps of nineteen
        (np.append(np.linspace(2, 1, 15), np.ones(5)), 0.0),
        (np.full(20, 0.3), 0.0),
        (np.append(np.linspace(2, 1, 15), np.linspace(1, 1.4, 5)), -0.4),
    ],
)
def test_share_of_the_whole_fall_along_the_end(curve, share):
    assert share_still_falling(curve) == pytest.approx(share)
    assert share_still_falling(7 * curve + 3) == pytest.approx(share)


def test_a_curve_that_only_rises_or_lacks_a_value_has_no_share_of_a_fall():
    assert share_still_falling(np.linspace(1, 2, 20)) < -1
    assert np.isnan(share_still_falling(np.append(np.ones(19), np.nan)))
