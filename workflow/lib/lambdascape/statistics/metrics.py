"""Scores of predictions, computed from confusion matrices, so that they can be resampled by session.

A confusion matrix has shape (class, class): rows are the true classes, columns the predicted ones. Every
function takes a batch of them, shape (..., class, class).
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

# A class that the training split lacks has the probability 0; its logarithm is taken of this instead.
SMALLEST_PROBABILITY = 1e-15
FEW_SHOT = "few_shot_"  # and the number of sessions of each class: the name of that probe in tables
BINS = 15  # of confidence, of equal width


def confusion_matrix(truth: Integers, predicted: Integers, n_classes: int) -> npt.NDArray[np.int64]:
    """Count how often each class was predicted as each.

    Args:
        truth: shape (item,), index of the true class.
        predicted: shape (item,), index of the predicted class.
        n_classes: number of classes.

    Returns:
        Counts of shape (class, class), true class by predicted class.
    """
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def f1_per_class(confusion: npt.NDArray) -> Floats:
    """F1 of each class: 2 TP / (2 TP + FP + FN).

    Args:
        confusion: counts of shape (..., class, class).

    Returns:
        Shape (..., class), 0 to 1; NaN for a class that the truth does not contain.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = confusion.sum(axis=-1)
    predicted = confusion.sum(axis=-2)
    f1 = np.full(hits.shape, np.nan)
    np.divide(2.0 * hits, present + predicted, out=f1, where=present > 0)
    return f1


def macro_f1(confusion: npt.NDArray) -> Floats:
    """Mean of the classes' F1 over the classes that the truth contains.

    A class that is only predicted, never true, has no F1 of its own; what it takes from the other classes
    still counts against them.

    Args:
        confusion: counts of shape (..., class, class).

    Returns:
        Shape (...), 0 to 1; NaN where nothing was scored.
    """
    f1 = f1_per_class(confusion)
    present = ~np.isnan(f1)
    return _ratio(np.where(present, f1, 0.0).sum(axis=-1), present.sum(axis=-1))


def accuracy(confusion: npt.NDArray) -> Floats:
    """Share of the items whose class was predicted.

    Args:
        confusion: counts of shape (..., class, class).

    Returns:
        Shape (...), 0 to 1; NaN where nothing was scored.
    """
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(hits, confusion.sum(axis=(-2, -1)))


def _ratio(part: npt.NDArray, whole: npt.NDArray) -> Floats:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def log_losses(posterior: npt.NDArray, truth: Integers) -> Floats:
    """-ln of each item's posterior of the true class, in nats.

    Args:
        posterior: shape (item, class), each row sums to 1; taken as at least `SMALLEST_PROBABILITY`.
        truth: shape (item,), index of the true class.

    Returns:
        Shape (item,), at least 0.
    """
    chosen = posterior[np.arange(len(truth)), truth].astype(np.float64)
    return -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))


def cross_entropy(posterior: npt.NDArray, truth: Integers) -> float:
    """Mean of `log_losses` over the items, in nats."""
    return float(log_losses(posterior, truth).mean())


def calibration_bin(confidence: Floats) -> Integers:
    """Bin of each confidence among `BINS` of equal width, the upper end of a bin belonging to it: shape as given."""
    return np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)


def calibration_table(posterior: npt.NDArray, truth: Integers) -> Floats:
    """Sum up what is needed of each bin of confidence.

    Args:
        posterior: shape (item, class).
        truth: shape (item,), index of the true class.

    Returns:
        Shape (bin, 3): number of items whose highest posterior lies in the bin, how many of them are right, and the sum
        of those posteriors.
    """
    confidence, right = posterior.max(axis=1).astype(np.float64), posterior.argmax(axis=1) == truth
    place = calibration_bin(confidence)
    return np.column_stack([np.bincount(place, weights, BINS) for weights in (None, right, confidence)]).astype(float)


def expected_calibration_error(table: npt.NDArray) -> Floats:
    """How far the confidence of predictions is from the share of them that are right.

    The mean over the bins of |share right - mean confidence|, weighted by their items (Guo et al. 1706.04599, eq. 5).

    Args:
        table: shape (..., bin, 3), see `calibration_table`.

    Returns:
        Shape (...), 0 to 1; NaN where nothing was scored.
    """
    gaps = np.abs(table[..., 1] - table[..., 2]).sum(axis=-1)
    return _ratio(gaps, table[..., 0].sum(axis=-1))
