"""`lambdascape embed`: audio files through an exported embedder, to a table on the screen or in a file."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path
from lambdascape.jobs import devices

if TYPE_CHECKING:
    from lambdascape.exports.embedder import Embedder

FORMATS = (".tsv", ".csv", ".parquet", ".npy")


def embed_files(
    model: str | Path,
    files: Sequence[str | Path],
    output: str | Path | None = None,
    hop_s: float | None = None,
    channel: int | None = None,
    device: str = "auto",
) -> int:
    """Embed every tile of audio files.

    The table has one row per file, channel and tile: `file`, `channel` (from 1; empty for the mean of all), `start_s`
    and the embedding `e0`, `e1`, …; `.npy` holds the embeddings alone, shape (tile, dim), float32, in the same order.
    A file that cannot be used is named on the error stream, and the others are embedded.

    Args:
        model: an exported `embedder.keras`, or its folder.
        files: audio files.
        output: ends in one of `FORMATS`; None prints tab-separated text.
        hop_s: seconds from one tile's start to the next; None: the length of a tile.
        channel: which is heard, from 1; None: as in the study that trained the embedder.
        device: `auto`, `gpu` or `cpu`.

    Returns:
        How many of the files could not be used.

    Raises:
        InputError: the model or the suffix of the output cannot be used, or none of the files can.
    """
    if output is not None and Path(output).suffix not in FORMATS:
        raise InputError(f"--output: must end in {', '.join(FORMATS)}; got {output}")
    with devices.accelerator(os.environ.get("KERAS_BACKEND", "tensorflow"), device, deterministic=False):
        with _quiet():
            from lambdascape.exports.embedder import load

            embedder = load(model)
            devices.start(device, deterministic=False)
        tables, unusable = _tables(embedder, files, hop_s, channel)
    if not tables:
        raise InputError("no file could be embedded")
    _write(pd.concat(tables, ignore_index=True), output)
    return unusable


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TensorFlow's C++ says when it starts off the error stream, unless it explains a crash."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except InputError:
            raise
        except BaseException:
            said.seek(0)
            os.write(before, said.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


def _tables(
    embedder: "Embedder", files: Sequence[str | Path], hop_s: float | None, channel: int | None
) -> tuple[list[pd.DataFrame], int]:
    """A table of each file that can be used, and how many cannot."""
    tables, unusable = [], 0
    for file in tqdm(files, desc="embedding", unit="file", disable=None if len(files) > 1 else True):
        try:
            heard = embedder.channels_of(file) if channel is None else [channel]
            found = [_table(file, one, *embedder.embed(file, hop_s, one)) for one in heard]
        except InputError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            unusable += 1
            continue
        tables += found
    return tables, unusable


def _table(
    file: str | Path, channel: int | None, start_s: npt.NDArray[np.float64], embedding: npt.NDArray[np.float32]
) -> pd.DataFrame:
    columns: dict[str, Any] = {"file": str(file), "channel": "" if channel is None else str(channel)}
    vectors = pd.DataFrame(embedding, columns=[f"e{number}" for number in range(embedding.shape[1])])
    return pd.concat([pd.DataFrame(columns | {"start_s": start_s}), vectors], axis=1)


def _write(table: pd.DataFrame, output: str | Path | None) -> None:
    if output is None:
        table.to_csv(sys.stdout, sep="\t", index=False, lineterminator="\n")
        return
    with atomic_path(output) as temporary:
        match temporary.suffix:
            case ".npy":
                np.save(temporary, table.filter(regex=r"^e\d+$").to_numpy(np.float32))
            case ".parquet":
                table.to_parquet(temporary, index=False)
            case suffix:
                table.to_csv(temporary, sep="," if suffix == ".csv" else "\t", index=False, lineterminator="\n")
