"""The measures of a training step: against a slow plain version, and in cases with known answers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lambdascape.models.layer_diagnostics import (
    DEAD_BELOW,
    MEASURES,
    StepMeasures,
    dead,
    effective_rank,
    measure,
    sampled_step,
)

RATE = 0.003


def a_step(
    seed: int = 1, l2: float = 0.3, shape: tuple[int, ...] = (3, 3, 2, 5), normalised: bool = True
) -> StepMeasures:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape), rng.normal(size=shape[-1:])]
    return StepMeasures(
        weights,
        [1e-4 * rng.normal(size=w.shape) for w in weights],
        [2 * l2 * w + rng.normal(size=w.shape) for w in weights],
        0.0,
        l2,
        rng.normal(size=shape[-1]) if normalised else None,
        rng.uniform(0.1, 9, size=shape[-1]) if normalised else None,
    )


def slowly(steps: list[StepMeasures], rate: float) -> dict[str, float]:
    """The measures as their definitions read."""
    w, new, penalty, rest = [], [], [], []
    for step in steps:
        for weights, updates, gradients in zip(step.weights, step.updates, step.gradients, strict=True):
            for value, update, gradient in zip(weights.flat, updates.flat, gradients.flat, strict=True):
                w.append(float(value))
                new.append(float(value) + float(update))
                penalty.append(2 * step.l2 * float(value))
                rest.append(float(gradient) - 2 * step.l2 * float(value))
    gammas = [abs(g) for step in steps if step.gamma is not None for g in step.gamma]
    variances = [v for step in steps if step.variance_over_epsilon is not None for v in step.variance_over_epsilon]
    dead_ones, ranks = [], []
    for step in steps:
        matrix = step.weights[0].reshape(-1, step.weights[0].shape[-1])
        sigma = np.linalg.svd(matrix, compute_uv=False)
        ranks.append(math.exp(-sum(s / sum(sigma) * math.log(s / sum(sigma)) for s in sigma)))
        norms = [math.hypot(*column) for column in matrix.T]
        for i, norm in enumerate(norms):
            if step.gamma is None or step.variance_over_epsilon is None:
                dead_ones.append(norm <= DEAD_BELOW * math.hypot(*norms) / math.sqrt(len(norms)))
            else:
                v = step.variance_over_epsilon[i]
                dead_ones.append(abs(step.gamma[i]) * math.sqrt(v / (v + 1)) < DEAD_BELOW)
    cosine = sum(a * b for a, b in zip(w, new, strict=True)) / (math.hypot(*w) * math.hypot(*new))
    return {
        "weight_norm": math.hypot(*w),
        "relative_update": math.hypot(*(b - a for a, b in zip(w, new, strict=True))) / math.hypot(*w),
        "angular_update": math.acos(cosine),
        "effective_learning_rate": rate / math.hypot(*w),
        "gradient_ratio": math.hypot(*penalty) / math.hypot(*rest),
        "variance_over_epsilon": float(np.median(variances)),
        "gamma": sum(gammas) / len(gammas),
        "dead_kernels": sum(dead_ones) / len(dead_ones),
        "effective_rank": sum(ranks) / len(ranks),
    }


def test_the_measures_are_those_of_the_plain_version() -> None:
    first, second = a_step(1), a_step(2, l2=0.0, shape=(1, 1, 3, 7))
    gamma = np.array(second.gamma)
    gamma[2] = 1e-3
    steps = [first, replace(second, gamma=gamma)]
    found, expected = measure(steps, RATE), slowly(steps, RATE)
    assert tuple(found) == MEASURES
    assert found["dead_kernels"] == pytest.approx(1 / 12)
    assert found["angular_update"] == pytest.approx(expected.pop("angular_update"), rel=1e-6)  # acos is rough near 0
    assert found == pytest.approx(expected | {"angular_update": found["angular_update"]}, rel=1e-12)


def test_without_l2_the_penalty_has_no_gradient() -> None:
    assert measure([a_step(l2=0.0)], RATE)["gradient_ratio"] == 0


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_where_no_triplet_is_active_the_ratio_is_undefined(l2: float) -> None:
    step = a_step(l2=l2)
    noise = [1e-9 * np.ones_like(w) for w in step.weights]
    gradients = [2 * l2 * w + n for w, n in zip(step.weights, noise, strict=True)]
    assert math.isnan(measure([replace(step, gradients=gradients, rounding=1e-6)], RATE)["gradient_ratio"])
    assert not math.isnan(measure([replace(step, gradients=gradients)], RATE)["gradient_ratio"])


def test_scaled_weights_move_the_sizes_and_not_the_directions() -> None:
    step = a_step()
    larger = replace(step, weights=[8 * w for w in step.weights], updates=[8 * u for u in step.updates])
    one, eight = measure([step], RATE), measure([larger], RATE)
    factors = {"weight_norm": 8, "relative_update": 1, "angular_update": 1, "effective_learning_rate": 1 / 8,
        "effective_rank": 1, "dead_kernels": 1}  # fmt: skip
    for name, factor in factors.items():
        assert eight[name] == pytest.approx(factor * one[name], rel=1e-9), name


@pytest.mark.finding("C1")
def test_the_effective_learning_rate_grows_as_a_step_of_adam_turns_shorter_weights() -> None:
    """Adam's step is as long for weights half as long: it turns them twice as far, not four times."""
    step = a_step()
    shorter = replace(step, weights=[w / 2 for w in step.weights])
    one, half = measure([step], RATE), measure([shorter], RATE)
    assert half["effective_learning_rate"] / one["effective_learning_rate"] == pytest.approx(2)
    assert half["relative_update"] / one["relative_update"] == pytest.approx(2)


@pytest.mark.parametrize("angle", [1e-7, 1e-3, 0.5, 3.0])
def test_a_rotation_has_its_angle_and_shrinking_has_none(angle: float) -> None:
    kernel = np.array([[3.0, 0.0], [0.0, 0.0]])
    turned = 3 * np.array([[np.cos(angle), np.sin(angle)], [0, 0]])
    step = StepMeasures([kernel], [turned - kernel], [kernel], 0.0, 0.0, None, None)
    assert measure([step], RATE)["angular_update"] == pytest.approx(angle, rel=1e-6)
    shrunk = measure([replace(step, updates=[-0.25 * kernel])], RATE)
    assert (shrunk["relative_update"], shrunk["angular_update"]) == (0.25, 0.0)


def test_weights_of_zero_leave_what_is_divided_by_them_undefined() -> None:
    step = a_step()
    found = measure([replace(step, weights=[np.zeros_like(w) for w in step.weights])], RATE)
    assert found["weight_norm"] == 0
    undefined = ("relative_update", "angular_update", "effective_learning_rate", "effective_rank")
    assert all(math.isnan(found[name]) for name in undefined)


def test_the_head_has_no_normalisation() -> None:
    found = measure([a_step(normalised=False, shape=(4, 3))], RATE)
    assert [name for name, value in found.items() if math.isnan(value)] == ["variance_over_epsilon", "gamma"]


def test_a_channel_is_dead_when_its_scale_or_its_variance_has_gone() -> None:
    step = replace(
        a_step(),
        gamma=np.array([1.0, -1.0, 0.001, 1.0, 1.0]),
        variance_over_epsilon=np.array([1e3, 1e3, 1e3, 0.0, 1e-5]),
    )
    assert dead(step).tolist() == [False, False, True, True, True]
    assert measure([step], RATE)["dead_kernels"] == pytest.approx(0.6)


def test_a_zeroed_kernel_of_the_head_is_dead_and_small_ones_together_are_not() -> None:
    step = a_step(normalised=False, shape=(4, 3))
    assert not dead(replace(step, weights=[1e-9 * w for w in step.weights])).any()
    zeroed = step.weights[0].copy()
    zeroed[:, 1] = 0
    assert dead(replace(step, weights=[zeroed])).tolist() == [False, True, False]
    assert dead(replace(step, weights=[0 * zeroed])).all()


def test_the_effective_rank_counts_directions() -> None:
    assert effective_rank(np.eye(6)) == pytest.approx(6)
    assert effective_rank(np.outer(np.arange(1, 9), np.ones(4))) == pytest.approx(1, abs=1e-5)
    assert effective_rank(np.eye(6, 40)) == pytest.approx(6)
    assert math.isnan(effective_rank(np.zeros((4, 3))))
    assert math.isnan(effective_rank(np.full((4, 3), np.inf)))


@pytest.mark.parametrize(("triplets", "step"), [(1, 0), (64, 0), (127, 0), (128, 1), (64 * 9 + 3, 8)])
def test_the_last_step_on_a_whole_batch_is_measured(triplets: int, step: int) -> None:
    assert sampled_step(triplets, 64) == step
