"""The triplet loss against a plain loop over triplets and dimensions."""

import numpy as np
import pytest

from lambdascape.models.losses.triplet import triplet_loss


def plain_hinges(points: np.ndarray, margin: float) -> list[float]:
    result = []
    for anchor, neighbour, distant in points:
        near = sum((a - b) ** 2 for a, b in zip(anchor, neighbour, strict=True))
        far = sum((a - b) ** 2 for a, b in zip(anchor, distant, strict=True))
        result.append(max(0.0, near - far + margin))
    return result


@pytest.mark.parametrize("margin", [0.3, 1.0, 10.0])
def test_equal_to_a_plain_loop(margin: float) -> None:
    points = np.random.default_rng(5).normal(size=(40, 3, 6)).astype(np.float32)
    plain = plain_hinges(points.astype(np.float64), margin)
    nonzero, all_ = (triplet_loss(*points.swapaxes(0, 1), margin, reduction) for reduction in ("nonzero", "all"))
    np.testing.assert_allclose(nonzero.per_triplet, plain, rtol=1e-5, atol=1e-5)
    pulling = [value for value in plain if value > 0]
    assert len(pulling) > 0
    assert float(all_.minimised) == pytest.approx(sum(plain) / len(plain), rel=1e-5)
    assert float(nonzero.minimised) == pytest.approx(sum(pulling) / len(pulling), rel=1e-5)
    values, weights = map(np.asarray, nonzero.measures["loss_nonzero"])
    assert np.average(values, weights=weights) == pytest.approx(sum(pulling) / len(pulling), rel=1e-5)


def test_satisfied_triplets_give_zero_not_nan() -> None:
    near, far = np.zeros((4, 2), np.float32), np.full((4, 2), 9, np.float32)
    terms = triplet_loss(near, near, far, 1.0, "nonzero")
    assert float(terms.minimised) == 0.0
    assert np.asarray(terms.measures["active_fraction"][0]).tolist() == [0, 0, 0, 0]


def test_the_gradient_at_distance_zero_is_finite() -> None:
    import tensorflow as tf

    point = tf.Variable(np.full((1, 4), 0.5, np.float32))
    with tf.GradientTape() as tape:
        loss = triplet_loss(point, point, point, 1.0, "nonzero").minimised
    assert np.isfinite(tape.gradient(loss, point).numpy()).all()
