"""The HDF5 files: what was not finished, or is of another kind, is refused."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from lambdascape.core.errors import InputError
from lambdascape.embeddings import space_file
from lambdascape.features import store
from support.stores import write_store

TILES = pd.DataFrame({name: ["a", "ü"] for name in space_file.TILE_COLUMNS} | {"start_s": [0.0, 5.0]})


def test_embeddings_come_back(tmp_path: Path) -> None:
    embedding = np.array([[1, 2], [3, 4]], np.float32)
    space_file.write_embeddings(tmp_path / "a.h5", embedding, TILES, {"kind": "trained", "seed": 1})
    read, tiles, about = space_file.read_embeddings(tmp_path / "a.h5")
    assert read.tolist() == embedding.tolist()
    assert tiles.to_dict("list") == TILES.to_dict("list")
    assert about == {"kind": "trained", "seed": 1}


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        space_file.write_embeddings(tmp_path / name, np.ones((2, 3), np.float32), TILES, {"seed": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_embeddings_that_are_not_finite_or_not_one_per_tile_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would hold 1 values that are not"):
        space_file.write_embeddings(tmp_path / "a.h5", np.array([[1, np.nan], [0, 0]], np.float32), TILES, {})
    with pytest.raises(InputError, match="got 3 rows for 2 tiles"):
        space_file.write_embeddings(tmp_path / "a.h5", np.ones((3, 2), np.float32), TILES, {})
    assert not (tmp_path / "a.h5").exists()


def test_an_unfinished_file_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    space_file.write_embeddings(path, np.ones((2, 2), np.float32), TILES, {})
    with pytest.raises(InputError, match="must be a complete file of kind 'features'; its kind is 'embeddings'"):
        store.open_features(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]
    with pytest.raises(InputError, match="must be a complete file of kind 'embeddings'"):
        space_file.read_embeddings(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_what_is_no_hdf5_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5: must be a readable HDF5 file"):
        space_file.read_embeddings(path)


# --- features -----------------------------------------------------------------------------------------------------

FRAMES = np.arange(60, dtype=np.float16).reshape(30, 2)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    write_store(tmp_path / "f.h5", FRAMES, [0, 10, 10, 30], ["a", "empty", "b"], {})
    return tmp_path / "f.h5"


def test_tiles_are_copied_out_of_the_store(features: Path) -> None:
    tiles = store.open_features(features).tiles(np.array([[0, 5], [10, 22]]), 3)
    assert (tiles.shape, tiles.dtype) == ((2, 2, 3, 2), np.float16)
    assert tiles[1, 1].tolist() == FRAMES[22:25].tolist()


def test_a_damaged_clip_is_told_when_it_is_read_and_the_others_are_not(features: Path) -> None:
    content = features.read_bytes()
    at = content.index(FRAMES.tobytes()) + 2 * 2 * 25
    features.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    opened = store.open_features(features)
    assert opened.tiles(np.array([0, 5]), 3).shape == (2, 3, 2)
    for _ in range(2):
        with pytest.raises(InputError, match=r"f\.h5: must hold the frames that were written; those of clip 'b'"):
            opened.tiles(np.array([5, 10]), 3)


def test_a_store_without_crcs_is_refused(features: Path) -> None:
    with h5py.File(features, "r+") as file:
        del file["crc"]
    with pytest.raises(InputError, match="crc must be there"):
        store.open_features(features)
