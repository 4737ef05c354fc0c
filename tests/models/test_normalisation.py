"""Normalising part by part gives what the layer of Keras gives when it sees the parts one after the other; rows of any
length, zero too, come to length 1 with finite gradients."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from lambdascape.models import normalisation
from lambdascape.models.normalisation import PartwiseNormalization, UnitLength

PARTS = np.random.default_rng(1).normal([[[[0, 3]]]], [[[[1, 20]]]], size=(3, 4, 5, 6, 2)).astype(np.float32)


def layers() -> tuple[PartwiseNormalization, keras.layers.BatchNormalization]:
    """Two layers with the same weights, none of them trivial."""
    pair = PartwiseNormalization(3), keras.layers.BatchNormalization()
    for layer in pair:
        layer.build((None, 5, 6, 2))
        layer.set_weights([np.array(w, np.float32) for w in ([0.5, 2], [1, -1], [3, 4], [5, 6])])
    return pair


def test_training_equals_one_pass_of_keras_after_the_other() -> None:
    partwise, plain = layers()
    outputs = partwise(PARTS.reshape(12, 5, 6, 2), training=True)
    expected = [plain(part, training=True) for part in PARTS]
    np.testing.assert_allclose(outputs, np.concatenate([np.asarray(e) for e in expected]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(partwise.moving_mean, plain.moving_mean, rtol=1e-6)
    np.testing.assert_allclose(partwise.moving_variance, plain.moving_variance, rtol=1e-5)


def test_inference_equals_that_of_keras_and_moves_nothing() -> None:
    partwise, plain = layers()
    np.testing.assert_allclose(partwise(PARTS[0]), plain(PARTS[0]), rtol=1e-6)
    np.testing.assert_array_equal(partwise.moving_mean, [3, 4])
    np.testing.assert_array_equal(partwise.moving_variance, [5, 6])


@pytest.mark.parametrize("normalise", [normalisation._fused, normalisation._plain])
def test_every_kernel_gives_the_mean_and_the_variance_of_the_batch(normalise: Callable) -> None:
    gamma, beta = np.array([0.5, 2], np.float32), np.array([1, -1], np.float32)
    output, mean, variance = (np.asarray(t) for t in normalise(ops.array(PARTS[0]), gamma, beta, 1e-3))
    flat = PARTS[0].reshape(-1, 2)
    np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(variance, flat.var(axis=0), rtol=1e-4)
    expected = (PARTS[0] - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-3) * gamma + beta
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


def test_rows_come_to_length_1_and_a_row_of_zeros_has_a_finite_gradient() -> None:
    import tensorflow as tf

    rows = np.array([[3, 4], [-1e-3, 0], [0, 0]], np.float32)
    variable = tf.Variable(rows)
    with tf.GradientTape() as tape:
        unit = UnitLength()(variable)
        total = tf.reduce_sum(unit * [[1.0, 2.0]])
    np.testing.assert_allclose(unit, [[0.6, 0.8], [-1, 0], [0, 0]], rtol=1e-6)
    gradient = np.asarray(tape.gradient(total, variable))
    # (g - u (u·g)) / |x| for rows of some length.
    np.testing.assert_allclose(gradient[0], (np.array([1, 2]) - np.array([0.6, 0.8]) * 2.2) / 5, rtol=1e-5)
    assert np.isfinite(gradient).all()
