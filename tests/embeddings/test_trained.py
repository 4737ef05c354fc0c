"""Every tile of every clip has its row, and the reference spaces are what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import RunSettings
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_text_table, write_table
from lambdascape.embeddings import space_file
from lambdascape.embeddings.trained import embed_mean_logmel, embed_trained
from lambdascape.features import store
from lambdascape.models.network import build_embedder, save_embedder
from support.networks import NETWORK, TRAINING
from support.stores import write_store

pytestmark = pytest.mark.usefixtures("shallow_network")

RECIPE = {"sr": 1000, "win_length": 20, "hop_length": 10, "n_mels": 16}
SETTINGS = RunSettings.of(
    {
        "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
        "network": NETWORK,
        "training": TRAINING,
    }
)
LENGTHS = [119, 38, 39, 79]  # frames: two tiles of 39 with 40 from start to start, none, one, two


@pytest.fixture
def audio(tmp_path: Path) -> tuple[Path, Path]:
    names = [f"clip{i}" for i in range(4)]
    frames = np.random.default_rng(3).normal(size=(sum(LENGTHS), 16)).astype(np.float16)
    write_store(tmp_path / "features.h5", frames, [0, *np.cumsum(LENGTHS)], names, {"recipe": RECIPE})
    columns = {"clip": names, "moment": names, "session": ["b", "a", "a", "NA"], "node": "", "fold": "f", "label": "x"}
    write_table(pd.DataFrame(columns), tmp_path / "clips.tsv")
    return tmp_path / "features.h5", tmp_path / "clips.tsv"


def test_mean_logmel_equals_the_mean_of_each_tile(audio: tuple[Path, Path], tmp_path: Path) -> None:
    embed_mean_logmel(*audio, 0.4, tmp_path / "space.h5")
    embedding, tiles, about = space_file.read_embeddings(tmp_path / "space.h5")
    features = store.open_features(audio[0])
    assert about == {"kind": "mean_logmel"}
    assert sorted(zip(tiles["clip"], tiles["start_s"], strict=True)) == [
        ("clip0", 0.0), ("clip0", 0.4), ("clip0", 0.8), ("clip2", 0.0), ("clip3", 0.0), ("clip3", 0.4),
    ]  # fmt: skip
    for point, clip, start_s in zip(embedding, tiles["clip"], tiles["start_s"], strict=True):
        first = features.clip_start[features.clips.index(clip)] + round(start_s * 100)
        np.testing.assert_allclose(point, features.frames[first : first + 39].astype(float).mean(axis=0), atol=1e-5)
    assert set(tiles["session"]) == {"a", "b", "NA"}


def test_a_trained_space_is_the_network_in_inference_mode(audio: tuple[Path, Path], tmp_path: Path) -> None:
    weights, seed = tmp_path / "embedder.weights.h5", 5
    embedder = build_embedder(39, 16, SETTINGS.network, seed)
    embedder.set_weights([w + 0.05 for w in embedder.get_weights()])
    save_embedder(embedder, {"settings": SETTINGS.plain(), "seed": seed}, weights)
    embed_trained(*audio, weights, SETTINGS, seed, tmp_path / "trained.h5")
    trained, tiles, about = space_file.read_embeddings(tmp_path / "trained.h5")
    assert about["kind"] == "trained"
    features = store.open_features(audio[0])
    starts = [
        features.clip_start[features.clips.index(c)] + round(s * 100)
        for c, s in zip(tiles["clip"], tiles["start_s"], strict=True)
    ]
    inputs = np.stack([features.frames[start : start + 39] for start in starts]).astype(np.float32)[..., None]
    np.testing.assert_allclose(trained, embedder(inputs, training=False), atol=1e-5)


def test_clips_that_are_all_too_short_are_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"at least one tile \(2.0 s\); all 4 are shorter"):
        embed_mean_logmel(*audio, 2.0, tmp_path / "space.h5")


def test_a_manifest_in_another_order_is_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.tsv"
    write_table(read_text_table(audio[1]).iloc[::-1], other)
    with pytest.raises(InputError, match="must list the clips of the feature store in its order"):
        embed_mean_logmel(audio[0], other, 0.4, tmp_path / "space.h5")
