"""The exported files of a study, as the report links them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lambdascape.core.disk import shown_bytes

WORDS = {
    "embeddings.parquet": "the embeddings of all spaces, one row per space and tile (Parquet)",
    "embeddings.csv": "the embeddings of all spaces, one row per space and tile (CSV)",
    "projector_config.pbtxt": "the held-out tiles of all spaces for TensorBoard's projector: "
    "tensorboard --logdir on its folder",
    "embedder.keras": "the network: log-mel tiles in, embeddings out",
    "embedder.onnx": "the same network as ONNX",
    "README.md": "its model card: data, settings, scores, limits",
}


@dataclass(frozen=True)
class Export:
    """One file: the run that it is of (empty for all), its name, a relative address, what it is, its size in words."""

    run: str
    name: str
    address: str
    words: str
    size: str


def list_exports(files: Iterable[str | Path], page: str | Path) -> list[Export]:
    """The files that a study has exported, in their order.

    Args:
        files: exports as `study.paths.Study.exported` names them; all of them are there.
        page: the report that links them; addresses are relative to its folder.
    """
    return [_export(Path(file), Path(page).parent) for file in files]


def _export(file: Path, folder: Path) -> Export:
    run = file.parent.name if file.parent.parent.name == "models" else ""
    address = quote(Path(os.path.relpath(file, folder)).as_posix())
    return Export(run, file.name, address, WORDS[file.name], shown_bytes(file.stat().st_size))
