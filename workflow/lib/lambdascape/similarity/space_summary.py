"""What is kept of each space to compare it with others: the tiles measured, their neighbours, distances of groups."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial.distance import pdist

from lambdascape.config.settings import Geometry
from lambdascape.core.hdf5 import about, create, open_checked
from lambdascape.core.vectors import Floats, is_one_point, unit_norm
from lambdascape.embeddings.held_out import HeldOut, Texts, read_held_out
from lambdascape.embeddings.neighbours import most_neighbours, nearest

Codes = npt.NDArray[np.int32]

SCHEMA = "similarity"
NEIGHBOURS = 100  # kept of each tile
MOST_GROUPS = 1000  # whose means are compared: their pairs grow with the square


@dataclass(frozen=True)
class Summary:
    """One space as `summarise_space` wrote it.

    Attributes:
        embedding: shape (tile, dim), float32, the tiles that are measured.
        first_half: shape (tile,).
        session: number of the session of each tile, from 0 in order of the names, shape (tile,).
        moment: number of the moment of each tile, in order of appearance, shape (tile,).
        label: number of the label of each tile, from 0 in order of the names, shape (tile,).
        distances: shape (pair,), see `group_distances`.
        neighbours: k nearest neighbours, for (tile, k); a dataset that is read in parts.
        tiles: digest of which tiles are measured; only spaces with the same can be compared.
    """

    embedding: npt.NDArray[np.float32]
    first_half: npt.NDArray[np.bool_]
    session: Codes
    moment: Codes
    label: Codes
    distances: Floats
    neighbours: h5py.Dataset
    tiles: str


def summarise_space(embeddings_path: str | Path, test_fold: str, settings: Geometry, output: str | Path) -> None:
    """Write what comparing the space with others needs.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: the fold held out.
        settings: how many tiles are compared, and the seed of what is sampled.
        output: HDF5: `embedding` (tile, dim) float32, the tiles that `measured` draws; `first_half`, `session`,
            `moment` and `label` (tile,), see `Summary`; `neighbours` (tile, k) int32, by cosine, tiles of the same
            moment left out, k up to `NEIGHBOURS` as far as every tile has so many, 0 where the space is one point;
            `distances` (pair,).

    Raises:
        InputError: no tile belongs to the fold.
    """
    held_out = read_held_out(embeddings_path, test_fold, settings)
    drawn = held_out.embedding[held_out.drawn]
    moment = pd.factorize(held_out.column("moment"))[0]
    count = 0 if is_one_point(drawn) else min(NEIGHBOURS, most_neighbours(moment))
    neighbours = nearest(unit_norm(drawn), count, moment) if count else np.zeros((len(drawn), 0), np.int32)
    seed = settings.draw_seed
    with create(output, SCHEMA, {"tiles": tiles_digest(held_out)}) as file:
        file["embedding"] = drawn.astype(np.float32)
        file["first_half"] = halves(held_out.column("session"), held_out.column("label"), seed)
        file["session"] = pd.factorize(held_out.column("session"), sort=True)[0].astype(np.int32)
        file["moment"] = moment.astype(np.int32)
        file["label"] = pd.factorize(held_out.column("label"), sort=True)[0].astype(np.int32)
        file["neighbours"] = neighbours
        file["distances"] = group_distances(held_out, seed)


def read_summary(file: h5py.File) -> Summary:
    """What an open file of `summarise_space` holds."""
    names = ("embedding", "first_half", "session", "moment", "label", "distances")
    return Summary(**{name: file[name][:] for name in names}, neighbours=file["neighbours"], tiles=about(file)["tiles"])


def check_summary(path: str | Path) -> None:
    """Stop at a file that is not as `summarise_space` wrote it.

    Raises:
        InputError: see `hdf5.open_checked`.
        KeyError: a dataset is missing.
    """
    with open_checked(path, SCHEMA) as file:
        read_summary(file)


def tiles_digest(held_out: HeldOut) -> str:
    """SHA-256 of the clips and starts of the drawn tiles."""
    tiles = held_out.tiles.iloc[held_out.drawn]
    lines = "\n".join(f"{clip}\t{start:.6f}" for clip, start in zip(tiles["clip"], tiles["start_s"], strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def halves(session: Texts, label: Texts, seed: int) -> npt.NDArray[np.bool_]:
    """Cut the tiles in two halves that share no session, the sessions of each label dealt out in turn.

    Args:
        session: shape (tile,).
        label: shape (tile,); a session counts to its most frequent one.
        seed: seed of the order of sessions.

    Returns:
        Shape (tile,), True in the first half; with one session all are.
    """
    main = main_labels(session, label)
    mixed = main.sample(frac=1, random_state=seed).sort_values(kind="stable")
    return np.isin(session, mixed.index.to_numpy()[::2])


def main_labels(session: npt.NDArray[Any], label: npt.NDArray[Any]) -> "pd.Series[Any]":
    """The most frequent label of each session, sessions sorted; of equally frequent ones that of the first tile.

    Args:
        session: shape (tile,).
        label: shape (tile,).
    """
    return pd.Series(label).groupby(session).agg(lambda labels: labels.value_counts().index[0])


def group_distances(held_out: HeldOut, seed: int) -> Floats:
    """Distances between the mean embeddings of class × session, tiles scaled to length 1: shape (pair,).

    All tiles of the test split count; without labels the sessions are the groups. Of more than `MOST_GROUPS` groups a
    drawn part is taken. Where the space is one point, all distances are 0.
    """
    tiles = held_out.tiles
    code, names = pd.factorize(pd.MultiIndex.from_frame(tiles[["label", "session"]]), sort=True)
    means = pd.DataFrame(unit_norm(held_out.embedding)).groupby(code).mean().to_numpy()
    kept = np.sort(np.random.default_rng([seed]).permutation(len(names))[:MOST_GROUPS])
    return pdist(means[kept]) * (not is_one_point(held_out.embedding))
