import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from lambdascape.config.settings import Demo, ReadingSettings
from lambdascape.core.errors import InputError
from lambdascape.core.files import content_digest
from lambdascape.core.tsv import read_text_table
from lambdascape.datasets import candidates, demo, index, manifest
from support.replicas import TOLERANT

FOLDER = TOLERANT | {"adapter": "folder", "folds": 2}
DCASE = TOLERANT | {"adapter": "dcase2018_task5", "folds": 4}


def sound(path: Path, seed: int = 0, rate: int = 8000) -> None:
    """A short file of noise that no other seed makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng([9, seed]).uniform(-0.5, 0.5, 40), rate)


def make(root: Path, rows: list[dict[str, str]], audio: bool = True) -> Path:
    """A folder with a clips.csv of these rows, and audio for each of them."""
    root.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(root / "clips.csv", index=False)
    for seed, row in enumerate(rows if audio else []):
        sound(root / row["path"], seed)
    return root


def rows(count: int = 4, **columns: list[str]) -> list[dict[str, str]]:
    """Rows of a clips.csv: files by number, and the columns given."""
    return [{"path": f"{i}.wav"} | {name: values[i] for name, values in columns.items()} for i in range(count)]


def listed(root: Path, settings: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = root.parent / "out"
    manifest.list_clips(
        root, ReadingSettings.of(settings), out / "clips.tsv", out / "rejected.tsv", out / "warnings.tsv"
    )
    return read_text_table(out / "clips.tsv"), read_text_table(out / "rejected.tsv")


def warnings(root: Path) -> list[list[str]]:
    """The rows that `listed` wrote beside them."""
    return read_text_table(root.parent / "out/warnings.tsv").to_numpy().tolist()


def refused(root: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        listed(root, settings)
    assert not (root.parent / "out").exists()


# --- DCASE 2018 Task 5 ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in the layout: 9 sessions of 3 classes in 3 folds, on 2 nodes."""
    settings = {
        "seed": 3, "classes": ["absence", "cooking", "working"], "sessions_per_class": 3, "nodes": 2, "channels": 2,
        "clip_s": 0.05, "shortest_session": 1, "longest_session": 12, "folds": 3,
    }  # fmt: skip
    root = tmp_path_factory.mktemp("original") / "data"
    demo.synthesise(root, Demo.of(settings))
    return root


@pytest.fixture
def dcase(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(original, tmp_path / "data"))


def edit(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().split("\n"))))


def test_dcase_is_listed_whole_and_sorted_by_session_and_path_as_people_count(dcase: Path) -> None:
    clips, rejected = listed(dcase, DCASE)
    assert rejected.empty
    assert clips.columns.tolist() == manifest.COLUMNS
    assert len(clips) == len(list((dcase / "audio").iterdir()))
    assert clips["clip"].is_unique
    meta = dict(line.split("\t", 1) for line in (dcase / "meta.txt").read_text().split("\n"))
    keys = []
    for row in clips.to_dict("records"):
        keys.append((int(row["session"][1:]), int(row["node"]), int(row["moment"].split("_")[1])))
        assert row["path"] == f"audio/{row['clip']}.wav"
        assert row["clip"] == f"DevNode{row['node']}_{row['moment']}"
        assert meta[row["path"]] == f"{row['label']}\t{row['session']}"
        assert row["moment"].startswith(f"ex{row['session'][1:]}_")
        assert (row["rate"], row["channels"], row["frames"]) == ("16000", "2", "800")
        assert row["content"] == content_digest(dcase / row["path"])
        evaluated = (dcase / "evaluation_setup" / f"{row['fold']}_evaluate.txt").read_text()
        assert f"{row['path']}\t{row['label']}\n" in evaluated
    assert keys == sorted(keys)
    assert max(key[2] for key in keys) == 12


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("meta.txt", lambda lines: [*lines, "audio/a.wav\tworking"], "line .*must hold path, label, session"),
        ("meta.txt", lambda lines: [*lines, lines[0]], "listed once"),
        ("meta.txt", lambda lines: [*lines, "../a.wav\tworking\ts1"], "inside the data set's folder"),
        ("meta.txt", lambda lines: [*lines, "audio/DevNode1_ex99_1.wav\tworking\ts99"], "1 are in none"),
        ("meta.txt", lambda lines: lines[1:], "is not in it"),
        ("meta.txt", lambda lines: [], "it is empty"),
        ("fold1_test.txt", lambda lines: lines[1:], "1 are in none|must not train on sessions"),
        ("fold2_train.txt", lambda lines: lines[1:], "they differ in 1"),
        ("fold3_evaluate.txt", lambda lines: lines[1:], "they differ in 1"),
        ("fold3_evaluate.txt", lambda lines: [f"{lines[0].split(chr(9))[0]}\teating", *lines[1:]], "1 rows differ"),
        ("fold2_test.txt", lambda lines: ["audio/DevNode1_ex1_1.wav", *lines], "is in fold1 too"),
    ],
)
def test_dcase_index_files_must_agree(
    dcase: Path, file: str, change: Callable[[list[str]], list[str]], message: str
) -> None:
    edit(dcase / file if file == "meta.txt" else dcase / "evaluation_setup" / file, change)
    refused(dcase, DCASE, message)


# --- folders ----------------------------------------------------------------------------------------------


def test_a_folder_with_everything_is_taken_as_it_is(tmp_path: Path) -> None:
    table = [
        {"path": "b/10.wav", "label": "NA", "session": "01", "fold": "x", "node": "n", "moment": "m", "who": "me"},
        {"path": "b/9.wav", "label": " dog, big ", "session": "1", "fold": "y", "node": "", "moment": "", "who": ""},
        {"path": "b/é '\"2.wav", "label": "", "session": "1", "fold": "y", "node": "", "moment": "", "who": ""},
    ]
    clips, rejected = listed(make(tmp_path / "data", table), FOLDER)
    assert rejected.empty
    expected = [
        ("9", "b/9.wav", "dog, big", "1", "", "9", "y"),
        ("é '\"2", "b/é '\"2.wav", "", "1", "", "é '\"2", "y"),
        ("10", "b/10.wav", "NA", "01", "n", "m", "x"),
    ]
    found = clips[["clip", "path", "label", "session", "node", "moment", "fold"]].itertuples(index=False)
    assert sorted(map(tuple, found)) == sorted(expected)


def test_a_folder_without_a_table_is_unlabelled_audio(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for seed, name in enumerate(["a/1.wav", "a/2.flac", "b/1.ogg", "b/2.MP3", "b/deep/er/3.wav"]):
        sound(root / name, seed, rate=16000)
    (root / "notes.txt").write_text("no audio")
    clips, rejected = listed(root, FOLDER)
    assert rejected.empty
    assert clips["clip"].tolist() == ["a/1", "a/2", "b/1", "b/2", "b/deep/er/3"]
    assert clips["session"].tolist() == clips["moment"].tolist() == clips["clip"].tolist()
    assert set(clips["label"]) == {""}
    assert set(clips["fold"]) == {"fold1", "fold2"}


def test_clip_ids_keep_the_suffix_where_names_differ_in_it_alone(tmp_path: Path) -> None:
    for seed, name in enumerate(["1.wav", "1.flac", "2.wav"]):
        sound(tmp_path / "data" / name, seed)
    clips, _ = listed(tmp_path / "data", FOLDER)
    assert sorted(clips["clip"]) == ["1.flac", "1.wav", "2.wav"]


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    sound(tmp_path / "store" / "1.wav", 1)
    sound(tmp_path / "data" / "2.wav", 2)
    (tmp_path / "data" / "there").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "round").symlink_to(tmp_path / "data")
    clips, _ = listed(tmp_path / "data", FOLDER)
    assert clips["path"].tolist() == ["2.wav", "there/1.wav"]


@pytest.mark.parametrize("labels", [{"label": [f"c{i // 18}" for i in range(36)]}, {}])
def test_folds_are_made_by_session(tmp_path: Path, labels: dict[str, list[str]]) -> None:
    root = make(tmp_path / "data", rows(36, session=[f"s{i // 3}" for i in range(36)], **labels))
    clips, _ = listed(root, FOLDER | {"folds": 3})
    again, _ = listed(root, FOLDER | {"folds": 3})
    pd.testing.assert_frame_equal(clips, again)
    assert (clips.groupby("session")["fold"].nunique() == 1).all()
    assert clips["fold"].value_counts().to_dict() == {"fold1": 12, "fold2": 12, "fold3": 12}
    if labels:
        assert set(clips.groupby(["fold", "label"]).size()) == {6}


def test_every_fold_made_has_clips_even_when_labels_are_few_and_more_than_sessions_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "data", rows(6, label=["a", "b", "c", "d", "a", ""]))
    refused(root, FOLDER | {"folds": 7}, "number of sessions, 6, .*got 7")
    clips, _ = listed(root, FOLDER | {"folds": 6})
    assert set(clips["fold"]) == {f"fold{i}" for i in range(1, 7)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its columns are none"),
        ("file,label\n0.wav,a\n", "needs a column `path`"),
        ("path;label\n0.wav;a\n", "its columns are path;label"),
        ("path,path\n0.wav,1.wav\n", "no column twice"),
        ("path\n", "only a header"),
        ("path,label\n0.wav\n", "line 2: must have 2 values like the header; got 1"),
        ("path,label\n0.wav,a,b\n", "got 3"),
        ("path\n0.wav\n./0.wav\n", "listed once"),
        ("path\n0.wav\n../1.wav\n", "inside the data set's folder"),
        ("path\n/etc/0.wav\n", "inside the data set's folder"),
        ('path,label\n"",a\n', "inside the data set's folder"),
        ('path\n"0.wav\n', "comma-separated table"),
        ("path\n\udcff.wav\n", "UTF-8"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    root = make(tmp_path / "data", rows(2))
    (root / "clips.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(root, FOLDER, message)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(4, session=["a"] * 4), "all 4 clips are of 'a'"),
        (rows(4, label=["dog"] * 4), "a single class, 'dog'"),
        (rows(4, label=["dog", "", "", "dog"]), "Leave the labels out"),
        (rows(4, session=list("aabb"), fold=list("xyyy")), "session 'a' is in x and y"),
        (rows(4, fold=["x", "x", "y", ""]), "3.wav has none"),
        (rows(4, fold=["x"] * 4), "at least two folds"),
        (rows(4, moment=list("mmno"), session=list("abab")), "moment must share a session; those of moment 'm'"),
        (rows(4, moment=list("mmno"), session=list("aabb"), label=list("xyxy")), "share a label; .*'m'"),
        (rows(1), "at least two sessions"),
    ],
)
def test_what_no_study_can_be_made_of_is_refused(tmp_path: Path, table: list[dict[str, str]], message: str) -> None:
    refused(make(tmp_path / "data", table), FOLDER, message)


# --- files ------------------------------------------------------------------------------------------------


def test_a_cut_file_is_rejected_with_the_reason(tmp_path: Path) -> None:
    """Every other way in which a file cannot be used: tests/faults/test_audio.py."""
    root = make(tmp_path / "data", rows(4))
    (root / "1.wav").write_bytes((root / "1.wav").read_bytes()[:-1])
    (row,) = listed(root, FOLDER)[1].to_dict("records")
    assert (row["path"], row["rule"]) == ("1.wav", "the file must be as long as its header says")
    assert row["found"]
    assert row["expected"]


@pytest.mark.parametrize("name", ["tab\there.wav", "line\nbreak.wav", "bytes\udcff.wav"])
def test_names_that_no_table_can_hold_are_rejected(tmp_path: Path, name: str) -> None:
    root = tmp_path / "data"
    for seed, file in enumerate(["1.wav", "2.wav", name]):
        sound(root / "plain.wav", seed)
        (root / "plain.wav").rename(root / file)
    clips, rejected = listed(root, FOLDER)
    assert clips["clip"].tolist() == ["1", "2"]
    assert rejected["path"].tolist() == [candidates.shown(name)]
    assert candidates.shown(name).isprintable()


def test_a_label_that_no_table_can_hold_is_rejected(tmp_path: Path) -> None:
    _, rejected = listed(make(tmp_path / "data", rows(5, label=["a", "b", "a\tb", "b", "a"])), FOLDER)
    assert rejected[["path", "found"]].to_numpy().tolist() == [["2.wav", "control characters in its label"]]


def test_nothing_left_is_refused_with_the_reasons(tmp_path: Path) -> None:
    root = make(tmp_path / "data", rows(4), audio=False)
    refused(root, FOLDER, "all 4 were rejected. 0.wav: the file must exist")


def copied(tmp_path: Path, table: list[dict[str, str]], *pairs: str) -> Path:
    """A folder in which the first of each pair of numbers is a copy of the second."""
    root = make(tmp_path / "data", table)
    for copy, original in pairs:
        (root / f"{copy}.wav").write_bytes((root / f"{original}.wav").read_bytes())
    return root


def test_the_same_bytes_in_two_folds_are_refused(tmp_path: Path) -> None:
    root = copied(tmp_path, rows(4, fold=list("xxyy")), "30")
    refused(root, FOLDER, r"0\.wav \(x\) and 3\.wav \(y\) hold the same bytes")


def test_a_copy_in_the_same_fold_is_used_with_a_warning(tmp_path: Path) -> None:
    root = copied(tmp_path, rows(4, fold=list("xxyy")), "10")
    clips, rejected = listed(root, FOLDER)
    assert (len(clips), len(rejected)) == (4, 0)
    assert warnings(root) == [
        ["1.wav", "no two files should hold the same bytes", "those of 0.wav", "bytes of its own"]
    ]


def test_sessions_that_hold_the_same_bytes_are_one_so_that_no_split_parts_them(tmp_path: Path) -> None:
    """M1: validation is drawn from the sessions of a fold."""
    root = copied(tmp_path, rows(6, fold=list("xxxxyy"), session=list("abcdef")), "10", "32")
    sessions = listed(root, FOLDER)[0].set_index("path")["session"].to_dict()
    assert sessions == {f"{number}.wav": session for number, session in enumerate("aaccef")}


def test_silence_joins_no_sessions(tmp_path: Path) -> None:
    root = make(tmp_path / "data", rows(4, fold=list("xxyy"), session=list("abcd")))
    for name in ("0.wav", "1.wav"):
        soundfile.write(root / name, np.zeros(4000), 8000)
    clips, _ = listed(root, FOLDER)
    assert clips["session"].tolist() == list("abcd")


def test_a_copy_is_rejected_where_folds_are_made_which_could_part_it_from_its_original(tmp_path: Path) -> None:
    root = copied(tmp_path, rows(4), "10")
    clips, rejected = listed(root, FOLDER)
    assert clips["path"].tolist() == ["0.wav", "2.wav", "3.wav"]
    assert rejected[["path", "found"]].to_numpy().tolist() == [["1.wav", "those of 0.wav"]]
    assert warnings(root) == []


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_silence_is_used_with_a_warning(tmp_path: Path, suffix: str) -> None:
    root = make(tmp_path / "data", rows(3))
    soundfile.write(root / f"silence.{suffix}", np.zeros((30000, 2)), 8000)
    (root / "clips.csv").write_text(f"path\n0.wav\n1.wav\n2.wav\nsilence.{suffix}\n")
    clips, _ = listed(root, FOLDER)
    assert f"silence.{suffix}" in set(clips["path"])
    assert warnings(root) == [[f"silence.{suffix}", "it is silent", "zeros only", "sound"]]


def test_a_clip_unlike_nearly_all_others_is_used_with_a_warning(tmp_path: Path) -> None:
    root = make(tmp_path / "data", rows(20))
    soundfile.write(root / "7.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 82), 8200)
    assert len(listed(root, FOLDER)[0]) == 20
    assert warnings(root) == [
        ["7.wav", "its rate is unlike the others'", "8200 Hz", "8000 Hz"],
        ["7.wav", "its length is unlike the others'", "0.01 s", "0.005 s"],
    ]


# --- order and fingerprints -------------------------------------------------------------------------------


def test_natural_order() -> None:
    names = ["ex10", "ex2", "ex02", "ex", "ex0a", "exa", "2", "10", "ex2_b", "ex2_a10", "ex2_a9"]
    expected = ["2", "10", "ex", "ex0a", "ex02", "ex2", "ex2_a9", "ex2_a10", "ex2_b", "ex10", "exa"]
    assert sorted(names, key=candidates.natural) == expected


@given(st.lists(st.text(alphabet="ab012_", max_size=6)))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=candidates.natural) == sorted(backwards, key=candidates.natural)


def test_the_digest_of_a_folder_without_a_table_follows_names_and_sizes(tmp_path: Path) -> None:
    for seed in range(3):
        sound(tmp_path / f"{seed}.wav", seed)
    digests = [index.source_digest(tmp_path, "folder")]
    os.utime(tmp_path / "0.wav", (0, 0))
    assert index.source_digest(tmp_path, "folder") == digests[0]
    (tmp_path / "1.wav").write_bytes(b"short")
    digests.append(index.source_digest(tmp_path, "folder"))
    (tmp_path / "2.wav").rename(tmp_path / "4.wav")
    digests.append(index.source_digest(tmp_path, "folder"))
    (tmp_path / "clips.csv").write_text("path\n0.wav\n")
    digests.append(index.source_digest(tmp_path, "folder"))
    assert len(set(digests)) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_rejected_fraction": 0.3}, None),
        ({"max_rejected_fraction": 0.2}, r"allows 0\.2 of the clips to be unusable; 1 of 4 are not.* 3\.wav: "),
        ({"on_bad_clip": "fail"}, r"every clip must be usable; 1 of 4 are not.* 3\.wav: "),
    ],
)
def test_too_many_bad_clips_stop_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str | None
) -> None:
    root = make(tmp_path / "data", rows(session=["a", "b", "c", "d"]))
    (root / "3.wav").write_bytes(b"no audio")
    if message is None:
        clips, rejected = listed(root, FOLDER | change)
        assert (len(clips), rejected["path"].tolist()) == (3, ["3.wav"])
    else:
        with pytest.raises(InputError, match=message):
            listed(root, FOLDER | change)
        assert "bad clip: 3.wav; it must be audio" in capsys.readouterr().out
