"""The triplet loss against a plain loop over triplets and dimensions."""

import numpy as np
import pytest

from lambdascape.models import losses


def plain_hinges(points: np.ndarray, margin: float) -> list[float]:
    result = []
    for anchor, neighbour, distant in points:
        near = sum((a - b) ** 2 for a, b in zip(anchor, neighbour, strict=True))
        far = sum((a - b) ** 2 for a, b in zip(anchor, distant, strict=True))
        result.append(max(0.0, near - far + margin))
    return result


def hinges_of(points: np.ndarray, margin: float) -> np.ndarray:
    anchor, neighbour, distant = (points[:, role] for role in range(3))
    near, far = losses.squared_distance(anchor, neighbour), losses.squared_distance(anchor, distant)
    return np.asarray(losses.hinge(near, far, margin))


@pytest.mark.parametrize("margin", [0.3, 1.0, 10.0])
def test_equal_to_a_plain_loop(margin: float) -> None:
    points = np.random.default_rng(5).normal(size=(40, 3, 6)).astype(np.float32)
    plain = plain_hinges(points.astype(np.float64), margin)
    hinges = hinges_of(points, margin)
    np.testing.assert_allclose(hinges, plain, rtol=1e-5, atol=1e-5)
    pulling = [value for value in plain if value > 0]
    assert len(pulling) > 0
    assert float(losses.reduce_hinges(hinges, "all")) == pytest.approx(sum(plain) / len(plain), rel=1e-5)
    assert float(losses.reduce_hinges(hinges, "nonzero")) == pytest.approx(sum(pulling) / len(pulling), rel=1e-5)


def test_satisfied_triplets_give_zero_not_nan() -> None:
    hinges = np.zeros(4, np.float32)
    assert float(losses.reduce_hinges(hinges, "nonzero")) == 0.0
    assert np.asarray(losses.active(hinges)).tolist() == [0, 0, 0, 0]


def test_the_gradient_at_distance_zero_is_finite() -> None:
    import tensorflow as tf

    point = tf.Variable(np.full((1, 4), 0.5, np.float32))
    with tf.GradientTape() as tape:
        near = losses.squared_distance(point, point)
        loss = losses.reduce_hinges(losses.hinge(near, near, 1.0), "nonzero")
    assert np.isfinite(tape.gradient(loss, point).numpy()).all()
