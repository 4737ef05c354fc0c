"""The hyperparameters of a study in words: name, unit, place in Table 1, value in the published study."""

from dataclasses import dataclass
from typing import Any

PUBLISHED = "Gröger (2020)"


@dataclass(frozen=True)
class Hyperparameter:
    """One row of Table 1.

    Attributes:
        key: where its value is in the config, such as `training.margin`.
        name: the name in words.
        unit: the unit, empty for a pure number.
        published: value in the published study, a list for several; None where it does not tell.
        note: what is done here, for a row of the published table that is no setting here.
    """

    key: str
    name: str
    unit: str = ""
    published: Any = None
    note: str = ""


# Groups and order of Table 1 in the published study; then what that table leaves out. Values that the table
# does not print (conv biases, dropout, mel range, reduction, ...) were read from its author's public code.
TABLE_1: dict[str, tuple[Hyperparameter, ...]] = {
    "Data and model": (
        Hyperparameter("dataset.title", "Data set", published="DCASE 2018 Task 5"),
        Hyperparameter("dataset.folds", "Folds made by session, where the data name none"),
        Hyperparameter("network.architecture", "Model", published="resnet18"),
        Hyperparameter("network.width", "Width of the network", "filters of the stem", 64),
        Hyperparameter("network.conv_biases", "Convolutions have biases", published=True),
        Hyperparameter("network.dropout", "Dropout before the embedding layer", published=0.5),
        Hyperparameter("network.l2", "L2 regularisation factor λ", published=[1.0, 0.1, 0.01]),
        Hyperparameter("network.l2_scope", "λ holds for", published="convs"),
        Hyperparameter("network.embedding_norm_penalty", "Penalty η on the length of embeddings", published=0.0),
        Hyperparameter("network.embedding_dim", "Embedding dimension", published=64),
    ),
    "Training": (
        Hyperparameter("training.epochs", "Epochs", published=[50, 30]),
        Hyperparameter("training.early_stopping", "Stopped after epochs without a new low"),
        Hyperparameter("training.batch_size", "Batch size", "triplets", 128),
        Hyperparameter("training.optimizer", "Optimizer", published="Adam", note="Adam; AdamW with weight decay"),
        Hyperparameter("training.weight_decay", "Decoupled weight decay", published=0.0),
        Hyperparameter("training.learning_rate", "Learning rate", published=1e-5),
        Hyperparameter("training.lr_schedule", "Schedule of the learning rate"),
        Hyperparameter("training.lr_decay_steps", "Learning rate decays every", "steps", 7500),
        Hyperparameter("training.lr_decay_rate", "Factor of the decay", published=0.95),
        Hyperparameter("training.margin", "Margin", published=1.0),
        Hyperparameter("training.reduction", "Loss is the mean over", published="nonzero"),
        Hyperparameter("training.passes", "Passes of anchor, neighbour, distant", published="separate"),
        Hyperparameter("training.batch_statistics", "Batch statistics in inference", published="moving"),
        Hyperparameter("sweep.seeds", "Random seed", published=[1234]),
        Hyperparameter(
            "training.shuffle",
            "Shuffle data set",
            published="True",
            note="whole data set, each epoch, from (seed, epoch)",
        ),
        Hyperparameter("training.buffer", "Random selection buffer", "clips", 64, "none: the whole data set"),
        Hyperparameter("training.prefetch", "Prefetch batches", published="automatic (-1)", note="not a setting"),
    ),
    "Computing": (
        Hyperparameter("training.backend", "Keras computes with", published="tensorflow"),
        Hyperparameter("training.device", "Device"),
        Hyperparameter("training.precision", "Precision of the layers", published="float32"),
        Hyperparameter("training.deterministic", "Deterministic operations"),
        Hyperparameter("threads.generators", "Number of generators", published=16, note="not a setting"),
        Hyperparameter("threads.calls", "Number of parallel calls", published=16, note="given by Snakemake"),
    ),
    "Audio": (
        Hyperparameter("features.sr", "Sample rate", "Hz", 16000),
        Hyperparameter("triplets.tile_s", "Length of a tile", "s", 5),
        Hyperparameter("triplets.neighbourhood_s", "Range of neighbours", "s", 5),
        Hyperparameter("triplets.distant", "Distant tile from", published="other_clip"),
        Hyperparameter("dataset.channels", "Channels heard: the mean, the first, or each by itself", published="mean"),
        Hyperparameter("split.test_fold", "Fold held out", published="fold1"),
    ),
    "Feature representation": (
        Hyperparameter("network.input", "Feature extractor", published="logmel"),
        Hyperparameter("features.win_length", "Frame length", "samples", 480),
        Hyperparameter("features.hop_length", "Frame step", "samples", 160),
        Hyperparameter("features.n_fft", "FFT size", "samples", 1024),
        Hyperparameter("features.n_mels", "Number of mel bins", published=128),
        Hyperparameter("features.fmin", "Lowest mel frequency", "Hz", 50),
        Hyperparameter("features.fmax", "Highest mel frequency", "Hz", 8000),
        Hyperparameter("features.htk", "HTK's mel scale", published=True),
        Hyperparameter("features.log_offset", "Added before the logarithm", published=1e-6),
        Hyperparameter("network.n_mfcc", "Number of MFCC bins, where they are the input", published=13),
    ),
    "Probes": (
        Hyperparameter("probes.by_epoch.epochs", "Epochs of the probe", published=20),
        Hyperparameter("probes.by_epoch.batch_size", "Batch size of the probe", "tiles", 384),
        Hyperparameter("probes.by_epoch.learning_rate", "Learning rate of the probe", published=1e-5),
        Hyperparameter("probes.by_epoch.double_softmax", "Softmax applied twice", published=True),
        Hyperparameter("probes.by_epoch.tiles", "Tiles of an epoch of the probe", published="triplets"),
        Hyperparameter("probes.converged.c_grid", "Converged probe: inverse penalty C among"),
        Hyperparameter("probes.converged.validation_fraction", "Share of training sessions that choose C"),
        Hyperparameter("split.probe_folds", "Folds on which the converged probe is scored"),
        Hyperparameter("probes.knn.k_grid", "Neighbours that vote: k among"),
        Hyperparameter("probes.knn.max_tiles", "Tiles that can be neighbours, at most", "tiles"),
        Hyperparameter("probes.knn.validation_fraction", "Share of training sessions that choose k"),
        Hyperparameter("probes.mlp.layers", "Hidden layers of the MLP probe among"),
        Hyperparameter("probes.mlp.width", "Width of its layers", "units"),
        Hyperparameter("probes.mlp.learning_rates", "Its learning rate among"),
        Hyperparameter("probes.mlp.batch_size", "Its batch size", "tiles"),
        Hyperparameter("probes.mlp.max_epochs", "Its epochs, at most"),
        Hyperparameter("probes.mlp.patience", "Stopped after epochs without a better validation score"),
        Hyperparameter("probes.mlp.validation_fraction", "Share of training sessions that choose them"),
        Hyperparameter("probes.few_shot.sessions", "Few-shot probe: sessions of each class"),
        Hyperparameter("probes.few_shot.draws", "Its draws of them"),
        Hyperparameter("probes.few_shot.c", "Its inverse penalty C"),
        Hyperparameter("probes.few_shot.seed", "Seed of its draws"),
    ),
    "Judging": (
        Hyperparameter("geometry.max_tiles", "Tiles that geometry and similarity look at, at most", "tiles"),
        Hyperparameter("geometry.draw_seed", "Seed of the draw of those tiles"),
        Hyperparameter("statistics.resamples", "Resamples of the bootstrap over sessions"),
        Hyperparameter("statistics.confidence", "Confidence of the intervals"),
    ),
}

# In the config, but told elsewhere in the report: names, places, what the sweep's values replace.
TOLD_ELSEWHERE = (
    "dataset.name",
    "dataset.adapter",
    "dataset.path",
    "dataset.licence",
    "dataset.citation",
    "sweep.axes",
    "sweep.arms",
    "sweep.least_seeds",
    "training.tensorboard",
    "spaces",
    "exports",
    "features.n_shards",
    "features_store",
    "probes.knn",
    "probes.mlp",
    "probes.few_shot",
)


# Columns of runs.tsv that are called otherwise in the config.
COLUMNS = {"probe_epochs": "probes.by_epoch.epochs"}

PROTOCOLS = {
    "free": "none: the runs may differ in what the study likes, and the number of seeds is its own",
    "as_published": "as published: each arm has its own budget and schedule, and the published probe is scored per "
    "tile, on triplets that are drawn anew in every epoch",
    "strict": "strict: one schedule and one budget for all runs, several seeds",
}


def in_words(column: str) -> tuple[str, str]:
    """Name and unit of a column of runs.tsv, such as `margin`; unknown ones keep their name."""
    key = COLUMNS.get(column, column)
    for rows in TABLE_1.values():
        for row in rows:
            if key in (row.key, row.key.rsplit(".", 1)[-1]):
                return row.name, row.unit
    return column.replace("_", " "), ""


def setting(column: str, value: Any) -> str:
    """A value of a column of runs.tsv as it stands beside a number, such as `λ = 0.01` or `margin 0.5`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    shown = f"{value:g}" if is_number else str(value)
    if column == "l2":
        return f"λ = {shown}"
    name, unit = in_words(column)
    return f"{name.lower()} {shown} {unit}".rstrip()


def symbol(column: str) -> str:
    """The short name of a column of runs.tsv for running text: λ, or the name in words."""
    return "λ" if column == "l2" else in_words(column)[0].lower()
