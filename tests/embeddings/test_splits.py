import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdascape.core.errors import InputError
from lambdascape.embeddings import splits
from support.spaces import make_space, write_space


def labelled(session_labels):
    """A space whose training sessions hold the given classes, one tile each, and a test session."""
    rows = [(f"s{i}", k) for i, held in enumerate(session_labels) for k in held] + [("test", 0)]
    sessions, session = np.unique([r[0] for r in rows], return_inverse=True)
    label = np.array([r[1] for r in rows])
    classes = [f"class{k}" for k in range(label.max() + 1)]
    embedding, test = np.zeros((len(rows), 2), np.float32), sessions[session] == "test"
    return splits.LabelledSpace(
        *(embedding, label, classes, len(classes), session, sessions.tolist(), session, np.arange(len(rows)), test),
        row=np.arange(len(rows)),
    )


def test_the_test_split_is_the_test_fold_and_keeps_only_labelled_tiles(tmp_path):
    embedding, tiles = make_space()
    tiles.loc[tiles["clip"] == "s0_1-0-n0", "label"] = ""
    space = splits.read_labelled(write_space(tmp_path / "x.h5", embedding, tiles), "fold2")
    kept = (tiles["label"] != "").to_numpy()
    assert len(space.label) == kept.sum() < len(tiles)
    assert np.array_equal(space.embedding, embedding[kept])
    assert np.array_equal(space.row, np.flatnonzero(kept))
    assert [space.classes[k] for k in space.label] == tiles["label"][kept].tolist()
    assert np.array_equal(space.test, (tiles["fold"] == "fold2").to_numpy()[kept])


def test_labels_that_look_like_missing_values_are_labels(tmp_path):
    embedding, tiles = make_space()
    tiles["label"] = tiles["label"].replace({"class0": "NA", "class1": "None", "class2": "01"})
    assert splits.read_labelled(write_space(tmp_path / "x.h5", embedding, tiles), "fold1").classes == [
        "01",
        "NA",
        "None",
    ]


def changed(column, place, value):
    """Let a column have a value in one fold, session or clip."""
    return lambda tiles: tiles.assign(**{column: tiles[column].where(~(tiles[place[0]] == place[1]), value)})


@pytest.mark.parametrize(
    ("spoil", "rule", "arrived"),
    [
        (changed("label", ("fold", "fold2"), "class0"), "at least two classes", "only 'class0'"),
        (changed("label", ("fold", "fold1"), ""), "test split needs labelled tiles", "fold 'fold1' has none"),
        (changed("label", ("fold", "fold2"), ""), "at least two classes", "got none"),
        (changed("label", ("fold", "fold1"), "other"), "must share a class", "test has other"),
        (changed("session", ("session", "s1_0"), "s1_1"), "no session may be in two splits", "s1_1"),
        (changed("label", ("clip", "s0_0-0-n0"), "class1"), "must have one label", "'s0_0-0' has class0, class1"),
        (changed("session", ("clip", "s0_0-0-n0"), "s0_2"), "must have one session", "'s0_0-0' has s0_0, s0_2"),
    ],
)
def test_splits_that_cannot_be_scored_are_refused(tmp_path, spoil, rule, arrived):
    embedding, tiles = make_space()
    with pytest.raises(InputError) as error:
        splits.read_labelled(write_space(tmp_path / "x.h5", embedding, spoil(tiles)), "fold1")
    assert rule in str(error.value)
    assert arrived in str(error.value)


def test_an_unknown_test_fold_is_refused_with_the_folds_there_are():
    with pytest.raises(InputError, match=r"fold1, fold2.*got 'fold9'"):
        splits.in_test_split(pd.DataFrame({"fold": ["fold1", "fold2"]}), "fold9")


def test_a_session_in_two_splits_stops():
    splits.check_disjoint({"training": {0}, "validation": {1}, "test": {2}}, ["a", "b", "c"])
    with pytest.raises(InputError, match="both validation and test: b"):
        splits.check_disjoint({"training": {0}, "validation": {1}, "test": {1, 2}}, ["a", "b", "c"])


def test_a_draw_that_takes_part_of_a_session_stops():
    space = labelled([{0, 1}, {0}, {1}])
    training = ~space.test
    training[0] = False  # one of the two tiles of s0
    with pytest.raises(InputError, match="both training and validation: s0"):
        splits.check_splits(space, {"training": training, "validation": ~training & ~space.test})


def test_test_labels_change_neither_the_classes_of_the_training_split_nor_their_numbers(tmp_path):
    embedding, tiles = make_space()
    label = tiles["label"].where(tiles["fold"] != "fold1", "aaa").where(tiles["session"] != "s1_0", "class1")
    one = splits.read_labelled(write_space(tmp_path / "one.h5", embedding, tiles), "fold1")
    two = splits.read_labelled(write_space(tmp_path / "two.h5", embedding, tiles.assign(label=label)), "fold1")
    assert one.classes == ["class0", "class1", "class2"]
    assert two.classes == [*one.classes, "aaa"]
    assert one.n_known == two.n_known == 3
    assert np.array_equal(one.label[~one.test], two.label[~two.test])


def test_every_fold_can_be_the_test_split_over_one_embedding(tmp_path):
    embedding, tiles = make_space()
    path = write_space(tmp_path / "x.h5", embedding, tiles)
    folds = splits.read_folds(path)
    assert list(folds) == ["fold1", "fold2"]
    assert folds["fold1"].embedding is folds["fold2"].embedding
    for name, space in folds.items():
        alone = splits.read_labelled(path, name)
        assert np.array_equal(space.test, (tiles["fold"] == name).to_numpy())
        assert np.array_equal(space.label, alone.label)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=2, max_size=14), st.floats(0.05, 0.6), st.integers(0, 3)
)
def test_validation_takes_whole_training_sessions_and_leaves_every_class(held, fraction, seed):
    space = labelled(held)
    try:
        validation = splits.draw_validation(space, fraction, seed)
    except InputError:
        alone = [any(sum(k in other for other in held) == 1 for k in one) for one in held]
        assert all(alone), "refused although a session could be spared"
        return
    rest = ~space.test & ~validation
    drawn = set(space.session[validation])
    assert drawn
    assert not drawn & set(space.session[rest])
    assert not (validation & space.test).any()
    assert set(space.label[rest]) >= set(space.label[validation])
    assert len(drawn) <= max(1, len(held) // 2)


def test_validation_is_stratified_by_class():
    space = labelled([{0}] * 10 + [{1}] * 20 + [{2}] * 5)
    validation = splits.draw_validation(space, 0.2, 7)
    assert [len(set(space.session[validation & (space.label == k)])) for k in range(3)] == [2, 4, 1]


def test_another_seed_draws_other_sessions_and_the_same_seed_the_same():
    space = labelled([{0}] * 10 + [{1}] * 10)
    draws = [splits.draw_validation(space, 0.3, seed).tolist() for seed in (1, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert draws[1] != draws[2] or draws[1] != draws[3]


@pytest.mark.parametrize(
    ("held", "message"), [([{0, 1}], "at least two labelled sessions"), ([{0}, {1}], "at least one class with two")]
)
def test_too_few_sessions_for_validation_are_refused(held, message):
    with pytest.raises(InputError, match=message):
        splits.draw_validation(labelled(held), 0.2, 1)
