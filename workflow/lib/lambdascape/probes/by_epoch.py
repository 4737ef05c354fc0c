"""The published study's probe: a logistic layer trained by Adam, watched epoch by epoch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import log_softmax, softmax

from lambdascape.config.settings import ByEpoch, Triplets
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import write_table
from lambdascape.embeddings.splits import Integers, LabelledSpace, Mask
from lambdascape.probes.epoch_tiles import Draw, even_draws, triplet_draws
from lambdascape.probes.scoring import Posterior, ProbeInput, all_classes, units_of
from lambdascape.probes.standardised import chunks
from lambdascape.statistics.metrics import confusion_matrix, macro_f1

Floats = npt.NDArray[np.float64]

EPOCH_COLUMNS = ["softmax", "epoch", "split", "macro_f1", "macro_f1_clip", "cross_entropy"]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults of Adam


def fit_by_epoch(
    given: ProbeInput, settings: ByEpoch, triplets: Triplets | None, seed: int, output: str | Path
) -> None:
    """Fit the published study's probe and score it after each epoch.

    One logistic layer on the embeddings as they are (no standardisation, no early stopping): weights from
    Glorot's uniform distribution, bias 0, Adam with Keras' defaults. Tiles without a label are left out.
    macro_f1 is per tile, the mean over the classes that the scored tiles contain; macro_f1_clip the same after
    the probabilities of a clip's tiles and nodes were averaged; cross_entropy is the loss per tile that was trained
    on, in nats, of the tiles whose class the training split has.

    Args:
        given: the space.
        settings: of the probe. `double_softmax`: True applies a second softmax in the loss, as the published code did,
            False does not; a list fits one probe for each; `tiles`: `even` trains on every tile three times an epoch
            and scores each once, `triplets` trains on and scores the tiles of triplets drawn anew in every epoch, as
            the published code did, see `epoch_tiles.triplet_draws`. macro_f1_clip takes every tile once in both cases.
        triplets: which tiles make a triplet; not needed where `tiles` is `even`.
        seed: seed of the weights and, with the epoch, of the tiles and their order.
        output: table softmax (double | single), epoch (1, 2, …), split (train | test), macro_f1, macro_f1_clip,
            cross_entropy; header only without labels.

    Raises:
        InputError: see `splits.read_labelled` and `epoch_tiles.triplet_draws`; `triplets` are needed and not given.
    """
    space = given.space
    chosen = settings.double_softmax
    forms = chosen if isinstance(chosen, list) else [chosen]
    rows: list[tuple[Any, ...]] = []
    if space is not None:
        if settings.tiles == "even":
            draws = even_draws(space, seed)
        elif triplets is None:
            raise InputError("triplets: must be given where probes.by_epoch.tiles is triplets; got null")
        else:
            draws = triplet_draws(given.embeddings_path, space, triplets, seed)
        for double in forms:
            rows += _epoch_rows(space, settings, double, seed, *draws)
    write_table(pd.DataFrame(rows, columns=EPOCH_COLUMNS), output)


def _epoch_rows(
    space: LabelledSpace, settings: ByEpoch, double_softmax: bool, seed: int, trained: Draw, scored: Mapping[str, Draw]
) -> Iterator[tuple[Any, ...]]:
    softmax = "double" if double_softmax else "single"
    weights = train_by_epoch(space.embedding, space.label, trained, space.n_known, settings, double_softmax, seed)
    for epoch, weight in enumerate(weights, start=1):
        for split, rows in (("train", ~space.test), ("test", space.test)):
            posterior, loss = _judged(space, rows, weight, double_softmax)
            units = units_of(space, rows, posterior, ("tile", "clip"))
            scores = {name: (found.argmax(axis=1), label) for name, found, label, _ in units}
            drawn = (np.cumsum(rows) - 1)[scored[split](epoch)]  # positions among the tiles of `rows`
            predicted, label = scores["tile"]
            f1 = _macro_f1(space, predicted[drawn], label[drawn])
            yield softmax, epoch, split, f1, _macro_f1(space, *scores["clip"]), float(np.nanmean(loss[drawn]))


def _judged(space: LabelledSpace, rows: Mask, weight: Floats, double_softmax: bool) -> tuple[Posterior, Floats]:
    """Probabilities of the tiles of `rows`, shape (tile of `rows`, class), and their losses, shape (tile of `rows`,).

    A class that the training split lacks has no output: it is never predicted, and the loss of its tiles is missing.
    """
    posteriors, losses = [], []
    for chunk in chunks(rows):
        logits = with_bias(space.embedding[chunk]) @ weight  # (tile, known class)
        posteriors.append(all_classes(space, np.arange(space.n_known), softmax(logits, axis=1)))
        known = space.label[chunk] < space.n_known
        loss = np.full(len(logits), np.nan)
        loss[known] = loss_and_gradient(logits[known], space.label[chunk][known], double_softmax)[0]
        losses.append(loss)
    return np.concatenate(posteriors), np.concatenate(losses)


def _macro_f1(space: LabelledSpace, predicted: Integers, label: Integers) -> float:
    return float(macro_f1(confusion_matrix(label, predicted, len(space.classes))))


def with_bias(embedding: npt.NDArray[Any]) -> Floats:
    """Inputs of the layer, shape (tile, dim + 1): the last column is 1, so that the last weight is the bias."""
    return np.column_stack([embedding, np.ones(len(embedding))])


def train_by_epoch(
    embedding: npt.NDArray[Any],
    label: Integers,
    drawn: Draw,
    n_classes: int,
    settings: ByEpoch,
    double_softmax: bool,
    seed: int,
) -> Iterator[Floats]:
    """Yield the weights of the logistic layer after each epoch.

    Args:
        embedding: shape (tile, dim).
        label: shape (tile,), index of the class.
        drawn: the tiles to train on in an epoch, in their order; the others are not looked at.
        n_classes: number of classes.
        settings: see `fit_by_epoch`.
        double_softmax: see `loss_and_gradient`.
        seed: see `fit_by_epoch`.

    Yields:
        Weights of shape (dim + 1, class).

    The update is Adam's (Kingma & Ba 1412.6980, section 2, last paragraph), as Keras computes it.
    """
    dim = embedding.shape[1]
    limit = np.sqrt(6 / (dim + n_classes))  # Glorot & Bengio 2010, eq. 16
    weight = np.random.default_rng([seed, 0]).uniform(-limit, limit, (dim + 1, n_classes))
    weight[-1] = 0
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    step, size = 0, settings.batch_size
    for epoch in range(1, settings.epochs + 1):
        order = drawn(epoch)
        for start in range(0, len(order), size):
            batch, step = order[start : start + size], step + 1
            inputs = with_bias(embedding[batch])
            _, outer = loss_and_gradient(inputs @ weight, label[batch], double_softmax)
            gradient = inputs.T @ outer / len(batch)
            first = BETA_1 * first + (1 - BETA_1) * gradient
            second = BETA_2 * second + (1 - BETA_2) * gradient**2
            rate = settings.learning_rate * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
            weight = weight - rate * first / (np.sqrt(second) + EPSILON)
        yield weight


def loss_and_gradient(logits: Floats, label: Integers, double_softmax: bool) -> tuple[Floats, Floats]:
    """Cross-entropy of each tile and its gradient with respect to the logits.

    With `double_softmax` the probabilities p = softmax(logits) are taken as logits once more: the loss is -ln
    softmax(p) at the label. As p lies in [0, 1], the loss of C classes lies between ln(e + C - 1) - 1 and
    ln(e + C - 1): 1.372 and 2.372 for 9 classes.

    Args:
        logits: shape (tile, class).
        label: shape (tile,), index of the class.
        double_softmax: whether the loss applies a second softmax.

    Returns:
        Losses of shape (tile,) in nats, and gradients of shape (tile, class).
    """
    rows = np.arange(len(label))
    log_p = log_softmax(logits, axis=1)
    p = np.exp(log_p)
    log_q = log_softmax(p, axis=1) if double_softmax else log_p
    outer = np.exp(log_q)
    outer[rows, label] -= 1  # gradient with respect to what the last softmax was given
    if double_softmax:
        outer = p * (outer - (p * outer).sum(axis=1, keepdims=True))  # through p = softmax(logits)
    return -log_q[rows, label], outer
