import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from features.test_logmel import SMALL, waveform
from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.core.files import content_digest
from lambdascape.core.tsv import iterate_rows, write_table
from lambdascape.features import extraction, store
from lambdascape.features.decode import read_mono
from lambdascape.features.logmel import frames_of, log_mel

RECIPE = FeatureRecipe.of(SMALL)
LENGTHS = (8000, 150, 4321, 200, 16000, 199, 0)  # samples; three are shorter than a window


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips of ragged lengths and their manifest."""
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for number, samples in enumerate(LENGTHS):
        soundfile.write(root / f"{number}.wav", waveform(2)[::-1][:samples], 16000)
        content = content_digest(root / f"{number}.wav")
        header = {"rate": 16000, "frames": samples, "content": content}
        rows.append({"clip": f"é {number}", "path": f"{number}.wav", "channel": ""} | header)
    write_table(pd.DataFrame(rows), root / "clips.tsv")
    return root


def build(dataset: Path, folder: Path, n_shards: int) -> Path:
    shards = [folder / f"{shard}.h5" for shard in range(n_shards)]
    for shard, path in enumerate(shards):
        extraction.extract_shard(dataset / "clips.tsv", dataset, RECIPE, shard, n_shards, path)
    extraction.consolidate(dataset / "clips.tsv", shards, folder / "features.h5")
    return folder / "features.h5"


def test_the_store_holds_what_is_computed_directly(dataset: Path, tmp_path: Path) -> None:
    stored = store.open_features(build(dataset, tmp_path, 3))
    assert stored.clips == [f"é {number}" for number in range(len(LENGTHS))]
    assert stored.about["recipe"] == SMALL
    assert stored.about["resampling"] == "soxr HQ"
    assert stored.frames.dtype == np.float16
    assert len(stored.frames) == stored.clip_start[-1]
    for number, samples in enumerate(LENGTHS):
        frames = stored.frames[stored.clip_start[number] : stored.clip_start[number + 1]]
        direct = log_mel(
            np.concatenate([np.empty(0, np.float32), *read_mono(dataset / f"{number}.wav", 16000)]), RECIPE
        )
        assert len(frames) == frames_of(samples, RECIPE)
        # float16 has 11 bits: below 16 it rounds by at most 2^-8, which is 0.034 dB.
        assert np.abs(frames.astype(np.float32) - direct).max(initial=0) <= 2**-8


def test_the_number_of_shards_changes_nothing(dataset: Path, tmp_path: Path) -> None:
    digests = {hashlib.sha256(build(dataset, tmp_path / str(n), n).read_bytes()).hexdigest() for n in (1, 2, 7, 9)}
    assert len(digests) == 1


def test_the_order_of_the_clips_in_the_shards_changes_nothing(dataset: Path, tmp_path: Path) -> None:
    stored = store.open_features(build(dataset, tmp_path, 2))
    rows = list(iterate_rows(dataset / "clips.tsv"))
    shards = [tmp_path / "0 mixed.h5", tmp_path / "1 mixed.h5"]
    for shard, share in zip(shards, (rows[5:0:-2], [*rows[::2], rows[1]]), strict=True):
        extraction.write_shard(share, dataset, RECIPE, shard)
    extraction.consolidate(dataset / "clips.tsv", shards, tmp_path / "mixed.h5")
    mixed = store.open_features(tmp_path / "mixed.h5")
    assert mixed.frames.tobytes() == stored.frames.tobytes()
    assert (mixed.clips, mixed.clip_start.tolist()) == (stored.clips, stored.clip_start.tolist())


def test_shards_must_hold_the_manifests_clips(dataset: Path, tmp_path: Path) -> None:
    build(dataset, tmp_path, 2)
    shards = [tmp_path / "0.h5", tmp_path / "1.h5"]
    with pytest.raises(InputError, match=r"some shard must hold \d\.wav; none does"):
        extraction.consolidate(dataset / "clips.tsv", shards[:1], tmp_path / "wrong.h5")
    other = RECIPE.model_copy(update={"fmax": 7000.0})
    extraction.extract_shard(dataset / "clips.tsv", dataset, other, 1, 2, shards[1])
    with pytest.raises(InputError, match="share one recipe"):
        extraction.consolidate(dataset / "clips.tsv", shards, tmp_path / "wrong.h5")
    assert not (tmp_path / "wrong.h5").exists()


def test_clips_that_are_all_too_short_are_refused(dataset: Path, tmp_path: Path) -> None:
    long = RECIPE.model_copy(update={"win_length": 40000, "n_fft": 65536})
    extraction.extract_shard(dataset / "clips.tsv", dataset, long, 0, 1, tmp_path / "0.h5")
    with pytest.raises(InputError, match="40000 samples; none is"):
        extraction.consolidate(dataset / "clips.tsv", [tmp_path / "0.h5"], tmp_path / "features.h5")


def test_a_file_that_is_not_the_manifests_is_named(dataset: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "0.wav", np.zeros(LENGTHS[0]), 16000)
    for message in (r"0\.wav: must be the file that the manifest saw", r"0\.wav: must be readable"):
        with pytest.raises(InputError, match=message):
            extraction.extract_shard(dataset / "clips.tsv", tmp_path, RECIPE, 0, 1, tmp_path / "0.h5")
        assert not (tmp_path / "0.h5").exists()
        (tmp_path / "0.wav").unlink(missing_ok=True)
