"""Multinomial logistic regression on standardised embeddings, fitted until its gradient is zero."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import log_softmax, softmax

from lambdascape.errors import InputError
from lambdascape.probes.scoring import Posterior, validation_score
from lambdascape.probes.standardised import Fit, fit_scaler
from lambdascape.splits import Integers, LabelledSpace, Mask

Floats = npt.NDArray[np.float64]

BOUND = 1e-6  # of the largest component of the gradient at the solution, see `Objective`
MOST_ITERATIONS = 200  # of Newton's method; 7 to 25 are usual, the more the better the classes separate
MOST_HALVINGS = 40  # of a step
MOST_EXACT = 2000  # weights; with more the Hessian is too large to be factorised
CHUNK_VALUES = 1 << 22  # float64 values of the largest array of a chunk of tiles: 32 MB


@dataclass(frozen=True)
class Softmax:
    """A fitted model, with the interface of scikit-learn.

    Attributes:
        classes_: shape (class,); numbers of the classes.
        weight: shape (class, dim + 1); the last column is the intercept.
    """

    classes_: Integers
    weight: Floats

    def predict_proba(self, inputs: npt.NDArray[Any]) -> Floats:
        """Probabilities of the classes, shape (tile, class), of standardised tiles, shape (tile, dim)."""
        return np.asarray(softmax(inputs @ self.weight[:, :-1].T + self.weight[:, -1], axis=1))


class Objective:
    """The objective of the penalised softmax regression, its gradient and its Hessian, in float64, chunk by chunk.

    F(W) = ½ Σ w² + C Σ_tiles -ln softmax(W x)_label (Hastie, Tibshirani & Friedman 2009, section 4.4; scikit-learn's
    objective times C). The intercepts are not penalised. Two classes have the same formula: scikit-learn's binary
    objective has its minimum with twice the C.

    Once minimised over the intercepts, F has a Hessian of at least the identity. So a gradient g leaves the weights
    (per standard deviation of an input) within ‖g‖ of the minimiser, whatever C is and however well the classes
    separate: `BOUND` is in the unit of the weights. scikit-learn's tolerance is of the gradient of F / (C tiles), which
    at a large C may be next to 0 far from the minimum.

    Args:
        space: the labelled tiles.
        rows: shape (tile,); the tiles to fit on.
        scaler: of these tiles, see `standardised.fit_scaler`.
        c: inverse penalty C, above 0.
    """

    def __init__(self, space: LabelledSpace, rows: Mask, scaler: Any, c: float) -> None:
        self.embedding, self.scaler, self.c = space.embedding, scaler, c
        self.place = np.flatnonzero(rows)
        self.classes, self.label = np.unique(space.label[rows], return_inverse=True)
        self.shape = len(self.classes), self.embedding.shape[1] + 1

    def _chunks(self) -> Iterator[tuple[slice, Floats]]:
        """Standardised tiles with a last column of ones, shape (tile, dim + 1), and which tiles they are."""
        size = max(1, CHUNK_VALUES // (self.shape[0] * self.shape[1]))
        for start in range(0, len(self.place), size):
            part = slice(start, start + size)
            inputs = np.ones((len(self.place[part]), self.shape[1]))
            inputs[:, :-1] = (self.embedding[self.place[part]] - self.scaler.mean_) / self.scaler.scale_
            yield part, inputs

    def value_and_gradient(self, weight: Floats) -> tuple[float, Floats]:
        """F and its gradient at `weight`, both of shape (class, dim + 1)."""
        value, gradient = 0.5 * float((weight[:, :-1] ** 2).sum()), _without_intercept(weight)
        for part, inputs in self._chunks():
            log_p = log_softmax(inputs @ weight.T, axis=1)
            tile, label = np.arange(len(inputs)), self.label[part]
            value -= self.c * float(log_p[tile, label].sum())
            outer = np.exp(log_p)
            outer[tile, label] -= 1
            gradient += self.c * (outer.T @ inputs)
        return value, gradient

    def newton_step(self, weight: Floats, gradient: Floats) -> Floats:
        """The step to the minimum of the quadratic that F is near `weight`, shape (class, dim + 1)."""
        if weight.size <= MOST_EXACT:
            try:
                step = cho_solve(cho_factor(self.hessian(weight)), -gradient.ravel())
                return np.asarray(step).reshape(self.shape)
            except LinAlgError:  # by rounding only: the Hessian is positive definite
                pass
        return self._truncated_step(weight, gradient)

    def hessian(self, weight: Floats) -> Floats:
        """The Hessian of F at `weight`, shape (weight, weight), plus 1 for each pair of intercepts.

        F does not change when all intercepts grow alike, so without that addition the matrix would be singular; the
        gradient has no part in that direction, so Newton's step is the same.
        """
        classes, width = self.shape
        found = np.zeros((classes * width, classes * width))
        for _, inputs in self._chunks():
            p = self._probabilities(weight, inputs)
            outer = (p[:, :, None] * inputs[:, None, :]).reshape(len(inputs), -1)  # (tile, weight)
            found -= outer.T @ outer
            for k in range(classes):
                block = slice(k * width, (k + 1) * width)
                found[block, block] += inputs.T @ outer[:, block]
        found *= self.c
        places = np.arange(classes * width).reshape(self.shape)
        found[places[:, :-1].ravel(), places[:, :-1].ravel()] += 1
        found[np.ix_(places[:, -1], places[:, -1])] += 1
        return found

    def _truncated_step(self, weight: Floats, gradient: Floats) -> Floats:
        """Newton's step by conjugate gradients, with products of the Hessian and a vector alone."""
        p = np.concatenate([self._probabilities(weight, x).astype(np.float32) for _, x in self._chunks()])
        diagonal = _without_intercept(np.ones(self.shape))
        for part, inputs in self._chunks():
            diagonal += self.c * ((p[part] * (1 - p[part])).T @ inputs**2)

        def product(vector: Floats) -> Floats:
            direction = vector.reshape(self.shape)
            total = _without_intercept(direction)
            for part, inputs in self._chunks():
                moved = inputs @ direction.T
                moved = p[part] * (moved - (p[part] * moved).sum(axis=1, keepdims=True))
                total += self.c * (moved.T @ inputs)
            return total.ravel()

        size, scale = weight.size, 1 / np.maximum(diagonal.ravel(), np.finfo(float).tiny)
        operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
        precondition = LinearOperator((size, size), matvec=lambda vector: scale * vector.ravel(), dtype=np.float64)
        step, _ = cg(operator, -gradient.ravel(), rtol=0.01, maxiter=size, M=precondition)
        return np.asarray(step).reshape(self.shape)

    @staticmethod
    def _probabilities(weight: Floats, inputs: Floats) -> Floats:
        return np.asarray(softmax(inputs @ weight.T, axis=1))


def _without_intercept(weight: Floats) -> Floats:
    """A copy with 0 in place of the intercepts."""
    copy = weight.copy()
    copy[:, -1] = 0
    return copy


def minimise(objective: Objective, start: Floats) -> Floats:
    """Minimise by Newton's method with halved steps where a full one does not lower F enough (Armijo's rule).

    Args:
        objective: what to minimise.
        start: shape (class, dim + 1).

    Returns:
        Weights of shape (class, dim + 1), at which no component of the gradient exceeds `BOUND`.

    Raises:
        InputError: there is no such point within reach: C times the number of tiles is too large for float64.
    """
    weight = start
    value, gradient = objective.value_and_gradient(weight)
    for _ in range(MOST_ITERATIONS):
        if np.abs(gradient).max() <= BOUND:
            break
        step = objective.newton_step(weight, gradient)
        slope = float((gradient * step).sum())
        rounding = 1e-12 * abs(value)  # near the minimum F falls by less than its sum is exact to
        for size in 0.5 ** np.arange(MOST_HALVINGS):
            next_value, next_gradient = objective.value_and_gradient(weight + size * step)
            if next_value <= value + 1e-4 * size * slope + rounding:
                break
        else:
            break
        weight, value, gradient = weight + size * step, next_value, next_gradient
    largest = float(np.abs(gradient).max())
    if not largest <= BOUND:
        raise InputError(
            f"the logistic regression did not converge with C = {objective.c:g} on {len(objective.place):,} tiles: the "
            f"largest component of its gradient is {largest:.1e}, and {BOUND:g} is the most at which a score counts. "
            "Take smaller values of C in probes.converged.c_grid and probes.few_shot.c, and look for infinite or "
            "missing values in the embeddings"
        )
    return weight


def fit_path(space: LabelledSpace, rows: Mask, c_grid: list[float]) -> Iterator[tuple[float, Fit]]:
    """Fit on `rows` with each C, from the strongest penalty to the weakest, each fit started where the last one ended.

    Args:
        space: the labelled tiles.
        rows: shape (tile,); the tiles to fit on, of at least two classes.
        c_grid: inverse penalties C, above 0.

    Yields:
        C and the fit, whose gradient is at most `BOUND`, see `Objective`.

    Raises:
        InputError: see `minimise`.
    """
    scaler = fit_scaler(space, rows)
    weight: Floats | None = None
    for c in sorted(c_grid):
        objective = Objective(space, rows, scaler, c)
        weight = minimise(objective, np.zeros(objective.shape) if weight is None else weight)
        yield c, Fit(scaler, Softmax(objective.classes, weight), space)


def fit(space: LabelledSpace, rows: Mask, c: float) -> Fit:
    """Fit on `rows` with one C, see `fit_path`."""
    ((_, found),) = fit_path(space, rows, [c])
    return found


def choose_c(space: LabelledSpace, validation: Mask, c_grid: list[float]) -> tuple[float, Posterior]:
    """Choose C by macro-F1 per validation clip, the smallest of equals, on fits to the other training tiles.

    Returns:
        The C, and the posteriors of the validation tiles by its fit.
    """
    best, chosen, posterior = -1.0, float("nan"), np.empty(0, np.float32)
    for c, found in fit_path(space, ~space.test & ~validation, c_grid):
        candidate = found.posterior(validation)
        score = validation_score(space, validation, candidate)
        if score > best:
            best, chosen, posterior = score, c, candidate
    return chosen, posterior


def ends_grid(c: float, c_grid: list[float]) -> bool:
    """Whether a chosen C is the smallest or the largest of several, so that the best may lie beyond."""
    return len(c_grid) > 1 and c in (min(c_grid), max(c_grid))
