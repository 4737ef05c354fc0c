"""A small network on frozen embeddings, over the grid of HEAR: whether classes separate where no line parts them."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from lambdascape.config.settings import Mlp
from lambdascape.core.declarations import probe
from lambdascape.embeddings.splits import Integers, LabelledSpace, Mask, draw_validation
from lambdascape.probes.scoring import ProbeInput, ScoreTable, validation_score
from lambdascape.probes.standardised import Fit, fit_scaler, scaled


@probe("mlp", label="MLP", chooses="layers")
def fit_mlp(given: ProbeInput, settings: Mlp, seeds: Sequence[int]) -> ScoreTable:
    """Fit a multilayer perceptron on standardised embeddings and score it per tile, per segment and per clip.

    The grid is that of HEAR (Turian et al. 2203.03022, appendix): one or two hidden layers, four learning rates, Adam,
    early stopping on validation. Layers, learning rate and epoch are those with the highest macro-F1 per validation
    clip, the first of equals; that model is the one tested, so that validation sessions stay out of every fit. HEAR
    beside this: a dropout of 0.1, which scikit-learn does not have, and 8 settings drawn at random from 16 (two ways to
    initialise; here Glorot's uniform only, and all 8).

    Args:
        given: the space; its test split is scored.
        settings: the grid, and when a fit ends.
        seeds: of the samples of validation sessions, see `converged.fit_converged`, of the weights and of the order of
            the tiles.

    Returns:
        Scores: split (train | validation | test), unit, measure (those of
            `converged.fit_converged`, with layers, learning_rate and epochs in place of c), class, draw, value; train
            is the tiles that were fitted.
        Counts of the test split. Both are empty without labels.

    Raises:
        InputError: see `splits.read_labelled` and `splits.draw_validation`.
    """
    space = given.space
    table = ScoreTable(space, "mlp")
    if space is not None:
        for draw, seed in enumerate(seeds):
            _score(table, space, settings, seed, draw)
    return table


def _score(table: ScoreTable, space: LabelledSpace, settings: Mlp, seed: int, draw: int) -> None:
    validation = draw_validation(space, settings.validation_fraction, seed)
    fitted = ~space.test & ~validation
    best = _best(space, fitted, validation, settings, seed)
    for measure in ("layers", "learning_rate", "epochs"):
        table.note("validation", measure, getattr(best, measure), draw)
    for split, rows in (("train", fitted), ("validation", validation), ("test", space.test)):
        table.add(split, rows, best.fit.posterior(rows), draw, counted=split == "test")


@dataclass(frozen=True)
class Candidate:
    """A model of the grid at its best epoch, and its macro-F1 per validation clip."""

    layers: int
    learning_rate: float
    epochs: int
    score: float
    fit: Fit


def _best(space: LabelledSpace, fitted: Mask, validation: Mask, settings: Mlp, seed: int) -> Candidate:
    scaler = fit_scaler(space, fitted)
    inputs = scaled(space, fitted, scaler)
    candidates = [
        _candidate(Fit(scaler, model, space), inputs, space.label[fitted], validation, settings)
        for model in _models(settings, seed)
    ]
    return max(candidates, key=lambda one: one.score)


def _models(settings: Mlp, seed: int) -> Iterator[Any]:
    from sklearn.neural_network import MLPClassifier

    for layers, rate in product(settings.layers, settings.learning_rates):
        yield MLPClassifier(
            (settings.width,) * layers,
            alpha=0.0,
            batch_size=settings.batch_size,
            learning_rate_init=rate,
            random_state=np.random.RandomState(seed),  # a number would give every epoch the same order
        )


def _candidate(
    start: Fit, inputs: npt.NDArray[np.float32], label: Integers, validation: Mask, settings: Mlp
) -> Candidate:
    """Fit epoch by epoch until validation has not improved for `patience` epochs; keep the best epoch."""
    best, kept, at = -1.0, start, 0
    classes = np.unique(label)
    start.model.set_params(batch_size=min(settings.batch_size, len(label)))
    for epoch in range(1, settings.max_epochs + 1):
        start.model.partial_fit(inputs, label, classes=classes)
        score = validation_score(start.space, validation, start.posterior(validation))
        if score > best:
            best, at, kept = score, epoch, replace(start, model=copy.deepcopy(start.model))
        elif epoch - at >= settings.patience:
            break
    layers, rate = len(start.model.hidden_layer_sizes), start.model.learning_rate_init
    return Candidate(layers, rate, at, best, kept)
