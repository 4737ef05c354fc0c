"""The spaces for TensorBoard's embedding projector: `tensorboard --logdir results/<study>/exports/projector`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.config.settings import Geometry
from lambdascape.core.files import atomic_path, write_text
from lambdascape.embeddings.held_out import read_held_out

SHOWN = ("label", "session", "node", "clip", "start_s", "fold")
SIGNS = str.maketrans("\t\n\r", "   ")  # that part cells and rows


def export_projector(
    names: Sequence[str],
    embeddings: Sequence[str | Path],
    test_fold: str,
    settings: Geometry,
    output: str | Path,
) -> None:
    """Write the tiles on which geometry is measured, of each space, for TensorBoard's projector.

    Beside the output come `<space>.tsv`, the embeddings without a header, and `<space>_tiles.tsv`, what is known of
    each tile: label, session, node, clip, start_s, fold.

    Args:
        names: of the spaces, in the order in which the projector lists them.
        embeddings: for each its file of `space_file.write_embeddings`.
        test_fold: the fold held out, whose tiles are shown.
        settings: see `held_out.read_held_out`.
        output: `projector_config.pbtxt`, the name that TensorBoard looks for.

    Raises:
        InputError: no tile belongs to the fold.
    """
    folder = Path(output).parent
    for name, path in zip(names, embeddings, strict=True):
        held_out = read_held_out(path, test_fold, settings)
        with atomic_path(folder / f"{name}.tsv") as temporary:
            points = held_out.embedding[held_out.drawn].astype(np.float32)
            pd.DataFrame(points).to_csv(temporary, sep="\t", header=False, index=False, lineterminator="\n")
        write_text(_cells(held_out.tiles.iloc[held_out.drawn]), _tiles(folder, name))
    write_text("".join(map(_entry, names)), output)


def _cells(tiles: pd.DataFrame) -> str:
    """What is known of tiles, one line each below a header; the projector would show quotes around a cell."""
    rows = [SHOWN, *tiles[list(SHOWN)].astype(str).itertuples(index=False)]
    return "".join("\t".join(cell.translate(SIGNS) for cell in row) + "\n" for row in rows)


def _tiles(folder: Path, name: str) -> Path:
    return folder / f"{name}_tiles.tsv"


def _entry(name: str) -> str:
    """One space in the text form of TensorBoard's `ProjectorConfig`; names have no sign that would need an escape."""
    lines = (f'tensor_name: "{name}"', f'tensor_path: "{name}.tsv"', f'metadata_path: "{_tiles(Path(), name)}"')
    return "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
