"""Multinomial logistic regression on standardised embeddings, fitted until its gradient is zero."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lambdascape.core.errors import InputError
from lambdascape.embeddings.splits import Integers, LabelledSpace, Mask
from lambdascape.probes.scoring import Posterior, validation_score
from lambdascape.probes.standardised import Fit, fit_scaler, scaled

Floats = npt.NDArray[np.float64]

AIM, BOUND = 1e-6, 1e-5  # of `largest_gradient`: what the solver is asked for, and what is accepted
MOST_ITERATIONS = 200  # of Newton's method; 2 to 10 are usual
MOST_EXACT = 2000  # weights; with more the Hessian is too large to be factorised
CHUNK_VALUES = 1 << 22  # float64 values of the largest array of a chunk of tiles: 32 MB


def largest_gradient(model: Any, inputs: Floats, label: Integers, c: float) -> float:
    """Largest component of the gradient of F = ½ Σ w² + C Σ_tiles -ln p(label | x) at the weights of a fit.

    scikit-learn minimises F / (C tiles), and its tolerance is of that: at a large C it may be next to 0 far from the
    minimum. Once minimised over the intercepts, which are not penalised, F has a Hessian of at least the identity, so
    that a gradient g leaves the weights (per standard deviation of an input) within ‖g‖ of those of the minimum,
    whatever C is and however well the classes separate.

    Args:
        model: a fitted `LogisticRegression`; of two classes it has one row of weights.
        inputs: shape (tile, dim), standardised.
        label: shape (tile,).
        c: inverse penalty C.

    Returns:
        At least 0, in the unit of the weights.
    """
    gradient = np.column_stack([model.coef_, np.zeros(len(model.coef_))])  # (row of weights, dim + intercept)
    known = model.classes_ if len(model.coef_) > 1 else model.classes_[1:]  # what a row of weights speaks for
    size = max(1, CHUNK_VALUES // max(inputs.shape[1], len(model.classes_)))
    for start in range(0, len(inputs), size):
        part = slice(start, start + size)
        posterior = model.predict_proba(inputs[part])[:, -len(known) :]
        error = c * (posterior - (label[part, None] == known))
        gradient[:, :-1] += error.T @ inputs[part]
        gradient[:, -1] += error.sum(axis=0)
    return float(np.abs(gradient).max())


def fit_path(space: LabelledSpace, rows: Mask, c_grid: list[float]) -> Iterator[tuple[float, Fit]]:
    """Fit on `rows` with each C, from the strongest penalty to the weakest, each fit started where the last one ended.

    By Newton's method in float64: scikit-learn's lbfgs in float32 stops short where classes separate, without a word.

    Args:
        space: the labelled tiles.
        rows: shape (tile,); the tiles to fit on, of at least two classes.
        c_grid: inverse penalties C, above 0.

    Yields:
        C and the fit, whose `largest_gradient` is at most `BOUND`; the next one overwrites it.

    Raises:
        InputError: no such fit is found: C times the number of tiles is too large for float64.
    """
    from sklearn.linear_model import LogisticRegression

    scaler = fit_scaler(space, rows)
    inputs, label = scaled(space, rows, scaler, np.float64), space.label[rows]
    weights = len(np.unique(label)) * (inputs.shape[1] + 1)
    solver = "newton-cholesky" if weights <= MOST_EXACT else "newton-cg"
    model = LogisticRegression(solver=solver, max_iter=MOST_ITERATIONS, warm_start=True)
    for c in sorted(c_grid):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what counts is the gradient, which is looked at below
            model.set_params(C=c, tol=AIM / (c * len(label))).fit(inputs, label)
        largest = largest_gradient(model, inputs, label, c)
        if not largest <= BOUND:
            raise InputError(
                f"the logistic regression did not converge with C = {c:g} on {len(label):,} tiles: the largest "
                f"component of its gradient is {largest:.1e}, and {BOUND:g} is the most at which a score counts. Take "
                "smaller values of C in probes.converged.c_grid and probes.few_shot.c, and look for infinite or "
                "missing values in the embeddings"
            )
        yield c, Fit(scaler, model, space)


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
