"""Embeddings that the user brings: laid on the study's tiles, and refused where the file is not what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdascape.core.errors import InputError
from lambdascape.core.hdf5 import TEXT
from lambdascape.embeddings import brought
from lambdascape.embeddings.brought import embed_own, nearest_rows
from lambdascape.embeddings.space_file import read_embeddings
from support.memory import held_within
from support.spaces import make_space, write_space

TILE_S = 1.0


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, npt.NDArray[np.float32], pd.DataFrame]:
    embedding, tiles = make_space()
    return write_space(tmp_path / "mean_logmel.h5", embedding, tiles), embedding, tiles


def own_file(path: Path, clip: Any, start_s: Any, embedding: Any, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("embedding", data=embedding, **options)
        file.create_dataset("clip", data=list(clip), dtype=TEXT)
        file["start_s"] = start_s
    return path


def taken(source: Path, tiles_path: Path) -> tuple[npt.NDArray[np.float32], pd.DataFrame, dict[str, Any]]:
    embed_own(source, tiles_path, TILE_S, source.with_name("taken.h5"))
    return read_embeddings(source.with_name("taken.h5"))


def test_a_space_of_the_workflow_comes_back_as_it_was(study: Any) -> None:
    path, embedding, tiles = study
    found, table, about = taken(path, path)
    np.testing.assert_array_equal(found, embedding)
    pd.testing.assert_frame_equal(table, tiles[table.columns], check_dtype=False)
    assert (about["kind"], about["largest_shift_s"]) == ("own", 0)


@pytest.mark.parametrize("form", ["h5", "packed h5", "lists", "columns"])
def test_rows_are_found_by_clip_and_start_in_any_order_and_format(study: Any, tmp_path: Path, form: str) -> None:
    path, embedding, tiles = study
    order = np.random.default_rng(0).permutation(len(tiles))
    clips, starts = tiles["clip"].to_numpy()[order], tiles["start_s"].to_numpy()[order] + 0.25
    wide = np.hstack([embedding, 2 * embedding]).astype(np.float64)[order]
    more = ([*clips, "no clip of the study"], np.append(starts, 0.0), np.vstack([wide, np.zeros(wide.shape[1])]))
    if "h5" in form:
        options = {"compression": "gzip", "chunks": (7, 3)} if "packed" in form else {}
        source = own_file(tmp_path / "own.h5", *more, **options)
    else:
        table = pd.DataFrame({"clip": more[0], "start_s": more[1]})
        vectors = {"embedding": list(more[2])} if form == "lists" else {f"e{k}": v for k, v in enumerate(more[2].T)}
        source = tmp_path / "own.parquet"
        table.assign(**dict(reversed(vectors.items()))).to_parquet(source)
    found, table, about = taken(source, path)
    np.testing.assert_array_equal(found, np.hstack([embedding, 2 * embedding]))
    assert table["start_s"].tolist() == tiles["start_s"].tolist()
    assert about["largest_shift_s"] == 0.25


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=30, unique=True),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=10),
)
def test_the_nearest_row_is_that_of_a_plain_search(places: list[Any], wanted: list[Any]) -> None:
    table = pd.DataFrame([(f"c{clip}", at / 4) for clip, at in places], columns=["clip", "start_s"])
    tiles = pd.DataFrame([(f"c{clip}", at / 4) for clip, at in wanted], columns=["clip", "start_s"])
    least = [
        min((abs(place - at) / 4 for other, place in places if other == clip), default=np.inf) for clip, at in wanted
    ]
    numbered = table.assign(row=np.arange(len(table)))
    if max(least) > 0.5 * TILE_S:
        with pytest.raises(InputError, match=r"needs an embedding that starts within 0\.5 s"):
            nearest_rows(tiles, numbered, TILE_S, "own.h5")
        return
    rows, apart = nearest_rows(tiles, numbered, TILE_S, "own.h5")
    chosen = table.iloc[rows]
    assert chosen["clip"].tolist() == tiles["clip"].tolist()
    distance = (chosen["start_s"].to_numpy() - tiles["start_s"].to_numpy()).__abs__()
    assert distance.tolist() == least
    assert apart == max(least)


def test_parts_of_a_file_give_what_the_whole_gives(study: Any, tmp_path: Path, monkeypatch: Any) -> None:
    path, embedding, tiles = study
    source = own_file(tmp_path / "own.h5", tiles["clip"], tiles["start_s"], embedding)
    for name, value in (("CELLS", 13), ("TEXTS", source.stat().st_size * 3), ("PARQUET_ROWS", 5)):
        monkeypatch.setattr(brought, name, value)
    np.testing.assert_array_equal(taken(source, path)[0], embedding)
    pd.DataFrame({"clip": tiles["clip"], "start_s": tiles["start_s"], "embedding": list(embedding)}).to_parquet(
        tmp_path / "own.parquet"
    )
    np.testing.assert_array_equal(taken(tmp_path / "own.parquet", path)[0], embedding)


Columns = dict[str, Any]
PLANTED: dict[str, tuple[Callable[[Columns], Any], str]] = {
    "a clip is missing": (lambda c: {k: v[2:] for k, v in c.items()}, "2 of 144, in 1 clips, have none: s0_0-0-n0"),
    "starts beyond half a tile": (lambda c: c | {"start_s": c["start_s"] + 0.51}, "within 0.5 s of it"),
    "a tile twice": (
        lambda c: {k: np.concatenate([v, v[:1]]) for k, v in c.items()}, "once; 1 come again, the first is 's0_0"),
    "not a number": (
        lambda c: c | {"embedding": np.where(np.arange(144)[:, None] == 3, np.nan, c["embedding"])},
        "must be finite .* the first is row 3"),
    "beyond 32 bits": (lambda c: c | {"embedding": c["embedding"].astype(float) * 1e300}, "must be finite"),
    "a start that is no number": (
        lambda c: c | {"start_s": np.where(np.arange(144) == 3, np.inf, c["start_s"])}, "start_s must be a finite"),
    "rows that differ": (lambda c: c | {"start_s": c["start_s"][:-1]}, "one row per tile"),
    "one dimension": (lambda c: c | {"embedding": c["embedding"][:, 0]}, "embedding must be numbers in 2 dimensions"),
    "whole numbers": (lambda c: c | {"embedding": c["embedding"].astype(int)}, "embedding must be numbers in 2 dim"),
    "no dimension": (lambda c: c | {"embedding": c["embedding"][:, :0]}, "1 to 65536 dimensions"),
    "no rows": (lambda c: {k: v[:0] for k, v in c.items()}, "must have rows"),
    "clips that are numbers": (lambda c: c | {"clip": np.arange(144)}, "clip must be text in 1 dimension"),
    "no clips": (lambda c: {k: v for k, v in c.items() if k != "clip"}, "clip must be a dataset of the file itself"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_refused_by_name(study: Any, tmp_path: Path, fault: str) -> None:
    path, embedding, tiles = study
    plant, message = PLANTED[fault]
    columns = {"embedding": embedding, "clip": tiles["clip"].to_numpy(object), "start_s": tiles["start_s"].to_numpy()}
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for name, values in plant(columns).items():
            text = name == "clip" and np.asarray(values).dtype == object
            file.create_dataset(name, data=values.tolist() if text else values, dtype=TEXT if text else None)
    with pytest.raises(InputError, match=message) as caught:
        taken(tmp_path / "own.h5", path)
    assert str(tmp_path / "own.h5") in str(caught.value)
    assert not (tmp_path / "taken.h5").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"clip": ["a"], "e0": [1.0]}, "must have columns clip, start_s, and embedding"),
        ({"clip": ["a"], "start_s": [0.0]}, "must have columns clip, start_s, and embedding"),
        ({"clip": ["a"], "start_s": [0.0], "e0": [1.0], "e2": [1.0]}, "must have columns"),
        ({"clip": ["a", None], "start_s": [0.0, 1.0], "e0": [1.0, 2.0]}, "must be there in every row"),
        ({"clip": ["a"], "start_s": [0.0], "e0": ["x"]}, "could not convert"),
        ({"clip": ["a"], "start_s": [0.0], "embedding": [1.0]}, "must be lists of numbers"),
    ],
)
def test_parquet_that_is_not_as_described_is_refused(
    study: Any, tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    pa.parquet.write_table(pa.table(columns), tmp_path / "own.parquet")
    with pytest.raises(InputError, match=message):
        taken(tmp_path / "own.parquet", study[0])


@pytest.mark.parametrize("rows", [1, 4096])
def test_lists_of_several_lengths_are_refused(study: Any, tmp_path: Path, rows: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(brought, "PARQUET_ROWS", rows)
    path, embedding, tiles = study
    vectors = [*embedding[:-1], embedding[-1][:-1]]
    table = pd.DataFrame({"clip": tiles["clip"], "start_s": tiles["start_s"], "embedding": vectors})
    table.to_parquet(tmp_path / "own.parquet")
    with pytest.raises(InputError, match="must be a whole file of embeddings"):
        taken(tmp_path / "own.parquet", path)


@pytest.mark.parametrize("name", ["own.csv", "own.h5", "own.parquet", "absent.h5"])
def test_a_file_of_another_kind_is_refused(study: Any, tmp_path: Path, name: str) -> None:
    if not name.startswith("absent"):
        (tmp_path / name).write_text("no embeddings")
    with pytest.raises(InputError, match=r"must be a (whole )?file"):
        taken(tmp_path / name, study[0])


def _external(file: h5py.File, columns: Columns) -> None:
    rows, dims = columns["embedding"].shape
    file.create_dataset("embedding", (rows, dims), "f4", external=[("secret.bin", 0, rows * dims * 4)])


def _virtual(file: h5py.File, columns: Columns) -> None:
    layout = h5py.VirtualLayout(columns["embedding"].shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "embedding", columns["embedding"].shape)
    file.create_virtual_dataset("embedding", layout)


def _huge(file: h5py.File, columns: Columns) -> None:
    file.create_dataset("embedding", (len(columns["clip"]), 10**10), "f4", chunks=(1, 1024))


def _large_chunk(file: h5py.File, columns: Columns) -> None:
    shape = (len(columns["clip"]), 1 << 18)
    file.create_dataset("embedding", data=np.zeros(shape, "f4"), chunks=shape, compression="gzip")


HOSTILE: dict[str, Callable[[h5py.File, Columns], Any]] = {
    "external data": _external,
    "virtual data": _virtual,
    "external link": lambda file, _: file.__setitem__("embedding", h5py.ExternalLink("other.h5", "embedding")),
    "soft link": lambda file, _: file.__setitem__("embedding", h5py.SoftLink("/elsewhere")),
    "a group": lambda file, _: file.create_group("embedding"),
    "absurd shape": _huge,
    "one chunk for all": _large_chunk,
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_hdf5_is_refused_without_following_it(study: Any, tmp_path: Path, attack: str) -> None:
    """H5 of the faults: data elsewhere, links, shapes that no memory holds."""
    path, embedding, tiles = study
    write_space(tmp_path / "other.h5", embedding, tiles)  # what a link would reach
    (tmp_path / "secret.bin").write_bytes(embedding.tobytes())
    columns = {"embedding": embedding, "clip": tiles["clip"].tolist()}
    with h5py.File(tmp_path / "own.h5", "w") as file:
        HOSTILE[attack](file, columns)
        file.create_dataset("clip", data=columns["clip"], dtype=TEXT)
        file["start_s"] = tiles["start_s"].to_numpy()
    with pytest.raises(InputError, match=r"must be a dataset of the file itself|all data must lie|a chunk must have"):
        taken(tmp_path / "own.h5", path)


def test_many_rows_that_share_one_long_text_take_no_memory(study: Any, tmp_path: Path) -> None:
    """HDF5 stores texts apart: a file of 20 MB could ask for 20 MB a row."""
    path, *_ = study
    rows, text = 400, b"x" * 20_000_000
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["embedding"], file["start_s"] = np.zeros((rows, 2), "f4"), np.zeros(rows)
        clips = file.create_dataset("clip", (rows,), TEXT)
        clips[0] = text
        offset = clips.id.get_offset()
        assert offset is not None
    content = bytearray((tmp_path / "own.h5").read_bytes())
    content[offset : offset + 16 * rows] = content[offset : offset + 16] * rows
    (tmp_path / "own.h5").write_bytes(content)
    del content
    with held_within(150), pytest.raises(InputError):
        taken(tmp_path / "own.h5", path)
