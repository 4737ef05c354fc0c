"""Probes: logistic classifiers fitted on frozen embeddings; their scores say how well classes separate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import log_softmax

from lambdascape.files import write_table
from lambdascape.scores import accuracy, confusion_matrix, cross_entropy, f1_per_class, macro_f1
from lambdascape.splits import LabelledSpace, Mask, draw_validation, read_labelled

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

EPOCH_COLUMNS = ["epoch", "split", "macro_f1", "cross_entropy"]
SCORE_COLUMNS = ["split", "unit", "measure", "class", "value"]
CONFUSION_COLUMNS = ["split", "unit", "session", "label", "predicted", "count"]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults of Adam
PASSES = 3  # over the tiles in an epoch
# The largest component of the gradient at which lbfgs stops. At scikit-learn's own 1e-4 it stops early:
# on 27,000 correlated tiles the accuracy was half a point off.
TOLERANCE = 1e-5
MAX_ITERATIONS = 5000  # of lbfgs; it warns in the log of the job when they do not suffice


def fit_by_epoch(
    embeddings_path: str | Path, test_fold: str, settings: dict[str, Any], seed: int, output: str | Path
) -> None:
    """Fit the published study's probe and score it after each epoch.

    One logistic layer on the embeddings as they are (no standardisation, no early stopping): weights from
    Glorot's uniform distribution, bias 0, Adam with Keras' defaults. Tiles without a label are left out.
    macro_f1 is per tile, the mean over the classes that the scored tiles contain; cross_entropy is the loss
    that was trained on, in nats.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.
        settings: `epochs`, `batch_size` (tiles), `learning_rate`, and `double_softmax`: True applies a second
            softmax in the loss, as the published code did, False does not.
        seed: seed of the weights and, with the epoch, of the order of the tiles.
        output: table epoch (1, 2, …), split (train | test), macro_f1, cross_entropy; header only without
            labels.

    Raises:
        InputError: see `splits.read_labelled`.
    """
    space = read_labelled(embeddings_path, test_fold)
    rows = [] if space is None else list(_epoch_rows(space, settings, seed))
    write_table(pd.DataFrame(rows, columns=EPOCH_COLUMNS), output)


def _epoch_rows(space: LabelledSpace, settings: dict[str, Any], seed: int) -> Iterator[tuple[int, str, float, float]]:
    inputs = np.column_stack(
        [space.embedding, np.ones(len(space.label))]
    )  # (tile, dim + 1): the last weight is the bias
    double = bool(settings["double_softmax"])
    weights = train_by_epoch(inputs[~space.test], space.label[~space.test], len(space.classes), settings, seed)
    for epoch, weight in enumerate(weights, start=1):
        for split, rows in (("train", ~space.test), ("test", space.test)):
            logits, label = inputs[rows] @ weight, space.label[rows]
            confusion = confusion_matrix(label, logits.argmax(axis=1), len(space.classes))
            loss, _ = loss_and_gradient(logits, label, double)
            yield epoch, split, float(macro_f1(confusion)), float(loss.mean())


def train_by_epoch(
    inputs: Floats, label: Integers, n_classes: int, settings: dict[str, Any], seed: int
) -> Iterator[Floats]:
    """Yield the weights of the logistic layer after each epoch.

    Args:
        inputs: shape (tile, dim + 1); the last column is 1 and carries the bias.
        label: shape (tile,), index of the class.
        n_classes: number of classes.
        settings: see `fit_by_epoch`.
        seed: see `fit_by_epoch`.

    Yields:
        Weights of shape (dim + 1, class).

    An epoch takes every tile three times, in three random orders: the published probe sees each tile as anchor, as
    neighbour and, on average, once as distant tile. The update is
    Adam's (Kingma & Ba 1412.6980, section 2, last paragraph), as Keras computes it.
    """
    dim = inputs.shape[1] - 1
    limit = np.sqrt(6 / (dim + n_classes))  # Glorot & Bengio 2010, eq. 16
    weight = np.random.default_rng([seed, 0]).uniform(-limit, limit, (dim + 1, n_classes))
    weight[-1] = 0
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    step, size = 0, settings["batch_size"]
    for epoch in range(1, settings["epochs"] + 1):
        rng = np.random.default_rng([seed, epoch])
        order = np.concatenate([rng.permutation(len(inputs)) for _ in range(PASSES)])
        for start in range(0, len(order), size):
            batch, step = order[start : start + size], step + 1
            _, outer = loss_and_gradient(inputs[batch] @ weight, label[batch], settings["double_softmax"])
            gradient = inputs[batch].T @ outer / len(batch)
            first = BETA_1 * first + (1 - BETA_1) * gradient
            second = BETA_2 * second + (1 - BETA_2) * gradient**2
            rate = settings["learning_rate"] * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
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


def fit_converged(
    embeddings_path: str | Path,
    test_fold: str,
    settings: dict[str, Any],
    seed: int,
    scores_path: str | Path,
    confusion_path: str | Path,
) -> None:
    """Fit a logistic regression to convergence on standardised embeddings and score it per tile and per clip.

    The inverse penalty C is chosen by macro-F1 per clip on validation sessions drawn inside the training
    split (see `splits.draw_validation`), the smallest of equals; the model is then fitted again on the whole
    training split. Train and test scores are those of the second fit, validation scores those of the first at
    the chosen C. The scaler knows the rows of its fit only. The posteriors of a clip are the mean over the
    tiles and nodes of its moment. macro_f1 is the mean over the classes that the scored truth contains; the
    f1 of a class that it lacks is missing. Tiles without a label are left out.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.
        settings: `c_grid`, values of C above 0, and `validation_fraction`, above 0 and below 1.
        seed: seed of the draw of validation sessions.
        scores_path: table split (train | validation | test), unit (tile | clip), measure (macro_f1 | f1 |
            accuracy | cross_entropy | c), class (of f1, otherwise empty), value; the chosen C stands with
            validation and clip.
        confusion_path: table split (validation | test), unit, session, label, predicted, count. Both header
            only without labels.

    Raises:
        InputError: see `splits.read_labelled` and `splits.draw_validation`.
    """
    space = read_labelled(embeddings_path, test_fold)
    scores: list[tuple[Any, ...]] = []
    confusions: list[tuple[Any, ...]] = []
    if space is not None:
        validation = draw_validation(space, settings["validation_fraction"], seed)
        c, posterior = _choose_c(space, validation, settings["c_grid"])
        scores += [
            ("validation", "clip", "c", "", c),
            *_score_rows(space, validation, posterior, "validation"),
        ]
        confusions += _confusion_rows(space, validation, posterior, "validation")
        posterior = _fitted_posterior(space, ~space.test, c)
        scores += _score_rows(space, ~space.test, posterior, "train")
        scores += _score_rows(space, space.test, posterior, "test")
        confusions += _confusion_rows(space, space.test, posterior, "test")
    write_table(pd.DataFrame(scores, columns=SCORE_COLUMNS), scores_path)
    write_table(pd.DataFrame(confusions, columns=CONFUSION_COLUMNS), confusion_path)


def _choose_c(space: LabelledSpace, validation: Mask, c_grid: list[float]) -> tuple[float, Floats]:
    """The C with the best macro-F1 per validation clip, and that fit's posteriors, shape (tile, class)."""
    best, chosen, posterior = -1.0, float("nan"), np.empty(0)
    for c in sorted(c_grid):
        candidate = _fitted_posterior(space, ~space.test & ~validation, c)
        clip_posterior, label, _ = posterior_by_clip(space, validation, candidate)
        score = float(macro_f1(confusion_matrix(label, clip_posterior.argmax(axis=1), len(space.classes))))
        if score > best:
            best, chosen, posterior = score, c, candidate
    return chosen, posterior


def _fitted_posterior(space: LabelledSpace, rows: Mask, c: float) -> Floats:
    """Posteriors of all tiles, shape (tile, class), by a model fitted on `rows`; 0 for a class they lack."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=TOLERANCE, max_iter=MAX_ITERATIONS))
    model.fit(space.embedding[rows], space.label[rows])
    posterior = np.zeros((len(space.label), len(space.classes)))
    posterior[:, model.classes_] = model.predict_proba(space.embedding)
    return posterior


def posterior_by_clip(
    space: LabelledSpace, rows: Mask, posterior: Floats
) -> tuple[Floats, Integers, npt.NDArray[np.object_]]:
    """Average the posteriors over the tiles and nodes of each moment.

    Args:
        space: the labelled tiles.
        rows: shape (tile,); the tiles to take.
        posterior: shape (tile, class), of all tiles.

    Returns:
        Posteriors of shape (clip, class); labels of shape (clip,), as class indices; sessions of shape
        (clip,).
    """
    _, first, clip = np.unique(space.moment[rows], return_index=True, return_inverse=True)
    total = np.zeros((len(first), posterior.shape[1]))
    np.add.at(total, clip, posterior[rows])
    return total / np.bincount(clip)[:, None], space.label[rows][first], space.session[rows][first]


def _units(
    space: LabelledSpace, rows: Mask, posterior: Floats
) -> list[tuple[str, Floats, Integers, npt.NDArray[np.object_]]]:
    """Unit, posteriors, labels and sessions: first of the tiles, then of the clips."""
    return [
        ("tile", posterior[rows], space.label[rows], space.session[rows]),
        ("clip", *posterior_by_clip(space, rows, posterior)),
    ]


def _score_rows(
    space: LabelledSpace, rows: Mask, posterior: Floats, split: str
) -> Iterator[tuple[str, str, str, str, float]]:
    for unit, probability, label, _ in _units(space, rows, posterior):
        confusion = confusion_matrix(label, probability.argmax(axis=1), len(space.classes))
        yield split, unit, "macro_f1", "", float(macro_f1(confusion))
        yield split, unit, "accuracy", "", float(accuracy(confusion))
        yield split, unit, "cross_entropy", "", cross_entropy(probability, label)
        for name, f1 in zip(space.classes, f1_per_class(confusion), strict=True):
            yield split, unit, "f1", name, float(f1)


def _confusion_rows(
    space: LabelledSpace, rows: Mask, posterior: Floats, split: str
) -> Iterator[tuple[str, str, str, str, str, int]]:
    """Counts session by session, so that intervals can resample sessions."""
    for unit, probability, label, session in _units(space, rows, posterior):
        predicted = probability.argmax(axis=1)
        for name in sorted(set(session)):
            own = session == name
            confusion = confusion_matrix(label[own], predicted[own], len(space.classes))
            for i, j in np.argwhere(confusion):
                yield split, unit, name, space.classes[i], space.classes[j], int(confusion[i, j])
