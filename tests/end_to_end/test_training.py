"""Training: λ really shrinks the weights, the terms are logged apart, passes have their own statistics, all repeats."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import Network, RunSettings, Training
from lambdascape.core import hdf5
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.features import store
from lambdascape.models import run_triplets
from lambdascape.models.batches import Batches
from lambdascape.models.network import build_embedder, load_embedder
from lambdascape.models.training import PARTS, TEXT_COLUMNS, make_optimiser, stalled, train
from lambdascape.models.triplet_model import TripletModel
from support.networks import NETWORK, TRAINING, shallow, triplet_model
from support.stores import RECIPE, write_clips, write_store

pytestmark = pytest.mark.usefixtures("shallow_network")

SETTINGS: dict[str, Any] = {
    "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.8, "distant": "other_clip"},
    "network": NETWORK,
    "training": TRAINING | {"epochs": 2},
}


def changed(**values: Any) -> dict[str, Any]:
    return {block: {key: values.get(key, old) for key, old in keys.items()} for block, keys in SETTINGS.items()}


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_clips(tmp_path_factory.mktemp("audio"), 12, held_out=4)


def trained(audio: tuple[Path, Path], folder: Path, settings: dict[str, Any], seed: int = 1) -> None:
    products = (folder / name for name in ("embedder.weights.h5", "history.tsv", "layers.tsv", "checkpoint.h5"))
    train(*audio, "b", RunSettings.of(settings), seed, *products, code="code")


@pytest.fixture(scope="module")
def run(audio: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run by SETTINGS, without a penalty, and seed 1."""
    folder = tmp_path_factory.mktemp("run")
    with shallow():
        trained(audio, folder, SETTINGS)
    return folder


def weights_of(folder: Path, settings: dict[str, Any], seed: int = 1) -> list[np.ndarray]:
    embedder = build_embedder(39, 16, Network.of(settings["network"]), seed)
    load_embedder(embedder, {"settings": settings, "seed": seed}, folder / "embedder.weights.h5")
    return [w for layer in embedder.layers if isinstance(layer, keras.layers.Conv2D) for w in layer.get_weights()]


def test_l2_shrinks_the_weights_and_the_terms_add_up(run: Path, audio: tuple[Path, Path], tmp_path: Path) -> None:
    trained(audio, tmp_path, changed(l2=10.0))
    norms = []
    for l2, folder in ((0.0, run), (10.0, tmp_path)):
        history = read_table(folder / "history.tsv", text=TEXT_COLUMNS)
        weights = weights_of(folder, changed(l2=l2))
        squares = sum(float(np.sum(np.square(w.astype(np.float64)))) for w in weights)
        norms.append(squares)
        held_out = history[history["split"] == "test"].iloc[-1]
        assert held_out["penalty"] == pytest.approx(l2 * squares, rel=1e-4)
        np.testing.assert_allclose(history["total"], history["loss"] + history["penalty"], rtol=1e-5)
    assert norms[0] > norms[1]


def test_history_has_one_row_per_epoch_and_split_with_means_that_fit_together(run: Path) -> None:
    history = read_table(run / "history.tsv", text=TEXT_COLUMNS)
    assert list(zip(history["epoch"], history["split"], strict=True)) == [
        (1, "train"), (1, "train_inference"), (1, "test"), (2, "train"), (2, "train_inference"), (2, "test"),
    ]  # fmt: skip
    np.testing.assert_allclose(history["loss_nonzero"] * history["active_fraction"], history["loss_all"], rtol=1e-4)
    assert (history["d_neighbour"].between(0, 4) & history["d_distant"].between(0, 4)).all()


def test_the_same_seed_gives_the_same_weights_to_the_bit(run: Path, audio: tuple[Path, Path], tmp_path: Path) -> None:
    trained(audio, tmp_path / "again", SETTINGS)
    trained(audio, tmp_path / "other", SETTINGS, seed=2)
    first, again = weights_of(run, SETTINGS), weights_of(tmp_path / "again", SETTINGS)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = weights_of(tmp_path / "other", SETTINGS, 2)
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_training_reads_no_clip_of_the_held_out_fold_and_stops_before_it_would(
    audio: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M2: the tiles that are learned from, batch by batch, in every epoch."""
    learned: set[int] = set()
    fitting: list[bool] = []
    fit = TripletModel.fit

    def watched(model: TripletModel, batches: Any, **options: Any) -> Any:
        fitting.append(True)
        result = fit(model, batches, **options)
        fitting.pop()
        return result

    class Recorded(Batches):
        def __getitem__(self, number: int) -> tuple[np.ndarray]:
            if fitting:
                frames = self.starts[number * self.size : (number + 1) * self.size]
                learned.update(int(frame) // 119 for frame in frames.flat)
            return super().__getitem__(number)

    monkeypatch.setattr(TripletModel, "fit", watched)
    monkeypatch.setattr("lambdascape.models.training.Batches", Recorded)
    trained(audio, tmp_path / "right", SETTINGS)
    assert learned == set(range(8))  # of the fold that is not held out: all of its clips and no other
    draw = run_triplets.sample_triplets

    def leaking(tiles: Any, neighbourhood: int, distant: str, seed: int, epoch: int, split: str) -> Any:
        starts, rows = draw(tiles, neighbourhood, distant, seed, epoch, split)
        if split == "train":
            starts[0, 2] = 9 * 119
        return starts, rows

    monkeypatch.setattr(run_triplets, "sample_triplets", leaking)
    learned.clear()
    with pytest.raises(InputError, match="must lie in one clip of the train split"):
        trained(audio, tmp_path / "wrong", SETTINGS)
    assert not learned


def histories(folder: Path) -> pd.DataFrame:
    return read_table(folder / "history.tsv", text=TEXT_COLUMNS).drop(columns="seconds")


def test_frames_that_the_accelerator_holds_give_the_same_weights_to_the_bit(
    run: Path, audio: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[np.ndarray] = []

    class Watched(Batches):
        def __getitem__(self, number: int) -> tuple[np.ndarray]:
            sent.append(super().__getitem__(number)[0])
            return (sent[-1],)

    monkeypatch.setattr("lambdascape.models.training.Batches", Watched)
    monkeypatch.setattr("lambdascape.jobs.devices.holds", lambda size: True)
    trained(audio, tmp_path, SETTINGS)
    assert {(batch.shape[1:], batch.dtype.name) for batch in sent} == {((3,), "int32")}
    for first, second in zip(weights_of(run, SETTINGS), weights_of(tmp_path, SETTINGS), strict=True):
        np.testing.assert_array_equal(first, second)
    assert histories(run).equals(histories(tmp_path))


@pytest.mark.parametrize("held", [True, False], ids=["held by the accelerator", "sent to it"])
def test_damaged_frames_end_a_training_by_name(
    audio: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    data = bytearray(audio[0].read_bytes())
    with store.h5py.File(audio[0]) as file:
        data[file["frames"].id.get_offset() + 5000] ^= 1
    (tmp_path / "features.h5").write_bytes(data)
    monkeypatch.setattr("lambdascape.jobs.devices.holds", lambda size: held)
    with pytest.raises(InputError, match=r"those of clip 'clip\d+' are damaged"):
        trained((tmp_path / "features.h5", audio[1]), tmp_path, SETTINGS)


def test_more_epochs_go_on_from_the_last_one_and_end_where_one_run_does(
    run: Path, audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(audio, tmp_path, changed(epochs=1))
    assert "going on" not in capsys.readouterr().out
    trained(audio, tmp_path, SETTINGS)
    assert "going on after epoch 1" in capsys.readouterr().out
    pd.testing.assert_frame_equal(histories(tmp_path), histories(run), check_exact=True)
    pairs = zip(weights_of(tmp_path, SETTINGS), weights_of(run, SETTINGS), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_checkpoint_of_another_l2_is_not_used(
    run: Path, audio: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(audio, tmp_path, changed(l2=10.0, epochs=1))
    trained(audio, tmp_path, SETTINGS)
    assert "must be of the same settings, data and code" in capsys.readouterr().out
    pd.testing.assert_frame_equal(histories(tmp_path), histories(run), check_exact=True)


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_batch_statistics_follow_from_the_passes(passes: str) -> None:
    """With two roles alike and one far off, the stem's moving mean tells which tiles were normalised together."""
    embedder = build_embedder(39, 16, Network.of(NETWORK | {"dropout": 0.0}), 1, PARTS[passes])
    stem = keras.Model(embedder.input, embedder.get_layer("stem_conv").output)
    tiles = np.random.default_rng(4).normal(size=(8, 3, 39, 16)).astype(np.float32) * [[[[1]], [[1]], [[9]]]]
    model = triplet_model(embedder)
    outputs = np.asarray(model(tiles.astype(np.float32), training=True))
    maps = np.stack([np.asarray(stem(tiles[:, role, ..., None])) for role in range(3)])  # (role, triplet, ...)
    mean, variance = np.zeros(2), np.ones(2)
    groups = maps.reshape(3, -1, 2) if passes == "separate" else maps.reshape(1, -1, 2)
    for group in groups:
        mean = 0.99 * mean + 0.01 * group.mean(axis=0)
        variance = 0.99 * variance + 0.01 * group.var(axis=0)
    norm = embedder.get_layer("stem_norm")
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)
    assert outputs.shape == (8, 3, 4)


@pytest.mark.parametrize(
    ("training", "steps", "expected"),
    [
        ({"learning_rate": 1e-5, "lr_schedule": "exponential", "lr_decay_steps": 7500, "lr_decay_rate": 0.95}, 1,
         {0: 1e-5, 7499: 1e-5, 7500: 0.95e-5, 15000: 0.95**2 * 1e-5}),
        ({"learning_rate": 1e-3, "lr_schedule": "cosine"}, 100, {0: 1e-3, 50: 5e-4, 100: 0}),
    ],
    ids=["stairs as published", "cosine to zero"],
)  # fmt: skip
def test_the_rate_follows_its_schedule(training: dict[str, Any], steps: int, expected: dict[int, float]) -> None:
    optimiser = make_optimiser(Training(**training), steps)
    for step, rate in expected.items():
        optimiser.iterations.assign(step)
        assert float(optimiser.learning_rate) == pytest.approx(rate, rel=1e-6)


def test_weight_decay_shrinks_kernels_by_the_rate_and_leaves_the_rest_alone() -> None:
    embedder = build_embedder(39, 16, Network.of(NETWORK), 1)
    optimiser = make_optimiser(Training(learning_rate=0.1, weight_decay=0.5), 1)
    before = [variable.numpy() for variable in embedder.trainable_variables]
    optimiser.apply([np.zeros_like(values) for values in before], embedder.trainable_variables)
    for variable, values in zip(embedder.trainable_variables, before, strict=True):
        factor = 1 - 0.1 * 0.5 if variable.name == "kernel" else 1
        np.testing.assert_allclose(variable.numpy(), factor * values, rtol=1e-6)


def hinges(*values: float) -> list[dict[str, Any]]:
    return [{"split": split, "loss_all": value} for value in values for split in ("train", "test")]


@pytest.mark.parametrize(
    ("values", "patience", "expected"),
    [((0.9, 0.5, 0.6, 0.5), 2, True), ((0.9, 0.5, 0.6), 2, False), ((0.9, 0.5, 0.6, 0.4), 2, False),
     ((0.5, 0.6, 0.7), None, False), ((), 1, False)],
)  # fmt: skip
def test_training_stalls_after_so_many_epochs_without_a_new_low(
    values: tuple[float, ...], patience: int | None, expected: bool
) -> None:
    assert stalled(hinges(*values), patience) is expected


def test_early_stopping_ends_a_training_that_cannot_learn(audio: tuple[Path, Path], tmp_path: Path) -> None:
    trained(audio, tmp_path, changed(epochs=9, early_stopping=1, learning_rate=1e-12, margin=1000.0, dropout=0.0))
    assert read_table(tmp_path / "history.tsv", text=TEXT_COLUMNS)["epoch"].max() < 9


def trained_on_still_clips(folder: Path, frames: np.ndarray) -> pd.DataFrame:
    """The history of a training on clips of one frame each, shape (clip, mel); the last third is held out."""
    names = [f"clip{i}" for i in range(len(frames))]
    still, held_out = np.repeat(frames, 119, axis=0), len(names) // 3
    write_store(folder / "features.h5", still, np.arange(len(names) + 1) * 119, names, {"recipe": RECIPE})
    folds = ["a"] * (len(names) - held_out) + ["b"] * held_out
    write_table(pd.DataFrame({"clip": names, "session": names, "fold": folds}), folder / "clips.tsv")
    trained((folder / "features.h5", folder / "clips.tsv"), folder, changed(dropout=0.0))
    return read_table(folder / "history.tsv", text=TEXT_COLUMNS)


def test_a_space_in_which_all_tiles_are_alike_is_flagged_in_the_history(tmp_path: Path) -> None:
    history = trained_on_still_clips(tmp_path, np.ones((6, 16)))
    assert history["collapsed"].tolist() == [1] * 6
    assert history["at_rest"].tolist() == [0] * 6


def test_an_anchor_that_is_its_neighbour_gives_finite_numbers(tmp_path: Path) -> None:
    history = trained_on_still_clips(tmp_path, np.random.default_rng(4).normal(size=(12, 16)))
    assert history["d_neighbour"].max() < 1e-6
    assert np.isfinite(history["total"]).all()


def test_event_files_hold_the_numbers_of_the_history(audio: tuple[Path, Path], tmp_path: Path) -> None:
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(audio, tmp_path, changed(tensorboard=True))
    history = read_table(tmp_path / "history.tsv", text=TEXT_COLUMNS)
    for split, rows in history.groupby("split"):
        (file,) = (tmp_path / "tensorboard" / str(split)).iterdir()
        events = EventAccumulator(str(file)).Reload()
        for name in ("penalty", "loss"):
            shown = events.Tensors(name)
            assert [event.step for event in shown] == rows["epoch"].tolist()
            values = [float(tf.make_ndarray(event.tensor_proto)) for event in shown]
            assert values == pytest.approx(rows[name].tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("pass_over_the_data", "batch", "named", "kept"),
    [(1, 0, "epoch 1, train batch 1", 0), (5, 1, "epoch 2, train batch 2", 1)],
)
def test_no_number_in_a_batch_is_named_and_the_last_good_state_kept(
    audio: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    pass_over_the_data: int, batch: int, named: str, kept: int,
) -> None:  # fmt: skip
    class Poisoned(Batches):
        passes = 0

        def __init__(self, *values: Any) -> None:
            super().__init__(*values)
            Poisoned.passes += 1
            self.number = Poisoned.passes

        def __getitem__(self, number: int) -> tuple[np.ndarray]:
            (tiles,) = super().__getitem__(number)
            return (np.full_like(tiles, np.nan) if (self.number, number) == (pass_over_the_data, batch) else tiles,)

    monkeypatch.setattr("lambdascape.models.training.Batches", Poisoned)
    with pytest.raises(InputError, match=f"it became nan in {named}"):
        trained(audio, tmp_path, changed(epochs=3))
    assert not (tmp_path / "embedder.weights.h5").exists()
    assert (tmp_path / "checkpoint.h5").exists() == bool(kept)
    if kept:
        with hdf5.open_checked(tmp_path / "checkpoint.h5", "checkpoint") as file:
            assert hdf5.about(file)["epoch"] == kept


def test_weights_broken_by_the_last_step_of_an_epoch_are_named_by_the_held_out_triplets(
    audio: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(TripletModel):
        def evaluate(self, *values: Any, **options: Any) -> Any:
            kernel = self.embedder.get_layer("embedding").kernel
            kernel.assign(np.full(kernel.shape, np.inf))
            return super().evaluate(*values, **options)

    monkeypatch.setattr("lambdascape.models.training.TripletModel", Broken)
    with pytest.raises(InputError, match="it became nan in epoch 1, test batch 1"):
        trained(audio, tmp_path, SETTINGS)
    assert not (tmp_path / "checkpoint.h5").exists()


def test_an_unknown_test_fold_is_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split.test_fold must be one of .* \(a, b\); got 'fold1'"):
        train(*audio, "fold1", RunSettings.of(SETTINGS), 1, *(tmp_path / name for name in "abcd"), code="code")


def test_a_manifest_of_other_clips_is_refused(audio: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "clips.tsv"
    other.write_text(audio[1].read_text().replace("clip03", "clip99"))
    with pytest.raises(InputError, match="must list the clips of the feature store in its order"):
        trained((audio[0], other), tmp_path, SETTINGS)
