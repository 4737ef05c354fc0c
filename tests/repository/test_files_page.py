"""What docs/reference/files.md says about the store is true."""

import re
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core import hdf5
from lambdascape.core.files import file_digest, write_digest
from lambdascape.core.tsv import write_table
from lambdascape.features import store
from lambdascape.features.extraction import consolidate
from lambdascape.features.tile_grid import seconds_to_frames, tile_frames
from support.stores import write_store


@pytest.fixture
def page(repo: Path) -> str:
    return (repo / "docs/reference/files.md").read_text(encoding="utf-8")


@pytest.fixture
def recipe(repo: Path) -> dict[str, object]:
    settings = yaml.safe_load((repo / "config.yaml").read_text())["features"]
    return {key: value for key, value in settings.items() if key != "n_shards"}


@pytest.fixture
def made(tmp_path: Path, recipe: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of two clips of 10 s, made as the workflow makes it, in the working directory."""
    monkeypatch.chdir(tmp_path)
    clips = ["DevNode1_ex1_0", "DevNode1_ex1_1"]
    write_table(pd.DataFrame({"clip": clips, "path": clips, "channel": ""}), "clips.tsv")
    frames = np.random.default_rng(1).normal(size=(998, 40))
    write_store("shard.h5", frames, [0, 499, 998], clips, {"recipe": recipe, "fft": "scipy"})
    consolidate("clips.tsv", ["shard.h5"], "features.h5")
    return tmp_path / "features.h5"


def test_the_example_reads_a_tile_in_six_lines(made: Path, page: str, recipe: dict[str, object]) -> None:
    (example,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 6
    found: dict[str, np.ndarray] = {}
    exec(example, found)
    start = 499 + seconds_to_frames(4.0, FeatureRecipe.of(recipe))
    features = store.open_features(made)
    expected = features.tiles(np.array(start), tile_frames(2.0, features.recipe))
    assert expected.shape == (99, 40)
    np.testing.assert_array_equal(found["tile"], expected)


def test_the_frames_lie_in_one_piece_and_the_store_says_from_what_they_are(made: Path) -> None:
    with h5py.File(made, "r") as file:
        frames = file["frames"]
        assert [file[name].dtype.str for name in ("frames", "clip_start", "crc")] == ["<f2", "<i8", "<u4"]
        assert frames.chunks is None
        assert frames.compression is None
        assert frames.id.get_offset() is not None
        text = h5py.check_string_dtype(file["clip"].dtype)
        assert (text.encoding, text.length) == ("utf-8", None)
        assert file.attrs["complete"] == 1
        assert hdf5.about(file)["manifest"] == file_digest("clips.tsv")


def test_the_digest_is_checked_by_the_command_of_the_page(made: Path, page: str) -> None:
    write_digest(made, f"{made}.sha256")
    command = "sha256sum --check features.h5.sha256"
    assert f"`{command}`" in page
    assert subprocess.run(command.split(), cwd=made.parent, capture_output=True, check=False).returncode == 0
