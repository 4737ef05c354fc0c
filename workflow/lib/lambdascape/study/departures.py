"""Why a study departs from the published one: for each hyperparameter what a departure does, as far as it is known."""

from collections.abc import Callable
from typing import Any, NamedTuple

OWN_CHOICE = "The study’s own choice; no reason is on record."


class Reason(NamedTuple):
    """A reason, and for which values (as run, as published) it holds."""

    holds: Callable[[Any, Any], bool]
    words: str


def always(value: Any, published: Any) -> bool:
    """It holds for any other value, and for what is no setting here."""
    return True


def less(value: Any, published: Any) -> bool:
    """Every value is below the least published one."""
    return max(_listed(value)) < min(_listed(published))


def more(value: Any, published: Any) -> bool:
    """Every value is above the greatest published one."""
    return min(_listed(value)) > max(_listed(published))


def beyond(value: Any, published: Any) -> bool:
    """The published values are there, and others beside them."""
    return set(_listed(published)) < set(_listed(value))


def several(value: Any, published: Any) -> bool:
    """There is more than one value."""
    return len(_listed(value)) > 1


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# By the key of the hyperparameter; the first that holds is told.
REASONS: dict[str, tuple[Reason, ...]] = {
    "dataset.title": (
        Reason(
            always, "The question is put to other audio: λ may act otherwise there, so its values do not carry over."
        ),
    ),
    "dataset.channels": (Reason(always, "What several microphones hear is not mixed, as the mean of them would do."),),
    "network.architecture": (Reason(always, "Another depth: more or fewer weights for λ to hold."),),
    "network.width": (
        Reason(less, "A narrower network: its time and weights fall with the square of the width, so that a CPU does."),
        Reason(more, "A wider network than the published one."),
    ),
    "network.conv_biases": (Reason(always, "A bias before a batch normalisation changes nothing that it gives."),),
    "network.dropout": (
        Reason(less, "Less of another regulariser beside λ; a narrow network cannot spare half of its units."),
    ),
    "network.l2": (
        Reason(beyond, "The published values, and others beside them: three cannot show where a response is flat."),
        Reason(always, "Another grid of λ, or none."),
    ),
    "network.l2_scope": (Reason(always, "λ holds for other layers than the published convolutions."),),
    "network.embedding_norm_penalty": (Reason(more, "A second regulariser, which the published study has not."),),
    "network.input": (Reason(always, "Another input of the same frames; the author’s other studies compare them."),),
    "training.epochs": (
        Reason(less, "Fewer epochs, for the time that a training takes; curves may not have come to rest."),
        Reason(more, "More epochs than any published arm had."),
        Reason(
            always, "One budget for all runs; the published arms had 50 and 30 epochs, which mixes λ with the budget."
        ),
    ),
    "training.batch_size": (
        Reason(less, "Smaller batches, so that an epoch of a small data set has more than a few steps."),
        Reason(more, "Larger batches, which an accelerator computes in nearly the same time."),
    ),
    "training.optimizer": (Reason(always, "Adam decides, unless decoupled weight decay is asked for."),),
    "training.weight_decay": (
        Reason(more, "Decoupled decay as a control: it shrinks weights without entering a gradient."),
    ),
    "training.learning_rate": (
        Reason(more, "A step of 1e-5 leaves the weights near their beginning in as few steps as a small study has."),
        Reason(less, "Smaller steps than the published ones."),
    ),
    "training.lr_decay_rate": (Reason(always, "Another schedule of the learning rate."),),
    "training.margin": (Reason(several, "The margin is asked about here."),),
    "training.reduction": (
        Reason(always, "The mean over all triplets can be compared between runs; that over active ones cannot."),
    ),
    "training.passes": (
        Reason(always, "One pass: anchors, neighbours and distant tiles share their batch statistics."),
    ),
    "training.batch_statistics": (
        Reason(
            always,
            "Moving averages trail behind the weights, the more so the larger λ is: the statistics are those of the "
            "weights that are judged.",
        ),
    ),
    "sweep.seeds": (
        Reason(
            several,
            "Several seeds: with one, nobody can tell λ from luck. TensorFlow was not seeded in the published code.",
        ),
        Reason(always, "One seed as in the published study, whose code did not hand it to TensorFlow."),
    ),
    "training.shuffle": (
        Reason(
            always,
            "The order follows from seed and epoch alone, so that a killed run goes on as if nothing had happened.",
        ),
    ),
    "training.buffer": (
        Reason(
            always, "A buffer of 64 clips leaves neighbours in the file near each other; a permutation of all does not."
        ),
    ),
    "training.prefetch": (Reason(always, "Tiles are read from a mapped file by one thread beside the step."),),
    "training.backend": (Reason(always, "The same network and losses on another backend of Keras."),),
    "training.precision": (
        Reason(always, "Arithmetic of 16 bits is faster on accelerators; weights and losses keep 32."),
    ),
    "threads.generators": (Reason(always, "Features are computed once and stored, so that no generator is needed."),),
    "threads.calls": (Reason(always, "How many threads a job has changes its time, not its task."),),
    "features.sr": (Reason(always, "The rate at which this audio is heard."),),
    "triplets.tile_s": (
        Reason(less, "Shorter tiles: a clip must hold an anchor and a neighbour, and a smaller tile costs less."),
        Reason(more, "Longer tiles than the published ones."),
    ),
    "triplets.neighbourhood_s": (Reason(always, "It goes with the length of a tile, which it may not fall short of."),),
    "triplets.distant": (
        Reason(always, "Distant tiles never share session or moment with their anchor; the published ones may."),
    ),
    "split.test_fold": (Reason(always, "Another data set has other folds, or another fold is held out."),),
    "features.win_length": (Reason(always, "Another window of the spectra."),),
    "features.hop_length": (
        Reason(more, "Fewer frames a second: half the frames take half the time."),
        Reason(less, "More frames a second than the published study has."),
    ),
    "features.n_fft": (Reason(always, "Another resolution in frequency."),),
    "features.n_mels": (
        Reason(less, "Fewer mel bands cost less time and disk; the baseline of DCASE 2018 Task 5 has 40."),
        Reason(more, "More mel bands than the published study has."),
    ),
    "features.fmin": (Reason(always, "Another range of frequencies."),),
    "features.fmax": (Reason(always, "Another range of frequencies."),),
    "probes.by_epoch.epochs": (Reason(always, "Another budget of the published probe."),),
    "probes.by_epoch.batch_size": (
        Reason(less, "Smaller batches, so that an epoch of a small data set has more than a few steps."),
    ),
    "probes.by_epoch.learning_rate": (
        Reason(
            more,
            "At the published 1e-5 a weight travels 0.17 at most in all epochs: the probe ends before it has learned.",
        ),
    ),
    "probes.by_epoch.double_softmax": (
        Reason(several, "Both forms are fitted: the published cross-entropy takes a softmax of probabilities."),
        Reason(always, "The plain softmax cross-entropy; the published one takes a softmax of probabilities."),
    ),
    "probes.by_epoch.tiles": (
        Reason(always, "Every tile counts alike; the published scores count tiles as often as triplets draw them."),
    ),
}


def reason(key: str, value: Any, published: Any) -> str:
    """Why a value differs from the published one, in a sentence.

    Args:
        key: where the hyperparameter is in the config, such as `training.epochs`.
        value: as it was run, a list where it was swept; None where it is no setting here.
        published: in the published study.
    """
    for one in REASONS.get(key, ()):
        try:
            if one.holds(value, published):
                return one.words
        except TypeError:  # such as a number that is none, which is neither more nor less
            continue
    return OWN_CHOICE
