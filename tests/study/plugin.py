"""One of each thing that a user can add, as `plugins: [plugin.py]` registers it."""

from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.config.keys import key
from lambdascape.config.settings import Block
from lambdascape.core.declarations import adapter, figure, loss, network, probe, similarity_measure
from lambdascape.core.tsv import read_table
from lambdascape.datasets.candidates import CANDIDATE
from lambdascape.figures import style
from lambdascape.probes.scoring import ScoreTable, all_classes


class Centroids(Block):
    """Nearest class mean."""

    sharpness: float = key(1.0, "Factor of the distances before the softmax.", {"gt": 0, "le": 100})


@probe("centroids", label="Nearest class mean", settings=Centroids)
def fit_centroids(given, settings: Centroids, seeds):
    space = given.space
    table = ScoreTable(space, "centroids")
    if space is not None:
        train = ~space.test
        means = np.stack([space.embedding[train & (space.label == k)].mean(axis=0) for k in range(space.n_known)])
        for split, rows in (("train", train), ("test", space.test)):
            distance = np.linalg.norm(space.embedding[rows][:, None] - means, axis=-1)  # (tile, class)
            weight = np.exp(-settings.sharpness * distance)
            posterior = all_classes(space, np.arange(space.n_known), weight / weight.sum(axis=1, keepdims=True))
            table.add(split, rows, posterior, counted=split == "test")
    return table


class NtXent(Block):
    """Keys of the NT-Xent loss."""

    temperature: float = key(
        0.5, "Temperature of the softmax over the batch.", {"gt": 0, "le": 10}, label="Temperature", group="Training"
    )


@loss(
    "nt_xent",
    label="NT-Xent loss",
    measures={"found": ("Neighbours found", "share of anchors whose neighbour is the nearest of the batch")},
    settings=NtXent,
)
def nt_xent(anchors, neighbours, distants, temperature):
    """Cross-entropy of finding an anchor's neighbour among all neighbours and distant tiles (Chen et al. 2020)."""
    from keras import ops

    from lambdascape.models.losses.terms import LossTerms

    others = ops.concatenate([neighbours, distants])
    similarity = ops.matmul(anchors, ops.transpose(others)) / temperature  # (triplet, neighbour or distant)
    place = ops.arange(ops.shape(anchors)[0])
    entropy = ops.logsumexp(similarity, axis=1) - ops.sum(anchors * neighbours, axis=1) / temperature
    found = ops.cast(ops.equal(ops.cast(ops.argmax(similarity, axis=1), "int32"), place), "float32")
    return LossTerms(ops.mean(entropy), entropy, {"found": (found, None)})


@network("two_convolutions", label="Two convolutions")
def two_convolutions(tiles, convolution, width):
    from keras import layers

    x = layers.ReLU()(convolution(tiles, width, 5, 2, "first"))
    return layers.ReLU()(convolution(x, 2 * width, 3, 2, "second"))


@similarity_measure("norm_ratio", label="Ratio of mean lengths")
def norm_ratio(group):
    lengths = np.array([np.linalg.norm(space.embedding, axis=1).mean() for space in group.spaces])
    return np.minimum.outer(lengths, lengths) / np.maximum.outer(lengths, lengths)


@figure(
    "centroid_scores",
    title="Scores of the nearest class mean",
    label="nearest class mean",
    category="Probes",
    caption="**What the nearest class mean scores** on held-out clips. Bars are spaces. From ``tables/scores.tsv``.",
)
def plot_centroid_scores(scores, svg, png, synthetic):
    rows = read_table(scores, text=("run", "probe", "split", "unit", "measure", "class"))
    rows = rows[(rows["probe"] == "centroids") & (rows["split"] == "test") & (rows["measure"] == "macro_f1")]
    rows = rows[rows["unit"] == "clip"]

    def bars():
        figure = style.figure(6, 3)
        figure.add_subplot().barh(rows["run"], rows["value"])
        return figure

    style.write(bars, svg, png, synthetic)


@adapter("named_files", archives=[], index=["names.txt"])
def read_named_files(base):
    names = (base / "names.txt").read_text().split()
    label, session, _ = zip(*(name.split("-") for name in names), strict=True)
    fold = [f"fold{1 + int(one[1]) % 2}" for one in session]
    clips = pd.DataFrame({"path": names, "label": label, "session": session, "fold": fold}, dtype=str)
    assert all(Path(base, name).is_file() for name in names)
    return clips.reindex(columns=list(CANDIDATE), fill_value=""), []
