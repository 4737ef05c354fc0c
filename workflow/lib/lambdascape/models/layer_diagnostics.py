"""What one training step of each epoch does to each stage of the network: the sizes through which λ acts.

Read off a step that is taken anyway: Adam's first moment before and after it gives the gradient, the moving averages
give the variances of the batch. Nothing is computed twice, nothing random is drawn, nothing is written to the model.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lambdascape.models.normalisation import PartwiseNormalization

Array = npt.NDArray[Any]
HEAD, EMBEDDING = "head", "embedding"  # group and name of the embedding layer
MEASURES = (
    "weight_norm",
    "relative_update",
    "angular_update",
    "effective_learning_rate",
    "gradient_ratio",
    "variance_over_epsilon",
    "gamma",
    "dead_kernels",
    "effective_rank",
)
# The variance that the moving averages, and that the statistics in use, hold over that of the weights after the epoch,
# see `batch_statistics.variance_ratios`; of recomputed statistics it is known for the weights that are saved.
MOVING_RATIO, STORED_RATIO = "moving_over_true_variance", "stored_over_true_variance"
LAYERS = ("epoch", "group", *MEASURES, MOVING_RATIO, STORED_RATIO)  # columns
# A kernel is dead below this share of what it passes on at first, see `dead`: it adds 1e-4 of a live one's variance.
DEAD_BELOW = 0.01
WITH_KERNEL = keras.layers.Conv2D | keras.layers.Dense
# Rounding of a moment in float32 (6e-8 of it, twice), seen through the 0.1 of it that a step renews.
ROUNDING = 2e-6


@dataclass(frozen=True)
class StepMeasures:
    """One layer in one training step, weights as they are before it.

    Attributes:
        weights: kernel, shape (…, input, filter), and where there is one the bias, shape (filter,).
        updates: what the step adds to each of them.
        gradients: of the whole loss, penalties included, by each of them.
        rounding: length below which a part of the gradients is lost in their rounding.
        l2: λ where it holds for this layer, else 0.
        gamma: shape (filter,), scale of the normalisation behind the layer; None behind the embedding layer.
        variance_over_epsilon: shape (filter,), variance of the layer's outputs over the batch, mean over the parts that
            are normalised apart, over the ε of the normalisation; None as `gamma`.
    """

    weights: Sequence[Array]
    updates: Sequence[Array]
    gradients: Sequence[Array]
    rounding: float
    l2: float
    gamma: Array | None
    variance_over_epsilon: Array | None


def measure(steps: Sequence[StepMeasures], learning_rate: float) -> dict[str, float]:
    """The measures of one group of layers in one training step; NaN where one is not defined.

    The weights w of a group are the kernels and biases of its layers as one vector: all that λ holds for with the scope
    `all`, whatever the scope is, and nothing of batch normalisation.

    Args:
        steps: of the layers of the group.
        learning_rate: of the step.

    Returns:
        weight_norm: ‖w‖.
        relative_update: ‖Δw‖ / ‖w‖.
        angular_update: angle between w before and after the step, radians. Before a normalisation only the direction
            of w matters (Kosson et al. 2305.17212).
        effective_learning_rate: learning rate / ‖w‖, for Adam: the length of its step does not depend on that of the
            gradient, which before a normalisation falls as ‖w‖ grows. With SGD it is learning rate / ‖w‖² (van
            Laarhoven 1706.05350).
        gradient_ratio: ‖∇penalty‖ / ‖∇rest‖ with ∇penalty = 2λw where λ holds, and ∇rest all else of the gradient:
            that of the loss and of `embedding_norm_penalty`. 0 without λ; NaN where ∇rest is lost in the
            rounding, as without an active triplet.
        variance_over_epsilon: median over channels. Below about 1 normalisation no longer makes up for small weights.
            Known to 1e-5 of the moving average.
        gamma: mean of |γ| over channels.
        dead_kernels: share of kernels, see `dead`.
        effective_rank: mean over layers, see `effective_rank`.
    """
    sums: dict[str, float] = defaultdict(float)
    for step in steps:
        for w, update, gradient in _in_double(step):
            rest = gradient - 2 * step.l2 * w
            sums["ww"] += float(w @ w)
            sums["wu"] += float(w @ update)
            sums["uu"] += float(update @ update)
            sums["penalty"] += 4 * step.l2**2 * float(w @ w)
            sums["rest"] += float(rest @ rest)
        sums["rounding"] += step.rounding**2
    norm = math.sqrt(sums["ww"])
    along = _divided(sums["wu"], norm)  # the part of the update in the direction of w
    across = math.sqrt(max(sums["uu"] - along**2, 0.0))
    known = math.sqrt(sums["rest"]) if sums["rest"] > sums["rounding"] else 0.0
    gammas = [step.gamma for step in steps if step.gamma is not None]
    variances = [step.variance_over_epsilon for step in steps if step.variance_over_epsilon is not None]
    found = (
        norm,
        _divided(math.sqrt(sums["uu"]), norm),
        math.atan2(across, norm + along),
        _divided(learning_rate, norm),
        _divided(math.sqrt(sums["penalty"]), known),
        np.median(np.concatenate(variances)) if variances else np.nan,
        np.mean(np.abs(np.concatenate(gammas))) if gammas else np.nan,
        np.mean(np.concatenate([dead(step) for step in steps])),
        np.mean([effective_rank(step.weights[0]) for step in steps]),
    )
    return dict(zip(MEASURES, map(float, found), strict=True))


def _in_double(step: StepMeasures) -> list[tuple[Array, ...]]:
    """Weights, updates and gradients, each as a vector: updates are millionths of the weights."""
    return [
        tuple(np.asarray(array, np.float64).ravel() for array in arrays)
        for arrays in zip(step.weights, step.updates, step.gradients, strict=True)
    ]


def _divided(value: float, by: float) -> float:
    return value / by if by else float("nan")


def dead(step: StepMeasures) -> npt.NDArray[np.bool_]:
    """Which kernels of a layer pass on nothing of what comes in, shape (filter,).

    Behind a convolution, normalisation gives a channel the standard deviation |γ|·√(v / (v + ε)), v its variance over
    the batch: 1 at first, and dead below `DEAD_BELOW`, be it that γ has gone or that v has sunk under ε. The norm of
    the kernel says nothing there, normalisation makes up for it. None follows the embedding layer: there, a kernel is
    dead whose norm is at most `DEAD_BELOW` of the root mean square over the layer's kernels.
    """
    if step.gamma is not None and step.variance_over_epsilon is not None:
        v = step.variance_over_epsilon
        return np.asarray(np.abs(step.gamma) * np.sqrt(v / (v + 1)) < DEAD_BELOW)
    kernel = step.weights[0]
    norms = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0)
    return np.asarray(norms <= DEAD_BELOW * np.sqrt(np.mean(norms**2)))


def effective_rank(kernel: Array) -> float:
    """Number of directions that a kernel uses: exp of the entropy of its singular values.

    With p = σ / Σσ over the singular values σ of the matrix (inputs, filter) it is exp(-Σ p ln p), from 1 to the
    smaller side (Roy & Vetterli 2007; RankMe, 2210.02885, for embeddings). They are found as the roots of the
    eigenvalues of the smaller Gram matrix, which is quicker.

    Args:
        kernel: shape (…, input, filter).

    Returns:
        At least 1; NaN for a kernel of zeros or one that is not finite.
    """
    matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    if not np.isfinite(gram).all():
        return float("nan")
    sigma = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))
    if not sigma.any():
        return float("nan")
    p = sigma[sigma > 0] / sigma.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def sampled_step(triplets: int, batch_size: int) -> int:
    """The step of an epoch that is measured, from 0: the last one on a whole batch.

    Rows then lie one epoch apart, and which triplets are in that batch follows from (seed, epoch).
    """
    return max(triplets // batch_size - 1, 0)


class _Layer(NamedTuple):
    """A convolution or the embedding layer, and what belongs to it."""

    group: str
    weights: list[keras.Variable]
    momenta: list[keras.Variable]
    l2: float
    norm: PartwiseNormalization | None


class _Reading(NamedTuple):
    """The variables of a layer at one moment."""

    weights: list[Array]
    momenta: list[Array]
    gamma: Array
    variance: Array


class WatchLayers(keras.callbacks.Callback):
    """Measure one step of an epoch.

    Args:
        epoch: number of the epoch.
        step: which, from 0, see `sampled_step`.

    Attributes:
        rows: after the step one row for each group of layers, in their order: epoch, group and `MEASURES`.
    """

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.step = step
        self.rows: list[dict[str, Any]] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Read the variables before the step."""
        if batch == self.step:
            self._settle()
            self.layers = _layers(self.model.embedder, self.model.optimizer)
            self.before = [_read(layer) for layer in self.layers]
            self.learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Read them after it, and measure."""
        if batch != self.step:
            return
        self._settle()
        by_group: dict[str, list[StepMeasures]] = defaultdict(list)
        for layer, before in zip(self.layers, self.before, strict=True):
            by_group[layer.group].append(_step(layer, before, _read(layer), self.model.optimizer.beta_1))
        self.rows = [
            {"epoch": self.epoch, "group": group} | measure(by_group[group], self.learning_rate) for group in by_group
        ]
        del self.before

    def _settle(self) -> None:
        """Let the variables hold what they stand for: JAX keeps their values elsewhere while it trains."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()


def groups_of(embedder: keras.Model) -> list[str]:
    """The groups of an embedder's layers, from the input on: what stands before the first `_` in their names."""
    return list(dict.fromkeys(_group(layer) for layer in embedder.layers if isinstance(layer, WITH_KERNEL)))


def _group(layer: keras.Layer) -> str:
    return HEAD if layer.name == EMBEDDING else str(layer.name.split("_")[0])


def _layers(embedder: keras.Model, optimiser: keras.optimizers.Adam) -> list[_Layer]:
    variables = {variable.name: variable for variable in optimiser.variables}
    norms = {layer.name: layer for layer in embedder.layers if isinstance(layer, PartwiseNormalization)}
    found = []
    for layer in embedder.layers:
        if isinstance(layer, WITH_KERNEL):
            weights = layer.trainable_variables
            found.append(
                _Layer(
                    _group(layer),
                    weights,
                    [variables[f"{weight.path.replace('/', '_')}_momentum"] for weight in weights],
                    float(layer.kernel_regularizer.l2) if layer.kernel_regularizer else 0.0,
                    norms.get(layer.name.removesuffix("_conv") + "_norm"),
                )
            )
    return found


def _read(layer: _Layer) -> _Reading:
    none: list[keras.Variable] = []
    norm = [layer.norm.gamma, layer.norm.moving_variance] if layer.norm else none
    gamma, variance = map(_copied, norm) if norm else (np.array([]), np.array([]))
    return _Reading([_copied(v) for v in layer.weights], [_copied(v) for v in layer.momenta], gamma, variance)


def _copied(variable: keras.Variable) -> Array:
    """A copy: on CPUs a backend may show its own memory, in which the next step writes."""
    return np.array(ops.convert_to_numpy(variable.value))


def _step(layer: _Layer, before: _Reading, after: _Reading, beta_1: float) -> StepMeasures:
    """What lies between two readings; Adam moves its first moment m by (1 - β₁)(gradient - m)."""
    moments = list(zip(before.momenta, after.momenta, strict=True))
    norm = layer.norm
    return StepMeasures(
        before.weights,
        [new.astype(np.float64) - old for old, new in zip(before.weights, after.weights, strict=True)],
        [old + (new.astype(np.float64) - old) / (1 - beta_1) for old, new in moments],
        ROUNDING * float(np.sqrt(sum(np.vdot(m, m) for pair in moments for m in pair))),
        layer.l2,
        before.gamma if norm else None,
        norm.variance_of_step(before.variance, after.variance) / norm.epsilon if norm else None,
    )
