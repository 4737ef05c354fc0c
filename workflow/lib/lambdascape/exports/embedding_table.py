"""The embeddings of all spaces as one table, Parquet or CSV, with what is known of each tile and of its run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from lambdascape.core.errors import InputError
from lambdascape.core.files import atomic_path
from lambdascape.core.hdf5 import open_checked
from lambdascape.study.run_table import read_spaces, read_sweep

CELLS = 1 << 22  # numbers held at once
LEAST_ROWS = 1 << 12  # of a part, where spaces are very wide
TILE = {
    "clip": "the clip's id in the manifest",
    "moment": "clips of one moment were recorded at once, by several nodes",
    "session": "one recording occasion",
    "node": "the recorder",
    "fold": "of cross-validation",
    "label": "the class; empty where none is known",
}


def export_table(
    names: Sequence[str], embeddings: Sequence[str | Path], runs_path: str | Path, test_fold: str, output: str | Path
) -> None:
    """Write one row per space and tile, a part of a space at a time.

    Columns: `run` (name of the space), `kind` (`trained`, `recomputed`, `untrained`, `mean_logmel`, `own`), what the
    study varies (`l2`, …; missing where a space has none), `seed`, then of the tile `clip`, `moment`, `session`,
    `node`, `fold`, `label`, `split` (`test`: held out of training; else `train`), `start_s` (seconds into the clip),
    and the embedding `e0`, `e1`, …, float32, missing beyond the dimension of a smaller space. A row group of Parquet
    holds rows of one space.

    Args:
        names: of the spaces, in the order in which they are written.
        embeddings: for each its file of `space_file.write_embeddings`.
        runs_path: runs.tsv.
        test_fold: the fold held out.
        output: `.parquet` or `.csv`.

    Raises:
        InputError: the suffix is another one, a space is none of the study, or see `hdf5.open_checked`.
    """
    if Path(output).suffix not in WRITERS:
        raise InputError(f"exports: a table must end in {' or '.join(WRITERS)}; got {output}")
    settings = _settings(runs_path, names)
    with ExitStack() as stack:
        files = [stack.enter_context(open_checked(path, "embeddings")) for path in embeddings]
        schema = _schema(settings, max(file["embedding"].shape[1] for file in files))
        temporary = stack.enter_context(atomic_path(output))
        with WRITERS[Path(output).suffix](temporary, schema) as writer:
            for name, file in zip(names, files, strict=True):
                for columns in _parts(file, _constants(name, settings), test_fold):
                    writer.write_batch(_batch(columns, schema))


def _settings(runs_path: str | Path, names: Sequence[str]) -> pd.DataFrame:
    """Kind, what varies, and seed of each space: one row per space, by its name."""
    sweep = read_sweep(runs_path)
    varied = [key for key in (sweep.key, *sweep.others) if key]
    spaces = read_spaces(runs_path, names).set_index("run")[["kind", *varied, "seed"]]
    return spaces.astype({"seed": "Int64"})


def _constants(name: str, settings: pd.DataFrame) -> dict[str, Any]:
    return {"run": name} | {str(column): value for column, value in settings.loc[name].items()}


def _schema(settings: pd.DataFrame, dims: int) -> pa.Schema:
    varied = [
        (str(name), pa.float64() if pd.api.types.is_numeric_dtype(settings[name]) else pa.string(), "what varies")
        for name in settings.columns[1:-1]
    ]
    fields = [
        ("run", pa.string(), "the space: a run or a baseline"),
        ("kind", pa.string(), "trained, recomputed, untrained, mean_logmel or own"),
        *varied,
        ("seed", pa.int64(), "of the run"),
        *((name, pa.string(), words) for name, words in TILE.items()),
        ("split", pa.string(), "test: the fold held out of training; train: all others"),
        ("start_s", pa.float64(), "the tile's start in its clip, in seconds"),
        *((f"e{number}", pa.float32(), "of the embedding") for number in range(dims)),
    ]
    return pa.schema([pa.field(name, kind, metadata={"description": words}) for name, kind, words in fields])


def _parts(file: h5py.File, constant: dict[str, Any], test_fold: str) -> Iterator[dict[str, Any]]:
    """The columns of some rows of one space after the other."""
    count, dims = file["embedding"].shape
    rows = max(LEAST_ROWS, CELLS // dims)
    for start in range(0, count, rows):
        place = slice(start, start + rows)
        texts = {name: file[name].asstr()[place] for name in TILE}
        split = np.where(texts["fold"] == test_fold, "test", "train")
        embedding = {f"e{number}": column for number, column in enumerate(file["embedding"][place].T)}
        yield constant | texts | {"split": split, "start_s": file["start_s"][place]} | embedding


def _batch(columns: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """The columns in the order of the schema; one value stands for a whole column, a missing column for no value."""
    rows = len(columns["start_s"])
    arrays = [_array(columns.get(field.name), field.type, rows) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(values, np.ndarray):
        return pa.array(np.ascontiguousarray(values), kind)
    if values is None or pd.isna(values):
        return pa.nulls(rows, kind)
    return pa.repeat(pa.scalar(str(values) if kind == pa.string() else values, kind), rows)


def _parquet(path: Path, schema: pa.Schema) -> pa.parquet.ParquetWriter:
    texts = [field.name for field in schema if field.type == pa.string()]
    return pa.parquet.ParquetWriter(path, schema, use_dictionary=texts)  # numbers hardly repeat


WRITERS: dict[str, Callable[[Path, pa.Schema], Any]] = {".parquet": _parquet, ".csv": pa.csv.CSVWriter}
