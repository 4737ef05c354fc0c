"""Small synthetic embedding spaces with sessions, nodes and labels."""

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.embeddings.space_file import write_embeddings


def make_space(
    classes: int = 3,
    sessions: int = 4,
    clips: int = 3,
    nodes: int = 2,
    tiles: int = 2,
    dim: int = 6,
    separation: float = 1.5,
    seed: int = 0,
) -> tuple[npt.NDArray[np.float32], pd.DataFrame]:
    """Embeddings around one centre per class and one offset per session.

    Session `s<class>_<i>` lies in `fold1` for even i, in `fold2` for odd i; each node heard each clip.
    """
    rng = np.random.default_rng([seed])
    rows, points = [], []
    for k in range(classes):
        centre = separation * rng.normal(size=dim)
        for i in range(sessions):
            session, offset = f"s{k}_{i}", 0.5 * rng.normal(size=dim)
            for clip, node, tile in product(range(clips), range(nodes), range(tiles)):
                moment = f"{session}-{clip}"
                rows.append((f"{moment}-n{node}", moment, session, f"n{node}", f"fold{i % 2 + 1}", f"class{k}", tile))
                points.append(centre + offset + rng.normal(size=dim))
    table = pd.DataFrame(rows, columns=["clip", "moment", "session", "node", "fold", "label", "start_s"])
    return np.array(points, np.float32), table.astype({"start_s": float})


def write_space(path: Path, embedding: npt.NDArray[np.float32], tiles: pd.DataFrame) -> Path:
    write_embeddings(path, embedding, tiles, {})
    return path
