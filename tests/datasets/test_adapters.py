"""Every adapter on a replica of its data set's real layout: one contract for all, then the quirks of each."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from lambdascape.config.settings import FeatureRecipe, ReadingSettings
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_text_table
from lambdascape.datasets import index, manifest
from lambdascape.features import extraction, store
from lambdascape.features.decode import read_mono
from lambdascape.features.logmel import log_mel
from support import replicas
from support.replicas import REPLICAS, TOLERANT, Clip, Replica, clips, sound


@pytest.fixture(params=REPLICAS.values(), ids=REPLICAS.keys())
def replica(request: pytest.FixtureRequest) -> Replica:
    return request.param


def listed(root: Path, adapter: str, threads: int = 2, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `list_clips` writes; nothing where it stops."""
    out = root.parent / f"{root.name} out"
    manifest.list_clips(
        root,
        ReadingSettings.of(TOLERANT | {"adapter": adapter, "folds": 2} | settings),
        out / "clips.tsv",
        out / "rejected.tsv",
        out / "warnings.tsv",
        threads,
    )
    return read_text_table(out / "clips.tsv"), read_text_table(out / "rejected.tsv")


def refused(root: Path, adapter: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        listed(root, adapter)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --- the contract -----------------------------------------------------------------------------------------


def test_every_adapter_has_a_replica() -> None:
    assert {replica.adapter for replica in REPLICAS.values()} == set(declared("adapter"))


def test_every_clip_is_listed_once_with_what_the_data_set_says_and_its_fold(replica: Replica, tmp_path: Path) -> None:
    wanted = clips(nodes=("1", "2") if replica.build not in (replicas.esc50, replicas.urbansound8k) else ("1",))
    replica.build(tmp_path / "data", wanted)
    found, rejected = listed(tmp_path / "data", replica.adapter)
    assert rejected.empty
    assert len(found) == len(wanted)
    assert found["clip"].is_unique
    assert found["path"].is_unique
    assert all((tmp_path / "data" / path).is_file() for path in found["path"])
    label_of = {str(clip.session): clip.label for clip in wanted}
    assert found["label"].tolist() == [label_of[number_of(session)] for session in found["session"]]
    assert found["session"].value_counts().tolist() == [len(wanted) // 4] * 4
    assert found["fold"].nunique() == 2
    assert (found.groupby("session")["fold"].nunique() == 1).all()
    if replica.build is not replicas.dcase_evaluation:  # it brings none
        tested = found[found["fold"] == found.loc[found["session"].map(number_of) == "10", "fold"].iloc[0]]
        assert set(tested["session"].map(number_of)) == {"10", "11"}


def number_of(session: str) -> str:
    """The number in a session's name: s10, lyon-10, 10."""
    return session.removeprefix("s").rsplit("-", 1)[-1]


def test_the_order_follows_from_the_index_alone(replica: Replica, tmp_path: Path) -> None:
    """Sorted by session as people count, whatever the place of the folder and the number of threads."""
    replica.build(tmp_path / "data", clips([("dog", 1), ("rain", 2)] * 50, count=1))
    found, rejected = listed(tmp_path / "data", replica.adapter)
    sessions = [int(number_of(session)) for session in found["session"]]
    assert sessions == sorted(sessions)
    assert sessions[-1] == 109
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").rename(tmp_path / "elsewhere" / "moved")
    again, rejected_again = listed(tmp_path / "elsewhere" / "moved", replica.adapter, threads=7)
    pd.testing.assert_frame_equal(again, found)
    pd.testing.assert_frame_equal(rejected_again, rejected)


@pytest.mark.parametrize("replica", [replica for replica in REPLICAS.values() if replica.archive])
def test_found_in_the_folder_that_its_archives_make(replica: Replica, tmp_path: Path) -> None:
    replica.build(tmp_path / "own", clips())
    own, _ = listed(tmp_path / "own", replica.adapter)
    replica.build(tmp_path / "above" / replica.archive, clips())
    sound(tmp_path / "above" / replica.archive / "audio" / "new.wav", 99)
    above, rejected = listed(tmp_path / "above", replica.adapter)
    assert above["path"].tolist() == [f"{replica.archive}/{path}" for path in own["path"]]
    assert rejected["path"].tolist() == [f"{replica.archive}/audio/new.wav"]
    pd.testing.assert_frame_equal(above.drop(columns="path"), own.drop(columns="path"))


def test_nothing_is_lost(replica: Replica, tmp_path: Path) -> None:
    """A file that is missing and one that is not listed are rejected rows."""
    replica.build(tmp_path / "data", clips())
    whole, _ = listed(tmp_path / "data", replica.adapter)
    gone = whole["path"][0]
    (tmp_path / "data" / gone).unlink()
    sound(tmp_path / "data" / "audio" / "new.flac", 99)
    found, rejected = listed(tmp_path / "data", replica.adapter)
    assert found["path"].tolist() == whole["path"].tolist()[1:]
    rules = dict(zip(rejected["path"], rejected["rule"], strict=True))
    assert rules.keys() == {gone, "audio/new.flac"}
    assert rules[gone] == "the file must exist"
    files = index.index_files(tmp_path / "data", replica.adapter)
    lists = {file.relative_to(tmp_path / "data").as_posix() for file in files}
    assert rules["audio/new.flac"].removeprefix("the file must be listed in ") in lists


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], "must list at least one clip|it is empty"),
        (clips([("dog", 1)], count=1), "at least two (folds|sessions)|must list at least one clip"),
        (clips([("dog", 1), ("dog", 2)]), "at least two classes; a single class, 'dog'"),
    ],
    ids=["no clip", "one clip", "one class"],
)
def test_clips_of_which_no_study_can_be_made_are_refused(
    replica: Replica, tmp_path: Path, wanted: list[Clip], message: str
) -> None:
    replica.build(tmp_path / "data", wanted)
    refused(tmp_path / "data", replica.adapter, message)


@pytest.mark.parametrize("replica", [one for name, one in REPLICAS.items() if name != "dcase evaluation"])
def test_a_session_in_two_folds_is_refused(replica: Replica, tmp_path: Path) -> None:
    """Of a data set that brings folds."""
    replica.build(tmp_path / "data", [*clips(), Clip(10, 7, "dog", 2)])
    message = "a session must be in one fold|must not train on sessions that it tests; it shares (s|lyon-)10$"
    refused(tmp_path / "data", replica.adapter, message)


def test_a_missing_folder_and_a_missing_index_are_named(replica: Replica, tmp_path: Path) -> None:
    assert index.source_digest(tmp_path / "data", replica.adapter) == ""
    refused(tmp_path / "data", replica.adapter, "there is none at")
    (tmp_path / "data").mkdir()
    refused(tmp_path / "data", replica.adapter, "must hold .*(neither is there|it holds neither)")


def test_an_edit_of_any_index_file_is_seen_and_another_place_is_not(replica: Replica, tmp_path: Path) -> None:
    replica.build(tmp_path / "data", clips())
    before = index.source_digest(tmp_path / "data", replica.adapter)
    files = index.index_files(tmp_path / "data", replica.adapter)
    assert {file.suffix for file in (tmp_path / "data").rglob("*") if file.is_file() and file not in files} == {".wav"}
    (tmp_path / "data").rename(tmp_path / "moved")
    files = index.index_files(tmp_path / "moved", replica.adapter)
    digests = [index.source_digest(tmp_path / "moved", replica.adapter)]
    assert digests == [before]
    for file in files:
        file.write_bytes(file.read_bytes() + b"\n")
        digests.append(index.source_digest(tmp_path / "moved", replica.adapter))
    assert len(set(digests)) == len(files) + 1 > 1


# --- channels ---------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Four sessions of one clip, with 1, 2, 3 and 1 microphones."""
    root = tmp_path / "data"
    replicas.folder(root, clips(count=1))
    for seed, (file, channels) in enumerate(zip(sorted(root.glob("*.wav")), (1, 2, 3, 1), strict=True)):
        sound(file, seed, channels=channels)
    return root


def test_one_row_per_file_unless_each_microphone_is_a_clip_of_the_same_moment(mixed: Path) -> None:
    whole, _ = listed(mixed, "folder")
    first, _ = listed(mixed, "folder", channels="first")
    assert whole["path"].is_unique
    assert (whole["channel"].tolist(), first["channel"].tolist()) == ([""] * 4, ["1"] * 4)
    assert first["path"].tolist() == whole["path"].tolist()
    found, _ = listed(mixed, "folder", channels="each")
    assert found["clip"].is_unique
    expected = [(row, str(i)) for row in whole.to_dict("records") for i in range(1, int(row["channels"]) + 1)]
    assert len(expected) == 7
    for got, (row, channel) in zip(found.to_dict("records"), expected, strict=True):
        assert got == row | {"clip": f"{row['clip']}#{channel}", "channel": channel}


def test_one_channel_is_read_as_it_is_whatever_the_others_hold(tmp_path: Path) -> None:
    both = np.stack([np.linspace(-0.5, 0.5, 100), np.full(100, np.nan)], axis=1).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", both, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(np.concatenate(list(read_mono(tmp_path / "a.wav", 16000, 1))), both[:, 0])
    for channel, message in ((2, "must be finite"), (3, "the channel 3; it has 2"), (0, "the channel 0; it has 2")):
        with pytest.raises(InputError, match=message):
            list(read_mono(tmp_path / "a.wav", 16000, channel))


def test_features_are_those_of_the_channel(mixed: Path, tmp_path: Path) -> None:
    recipe = {"sr": 8000, "n_fft": 32, "win_length": 20, "hop_length": 10, "n_mels": 3, "fmin": 1000, "fmax": 4000}
    recipe |= {"htk": True, "filterbank": "librosa", "log_offset": 1e-6}
    found, _ = listed(mixed, "folder", channels="each")
    manifest_path = mixed.parent / f"{mixed.name} out" / "clips.tsv"
    extraction.extract_shard(manifest_path, mixed, FeatureRecipe.of(recipe), 0, 1, tmp_path / "0.h5")
    extraction.consolidate(manifest_path, [tmp_path / "0.h5"], tmp_path / "features.h5")
    opened = store.open_features(tmp_path / "features.h5")
    assert opened.clips == found["clip"].tolist()
    for row, start in zip(found.to_dict("records"), opened.clip_start[:-1], strict=True):
        samples = soundfile.read(mixed / row["path"], dtype="float32", always_2d=True)[0][:, int(row["channel"]) - 1]
        expected = log_mel(samples, FeatureRecipe.of(recipe))
        np.testing.assert_allclose(opened.frames[start : start + len(expected)], expected, atol=1e-2)


# --- DCASE 2018 Task 5, evaluation set --------------------------------------------------------------------


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """Seven recorders, of which one has a session more than the others."""
    root = tmp_path / "data"
    replicas.dcase_evaluation(root, [*clips(nodes="1234567"), Clip(99, 1, "dog", 1, "5")])
    return root


def test_the_map_gives_node_moment_and_session(evaluation: Path) -> None:
    found, rejected = listed(evaluation, "dcase2018_task5")
    assert rejected.empty
    assert len(found) == 4 * 2 * 7 + 1
    named = dict(line.split("\t")[::-1] for line in (evaluation / "evaluation_setup/map.txt").read_text().split("\n"))
    for row in found.to_dict("records"):
        assert named[row["path"]] == f"audio/EvalNode{row['node']}_{row['moment']}.wav"
        assert row["moment"].startswith(f"ex{row['session'][1:]}_")
    assert found.loc[found["session"] == "s99", "node"].tolist() == ["5"]


def test_its_labels_may_stand_in_either_file_or_in_none(evaluation: Path) -> None:
    setup = evaluation / "evaluation_setup"
    first, _ = listed(evaluation, "dcase2018_task5")
    (setup / "evaluate.txt").rename(setup / "evaluation.txt")
    second, _ = listed(evaluation, "dcase2018_task5")
    pd.testing.assert_frame_equal(first, second)
    (setup / "evaluation.txt").unlink()
    (evaluation / "meta.txt").write_text("another list, as some copies of the set have it")
    without, _ = listed(evaluation, "dcase2018_task5")
    assert set(without["label"]) == {""}
    assert without["clip"].tolist() == first["clip"].tolist()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("evaluate.txt", ("audio/1.wav\t", "audio/999.wav\t"), "must list the clips of .*map.txt; they differ in 2"),
        ("evaluate.txt", ("audio/1.wav\t", "audio/2.wav\t"), "listed once"),
        ("evaluate.txt", ("audio/1.wav\tdog\ts99", "audio/1.wav"), "must hold path, label"),
        ("map.txt", ("audio/1.wav", "../1.wav"), "inside the data set's folder"),
    ],
)
def test_lists_of_the_evaluation_set_must_agree(
    evaluation: Path, file: str, change: tuple[str, str], message: str
) -> None:
    edit(evaluation / "evaluation_setup" / file, *change)
    refused(evaluation, "dcase2018_task5", message)


# --- TAU urban acoustic scenes ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["tau 2019", "tau 2020", "tau 2022"])
def test_devices_share_a_moment_and_pieces_do_not(tmp_path: Path, version: str) -> None:
    replica = REPLICAS[version]
    replica.build(tmp_path / "data", clips(nodes=("a", "b", "s1")))
    found, _ = listed(tmp_path / "data", replica.adapter)
    assert sorted(set(found["node"])) == ["a", "b", "s1"]
    assert set(found.groupby("moment")["node"].agg("".join)) == {"abs1"}
    assert found["moment"].nunique() == 4 * 2
    assert set(found["moment"].str.count("-")) == {4 if version == "tau 2022" else 3}


def test_clips_that_the_official_fold_leaves_out_are_rejected_with_the_reason(tmp_path: Path) -> None:
    root = tmp_path / "data"
    replicas.tau(root, clips(nodes=("a", "s4")))
    left_out = ["audio/dog-lyon-10-10001-s4.wav", "audio/rain-lyon-13-13000-s4.wav"]
    for file in (root / "evaluation_setup").iterdir():
        lines = [line for line in file.read_text().split("\n") if line.split("\t")[0] not in left_out]
        file.write_text("\n".join(lines))
    found, rejected = listed(root, "tau2020")
    assert len(found) == 4 * 2 * 2 - 2
    assert not set(found["path"]) & set(left_out)
    assert rejected["path"].tolist() == left_out
    assert set(rejected["rule"]) == {"the official fold must use the clip"}


@pytest.mark.parametrize(
    ("name", "old", "rule"),
    [
        ("tau 2019", "audio/dog-lyon-10-10000-1.wav", "the name must give its moment"),
        ("dcase development", "audio/DevNode1_ex10_0.wav", "the name must give node, session and segment"),
        ("dcase evaluation", "audio/EvalNode1_ex10_0.wav", "the name must give node, session and segment"),
    ],
)
def test_a_name_that_does_not_say_what_it_must_is_rejected(tmp_path: Path, name: str, old: str, rule: str) -> None:
    root, replica = tmp_path / "data", REPLICAS[name]
    replica.build(root, clips())
    for file in index.index_files(root, replica.adapter):
        file.write_text(file.read_text().replace(old, "audio/first.wav"))
    if (root / old).exists():  # else it stands in the map alone
        (root / old).rename(root / "audio/first.wav")
    found, rejected = listed(root, replica.adapter)
    assert len(found) == 7
    (row,) = rejected.to_dict("records")
    assert (row["rule"], "first.wav" in (row["found"], Path(row["path"]).name)) == (rule, True)


@pytest.mark.parametrize("build", [replicas.dcase_development, replicas.dcase_evaluation])
def test_line_ends_and_trailing_tabs_of_dcases_lists_do_not_count(tmp_path: Path, build: Any) -> None:
    build(tmp_path / "data", clips())
    first, _ = listed(tmp_path / "data", "dcase2018_task5")
    for file in index.index_files(tmp_path / "data", "dcase2018_task5"):
        file.write_bytes(file.read_bytes().rstrip(b"\n").replace(b"\n", b"\t\r\n") + b"\t\r\n")
    pd.testing.assert_frame_equal(listed(tmp_path / "data", "dcase2018_task5")[0], first)


FIRST, LAST = "audio/dog-lyon-10-10000-1.wav", "audio/rain-lyon-13-13001-1.wav"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("meta.csv", ("identifier", "location"), "needs a column .*`identifier`"),
        ("meta.csv", ("\tlyon-10\t1\n", "\tlyon-10\n"), "line 2: must have 4 values like the header; got 3"),
        ("meta.csv", (FIRST, LAST), "listed once"),
        ("fold1_train.csv", (f"{LAST}\train", f"{FIRST}\tdog"), "must not train on clips that it tests; it shares 1"),
        ("fold1_train.csv", (f"{LAST}\train", f"{LAST}\tdog"), f"'rain' for {LAST}; got 'dog'"),
        ("fold1_test.csv", (f"{FIRST}\n", ""), "fold1_evaluate.csv: must list the clips of fold1_test.csv"),
        ("fold1_evaluate.csv", (FIRST, "audio/x-y-1-1-a.wav"), "must list clips of meta.csv"),
    ],
)
def test_lists_of_tau_must_agree(tmp_path: Path, file: str, change: tuple[str, str], message: str) -> None:
    root = tmp_path / "data"
    replicas.tau(root, clips())
    edit(root / file if file == "meta.csv" else root / "evaluation_setup" / file, *change)
    refused(root, "tau2020", message)


# --- ESC-50 and UrbanSound8K ------------------------------------------------------------------------------


def test_takes_of_one_recording_are_one_session_even_of_two_classes(tmp_path: Path) -> None:
    replicas.esc50(tmp_path / "data", [*clips(), Clip(10, 5, "rain", 1)])
    found, _ = listed(tmp_path / "data", "esc50")
    session = found[found["session"] == "10"]
    assert session["path"].tolist() == [f"audio/1-10-{take}.wav" for take in ("A-0", "B-0", "F-1")]
    assert session["label"].tolist() == ["dog", "dog", "rain"]
    assert set(session["fold"]) == {"fold1"}


def test_ten_folds_keep_their_names_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    root = tmp_path / "data"
    replicas.urbansound8k(root, clips([(label, fold) for fold in range(1, 11) for label in ("dog", "rain")]))
    (root / "audio/fold3/.DS_Store").write_bytes(b"\0")
    found, rejected = listed(root, "urbansound8k")
    assert rejected.empty
    assert sorted(set(found["fold"]), key=lambda fold: int(fold[4:])) == [f"fold{i}" for i in range(1, 11)]
    assert (found["path"].str.split("/").str[1] == found["fold"]).all()
    assert set(found["rate"]) == {"8000", "44100"}
