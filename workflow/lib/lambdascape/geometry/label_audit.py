"""Clips that stand where they should not: their neighbours carry another label, or there are none near."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.tsv import write_table
from lambdascape.core.vectors import Floats, is_one_point, unit_norm
from lambdascape.embeddings.held_out import sample_tiles
from lambdascape.embeddings.neighbours import most_neighbours, nearest
from lambdascape.embeddings.shown import ShownSpace, common_tiles, shown_spaces

COLUMNS = ["kind", "clip", "label", "session", "node", "start_s", "neighbours", "share", "spaces", "of", "distance"]
TEXT = ("kind", "clip", "label", "session", "node", "neighbours")
KINDS = {  # in the order of the list; in words for the report
    "label": ("other label", "its nearest clips all have another label"),
    "node": ("odd node", "the clips of its node are far from those of the other nodes"),
    "far": ("alone", "no other clip is near it"),
}
FENCE = 3.0  # interquartile ranges above the upper quartile: Tukey's outer fence (1977, Exploratory Data Analysis)
FAR_NODE = 2.0  # times the other nodes' usual distance
FEWEST_NODES = 3  # of two nodes that differ, none can be called the odd one
FEWEST_CLIPS = 12  # below which quartiles say little
MOST_CLIPS = 50_000  # audited; time grows with the square


@dataclass
class OddClip:
    """What the spaces show about one clip: labels of its neighbours in those that list it, and distances."""

    spaces: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    distances: list[float] = field(default_factory=list)


def audit_neighbours(
    runs: str | Path,
    embeddings: Sequence[str | Path],
    names: Sequence[str],
    neighbours: int,
    seed: int,
    output: str | Path,
) -> None:
    """List the clips that most of the spaces shown find in the wrong place.

    A clip is the mean of its tiles, all of length 1. Its neighbours are the nearest clips of other moments, by cosine:
    what other nodes heard at the same time shares its label and would hide a wrong one.

    Args:
        runs: runs.tsv.
        embeddings: HDF5 files of spaces.
        names: the space of each file, in the same order.
        neighbours: how many of a clip's neighbours must all carry another label.
        seed: seed of the draw of `MOST_CLIPS` clips where there are more.
        output: table `COLUMNS`, one row per finding that more than half of the spaces agree on: kind (`KINDS`); clip,
            label, session, node; start_s, the tile that is nearest to the clip's mean; neighbours, the label that most
            of its neighbours carry, and their share; in how many spaces, of how many (spaces in which all tiles are one
            point say nothing); distance, the median over those spaces of the cosine distance to the neighbours
            (label), to the nearest clip (far), or to the nearest clip of another node, median over the node's
            clips (node). A node is shown by its farthest clip.
    """
    shown = shown_spaces(runs, embeddings, names)
    clips = audited_clips(shown, seed)
    spaces = [means_of(*space.read(), clips["clip"].to_numpy(object)) for space in shown]
    write_table(audit([means for means in spaces if not is_one_point(means)], clips, neighbours), output)


def audited_clips(shown: Sequence[ShownSpace], seed: int) -> pd.DataFrame:
    """One row per clip that every space holds: clip, moment, session, node, label, start_s of its middle-most tile."""
    tiles = common_tiles(shown)
    embedding, all_tiles = shown[0].read()
    unit = unit_norm(embedding.astype(np.float64))
    code, _ = pd.factorize(all_tiles["clip"])
    near = (unit * _group_means(unit, code)[code]).sum(axis=1)
    near_of = pd.Series(near, index=pd.MultiIndex.from_frame(all_tiles[["clip", "start_s"]]))
    tiles["near"] = near_of.loc[pd.MultiIndex.from_frame(tiles[["clip", "start_s"]])].to_numpy()
    best = tiles.sort_values("near", ascending=False, kind="stable").drop_duplicates("clip").sort_index()
    kept = sample_tiles(best["label"].to_numpy(object), MOST_CLIPS, seed)
    return best.iloc[kept].drop(columns="near").reset_index(drop=True)


def means_of(embedding: npt.NDArray[np.float32], tiles: pd.DataFrame, clips: npt.NDArray[np.object_]) -> Floats:
    """Mean of the tiles of each of `clips`, tiles and means scaled to length 1: shape (clip, dim)."""
    code = pd.Index(clips).get_indexer(pd.Index(tiles["clip"]))
    unit = unit_norm(embedding[code >= 0].astype(np.float64))
    return unit_norm(_group_means(unit, code[code >= 0]))


def _group_means(values: Floats, code: npt.NDArray[np.intp]) -> Floats:
    sums = np.zeros((code.max() + 1, values.shape[1]))
    np.add.at(sums, code, values)
    return sums / np.bincount(code)[:, None]


def audit(spaces: Sequence[Floats], clips: pd.DataFrame, neighbours: int) -> pd.DataFrame:
    """The table that `audit_neighbours` writes.

    Args:
        spaces: for each space the means of the clips, of length 1, shape (clip, dim).
        clips: clip, moment, session, node, label, start_s.
        neighbours: see `audit_neighbours`.
    """
    found: dict[tuple[str, int], OddClip] = {}
    for means in spaces:
        for kind, clip, labels, distance in [
            *_other_labels(means, clips, neighbours),
            *_far_nodes(means, clips),
            *_far_clips(means, clips),
        ]:
            finding = found.setdefault((kind, clip), OddClip())
            finding.spaces += 1
            finding.labels.update(labels)
            finding.distances.append(distance)
    most = {place: finding for place, finding in found.items() if finding.spaces > len(spaces) / 2}
    rows = [_row(kind, clips.iloc[clip], finding, len(spaces)) for (kind, clip), finding in most.items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["order"] = table["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    table = table.sort_values(
        ["order", "spaces", "share", "distance", "clip"], ascending=[True, False, False, True, True]
    )
    return table[COLUMNS].reset_index(drop=True)


def _row(kind: str, clip: "pd.Series[str]", finding: OddClip, spaces: int) -> dict[str, object]:
    label, count = finding.labels.most_common(1)[0] if finding.labels else ("", 0)
    shares = {"neighbours": label, "share": count / finding.labels.total() if finding.labels else np.nan}
    of_clip = {column: clip[column] for column in ("clip", "label", "session", "node", "start_s")}
    numbers = {"spaces": finding.spaces, "of": spaces, "distance": float(np.median(finding.distances))}
    return {"kind": kind} | of_clip | shares | numbers


def _other_labels(means: Floats, clips: pd.DataFrame, count: int) -> list[tuple[str, int, list[str], float]]:
    """Labelled clips whose `count` nearest labelled clips of other moments all carry another label."""
    rows = np.flatnonzero(clips["label"] != "")
    label, moment = clips["label"].to_numpy(object)[rows], pd.factorize(clips["moment"].iloc[rows])[0]
    if count > most_neighbours(moment):
        return []
    near = nearest(means[rows], count, moment)
    other = (label[near] != label[:, None]).all(axis=1)
    return [
        ("label", int(rows[i]), list(label[near[i]]), float(_distances(means[rows[i]], means[rows[near[i]]]).mean()))
        for i in np.flatnonzero(other)
    ]


def _far_clips(means: Floats, clips: pd.DataFrame) -> list[tuple[str, int, list[str], float]]:
    """Clips that are farther from the nearest clip of another moment than Tukey's outer fence."""
    moment = pd.factorize(clips["moment"])[0]
    if len(clips) < FEWEST_CLIPS or not most_neighbours(moment):
        return []
    distance = _to_nearest(means, moment)
    lower, upper = np.quantile(distance, [0.25, 0.75])
    return [("far", int(i), [], float(distance[i])) for i in np.flatnonzero(distance > upper + FENCE * (upper - lower))]


def _far_nodes(means: Floats, clips: pd.DataFrame) -> list[tuple[str, int, list[str], float]]:
    """The farthest clip of each node whose clips lie `FAR_NODE` times as far from other nodes as usual."""
    node, names = pd.factorize(clips["node"])
    if len(names) < FEWEST_NODES or not most_neighbours(node):
        return []
    distance = _to_nearest(means, node)
    usual = pd.Series(distance).groupby(node).median().to_numpy()  # (node,)
    return [
        ("node", int(np.where(node == k, distance, -1).argmax()), [], float(usual[k]))
        for k in range(len(names))
        if usual[k] > FAR_NODE * np.median(np.delete(usual, k))
    ]


def _to_nearest(means: Floats, group: npt.NDArray[np.intp]) -> Floats:
    """Cosine distance of each clip to the nearest one of another group, shape (clip,)."""
    near = nearest(means, 1, group)[:, 0]
    return np.maximum(1 - (means * means[near]).sum(axis=1), 0)


def _distances(one: Floats, others: Floats) -> Floats:
    return np.maximum(1 - others @ one, 0)
