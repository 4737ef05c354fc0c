"""The pictures of the data show what the manifest and the store hold, with labels and without."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lambdascape.core.tsv import write_table
from lambdascape.features import store
from lambdascape.figures.dataset import by_class, dataset_figure, plot_dataset
from lambdascape.figures.tiles import MOST_CLASSES, PER_CLASS, choose, plot_tiles, tiles_figure
from support.stores import write_store

RECIPE = {"sr": 1000, "win_length": 20, "hop_length": 10, "fmin": 50, "fmax": 500, "log_offset": 1e-6}
NO_REJECTS = pd.DataFrame({"path": [], "rule": []}, dtype=str)


def manifest(labels: list[str], clips_per_session: int = 2) -> pd.DataFrame:
    """One clip per label, in sessions of consecutive clips, of 1, 2, 3, 1, 2, 3, … s."""
    count = len(labels)
    table = {"clip": [f"c{i}" for i in range(count)], "label": labels}
    sessions = [f"s{i // clips_per_session}" for i in range(count)]
    frames = [str(1000 * (1 + i % 3)) for i in range(count)]
    return pd.DataFrame(table | {"session": sessions, "frames": frames, "rate": "1000"})


def stored(clips: pd.DataFrame, folder: Path) -> store.Features:
    """A store in which every value of a clip's frames is the clip's number."""
    lengths = clips["frames"].astype(int) // 10
    frames, starts = np.repeat(np.arange(len(clips)), lengths)[:, None].repeat(8, axis=1), [0, *np.cumsum(lengths)]
    write_store(folder / "features.h5", frames, starts, clips["clip"].tolist(), {"recipe": RECIPE})
    return store.open_features(folder / "features.h5")


def words_of(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def widths(figure: Figure, panel: int) -> list[float]:
    return [float(bar.get_width()) for bar in figure.axes[panel].patches]  # type: ignore[attr-defined]


def test_the_bars_are_the_clips_and_sessions_of_each_class() -> None:
    clips = manifest(["rain"] * 4 + ["dog"] * 2 + [""] * 2)
    counted = by_class(clips)
    assert counted.index.tolist() == ["dog", "rain", "no label"]
    figure = dataset_figure(clips, NO_REJECTS)
    assert widths(figure, 0) == [2, 4, 2] == counted["clips"].tolist()
    assert widths(figure, 1) == [1, 2, 1] == counted["sessions"].tolist()
    assert sum(bar.get_height() for bar in figure.axes[2].patches) == 8  # type: ignore[attr-defined]
    assert {"8 clips, 4 sessions, 0 minutes", "Rejected files: none"} <= set(words_of(figure))


def test_rejects_are_counted_by_rule_the_most_frequent_first() -> None:
    rules = ["b"] * 2 + ["a"] + [f"rule {i}" for i in range(9)] + ["c"] * 5
    figure = dataset_figure(manifest([""] * 17), pd.DataFrame({"path": "x", "rule": rules}))
    assert widths(figure, 3)[:3] == [5, 2, 1]
    assert sum(widths(figure, 3)) == len(rules) == 17
    assert {"Rejected files: 17 (50.0%)", "other rules", "no label"} <= set(words_of(figure))


def test_clips_of_one_length_and_many_classes_are_told_in_words() -> None:
    clips = manifest([f"class {i:03}" for i in range(70)]).assign(frames="5000")
    words = words_of(dataset_figure(clips, NO_REJECTS))
    assert "all 5 s" in words
    assert any(text.endswith("the 60 largest of 70 classes") for text in words)


def test_tiles_come_from_their_class_and_from_different_sessions(tmp_path: Path) -> None:
    clips = manifest(["rain"] * 12 + ["dog"] * 4)
    features = stored(clips, tmp_path)
    rows = dict(choose(clips, features, 99))
    assert {name: len(starts) for name, starts in rows.items()} == {"dog": 4, "rain": 4}
    for name, starts in rows.items():
        first, last = features.frames[starts, 0].astype(int), features.frames[starts + 98, 0].astype(int)
        assert (first == last).all()  # no tile reaches beyond its clip
        assert set(clips["label"].iloc[first]) == {name}
    assert clips["session"].iloc[features.frames[rows["rain"], 0].astype(int)].nunique() == PER_CLASS
    again = dict(choose(clips, features, 99))
    assert all(np.array_equal(again[name], starts) for name, starts in rows.items())


def test_clips_shorter_than_a_tile_are_left_out_and_classes_are_the_largest(tmp_path: Path) -> None:
    clips = manifest([f"class {i % 15:02}" for i in range(45)] + ["class 14"] * 3)
    features = stored(clips, tmp_path)
    rows = choose(clips, features, 250)  # only clips of 3 s hold it
    held = set(clips.loc[clips["frames"] == "3000", "label"])
    assert {name for name, _ in rows} <= held
    assert len(choose(clips, features, 50)) == MOST_CLASSES
    assert "class 14" in dict(choose(clips, features, 50))
    assert choose(clips, features, 400) == []
    assert "No clip is as long as a tile." in words_of(tiles_figure([], features, 4.0))


@pytest.mark.slow
@pytest.mark.parametrize("labels", [["rain", "dog"] * 6, [""] * 12, [""]], ids=["labelled", "unlabelled", "one clip"])
def test_both_pictures_are_written_with_and_without_labels(tmp_path: Path, labels: list[str]) -> None:
    clips = manifest(labels)
    features = stored(clips, tmp_path)
    write_table(clips, tmp_path / "clips.tsv")
    write_table(NO_REJECTS, tmp_path / "rejected.tsv")
    plot_dataset(*(tmp_path / n for n in ("clips.tsv", "rejected.tsv", "dataset.svg", "dataset.png")), True)
    plot_tiles(*(tmp_path / n for n in ("features.h5", "clips.tsv")), 0.5, tmp_path / "t.svg", tmp_path / "t.png", True)
    assert all((tmp_path / name).stat().st_size > 2000 for name in ("dataset.svg", "dataset.png", "t.svg", "t.png"))
    titles = words_of(tiles_figure(choose(clips, features, 49), features, 0.5))
    assert ("A few tiles of each class" in titles) == bool(labels[0])


def test_silence_takes_no_part_of_the_colour_scale(tmp_path: Path) -> None:
    clips = manifest(["rain"] * 4)
    features = stored(clips, tmp_path)
    silent = features.frames.copy()
    silent[:100] = np.float16(np.log(1e-6))
    write_store(tmp_path / "silent.h5", silent, features.clip_start, features.clips, features.about)
    figure = tiles_figure(choose(clips, features, 99), store.open_features(tmp_path / "silent.h5"), 1.0)
    pictures = [image for axes in figure.axes for image in axes.images]
    assert len(pictures) == 4
    assert {image.get_clim() for image in pictures} == {(1.0, 3.0)}
