import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdascape.errors import InputError
from lambdascape.files import read_table
from lambdascape.probes import (
    fit_by_epoch,
    fit_converged,
    loss_and_gradient,
    posterior_by_clip,
    train_by_epoch,
)
from lambdascape.splits import LabelledSpace

from .spaces import make_space, write_space

BY_EPOCH = {"epochs": 5, "batch_size": 16, "learning_rate": 0.02, "double_softmax": True}
CONVERGED = {"c_grid": [1.0, 0.01], "validation_fraction": 0.3}


@pytest.fixture
def fit(tmp_path):
    """Fit the converged probe; give scores and confusion."""

    def call(embedding, tiles, seed=3, **changes):
        path = write_space(tmp_path / "space.h5", embedding, tiles)
        scores, confusion = tmp_path / "scores.tsv", tmp_path / "confusion.tsv"
        fit_converged(path, "fold1", CONVERGED | changes, seed, scores, confusion)
        text = ("split", "unit", "session", "label", "predicted")
        return read_table(scores, ("split", "unit", "measure", "class")), read_table(confusion, text)

    return call


@pytest.fixture
def by_epoch(tmp_path):
    def call(embedding, tiles, seed=3, **changes):
        path = write_space(tmp_path / "space.h5", embedding, tiles)
        fit_by_epoch(path, "fold1", BY_EPOCH | changes, seed, tmp_path / "by_epoch.tsv")
        return read_table(tmp_path / "by_epoch.tsv", ("split",))

    return call


def value(scores, split, unit, measure, name=""):
    keys = {"split": split, "unit": unit, "measure": measure, "class": name}
    (found,) = scores.loc[(scores[list(keys)] == pd.Series(keys)).all(axis=1), "value"]
    return found


@pytest.mark.parametrize("double_softmax", [True, False])
def test_gradient_of_the_loss_agrees_with_finite_differences(double_softmax):
    rng = np.random.default_rng(0)
    logits, label, step = rng.normal(0, 2, (6, 4)), rng.integers(0, 4, 6), 1e-6
    _, gradient = loss_and_gradient(logits, label, double_softmax)
    for k in range(4):
        shift = step * np.eye(4)[k]
        above, _ = loss_and_gradient(logits + shift, label, double_softmax)
        below, _ = loss_and_gradient(logits - shift, label, double_softmax)
        assert gradient[:, k] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@given(st.lists(st.floats(-50, 50), min_size=9, max_size=9), st.integers(0, 8))
def test_double_softmax_bounds_the_loss_of_nine_classes(logits, label):
    loss, _ = loss_and_gradient(np.array([logits]), np.array([label]), True)
    assert np.log(np.e + 8) - 1 - 1e-12 <= loss[0] <= np.log(np.e + 8) + 1e-12


def test_double_softmax_meets_its_bounds_and_starts_at_ln_9():
    assert np.log(np.e + 8) == pytest.approx(2.372, abs=5e-4)
    sure = 100.0 * np.eye(9)[:1]
    assert loss_and_gradient(sure, np.array([0]), True)[0][0] == pytest.approx(np.log(np.e + 8) - 1)
    assert loss_and_gradient(sure, np.array([1]), True)[0][0] == pytest.approx(np.log(np.e + 8))
    assert loss_and_gradient(np.zeros((1, 9)), np.array([4]), True)[0][0] == pytest.approx(np.log(9))


def test_losses_agree_with_plain_formulas():
    logits, label = np.array([[0.3, -1.0, 2.0]]), np.array([1])
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    q = np.exp(p) / np.exp(p).sum()
    assert loss_and_gradient(logits, label, False)[0][0] == pytest.approx(-np.log(p[1]))
    assert loss_and_gradient(logits, label, True)[0][0] == pytest.approx(-np.log(q[1]))


def test_training_agrees_with_a_plain_loop_over_weights():
    rng = np.random.default_rng(1)
    inputs, label = np.column_stack([rng.normal(size=(10, 3)), np.ones(10)]), rng.integers(0, 2, 10)
    settings_ = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05, "double_softmax": False}
    got = list(train_by_epoch(inputs, label, 2, settings_, 11))
    limit = (6 / (3 + 2)) ** 0.5
    weight = np.random.default_rng([11, 0]).uniform(-limit, limit, (4, 2))
    weight[3] = 0
    m, v, t = np.zeros((4, 2)), np.zeros((4, 2)), 0
    for epoch in (1, 2, 3):
        rng = np.random.default_rng([11, epoch])
        order = [n for _ in range(3) for n in rng.permutation(10)]  # each tile three times
        for batch in (order[start : start + 4] for start in range(0, 30, 4)):
            t += 1
            before = weight.copy()
            for i in range(4):
                for j in range(2):
                    g = 0.0
                    for n in batch:
                        p = np.exp(inputs[n] @ before) / np.exp(inputs[n] @ before).sum()
                        g += inputs[n, i] * (p[j] - (label[n] == j)) / len(batch)
                    m[i, j] = 0.9 * m[i, j] + 0.1 * g
                    v[i, j] = 0.999 * v[i, j] + 0.001 * g * g
                    rate = 0.05 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
                    weight[i, j] -= rate * m[i, j] / (v[i, j] ** 0.5 + 1e-7)
        assert got[epoch - 1] == pytest.approx(weight)


def test_by_epoch_probe_learns_separable_classes_and_writes_every_epoch(by_epoch):
    table = by_epoch(*make_space(separation=10), double_softmax=False, epochs=40)
    assert table["epoch"].tolist() == [epoch for epoch in range(1, 41) for _ in range(2)]
    assert table["split"].tolist() == ["train", "test"] * 40
    train = table[table["split"] == "train"]
    assert (train["cross_entropy"].diff().dropna() < 0).mean() > 0.9
    # The centres lie 10 times as far apart as tiles stray: a linear layer makes no mistake.
    assert train["macro_f1"].iloc[-1] == 1


def test_by_epoch_probe_is_a_function_of_its_seed(by_epoch):
    space = make_space()
    assert by_epoch(*space).equals(by_epoch(*space))
    assert not by_epoch(*space).equals(by_epoch(*space, seed=4))


def test_test_tiles_do_not_reach_the_by_epoch_training(by_epoch):
    embedding, tiles = make_space()
    other = np.where((tiles["fold"] == "fold1").to_numpy()[:, None], 7 - embedding, embedding)
    one, two = by_epoch(embedding, tiles), by_epoch(other, tiles)
    train = one["split"] == "train"
    assert one[train].equals(two[train])
    assert not one[~train].equals(two[~train])


def test_no_labels_leave_headers_only(by_epoch, fit):
    embedding, tiles = make_space()
    tiles["label"] = ""
    assert by_epoch(embedding, tiles).columns.tolist() == ["epoch", "split", "macro_f1", "cross_entropy"]
    scores, confusion = fit(embedding, tiles)
    assert scores.columns.tolist() == ["split", "unit", "measure", "class", "value"]
    assert confusion.columns.tolist() == ["split", "unit", "session", "label", "predicted", "count"]
    assert len(by_epoch(embedding, tiles)) == len(scores) == len(confusion) == 0


@pytest.mark.parametrize(("split", "sessions"), [("test", 2), ("validation", 1)])
def test_converged_scores_come_from_the_confusion_of_their_split(fit, split, sessions):
    scores, confusion = fit(*make_space(separation=0.7))
    confusion = confusion[confusion["split"] == split]
    for unit, items in (("tile", 3 * sessions * 3 * 2 * 2), ("clip", 3 * sessions * 3)):
        part = confusion[confusion["unit"] == unit]
        assert part["count"].sum() == items
        table = part.pivot_table(index="label", columns="predicted", values="count", aggfunc="sum", fill_value=0)
        table = table.reindex(columns=table.index, fill_value=0).to_numpy()
        hits, f1 = np.diag(table), 2 * np.diag(table) / (table.sum(0) + table.sum(1))
        assert value(scores, split, unit, "accuracy") == pytest.approx(hits.sum() / items)
        assert value(scores, split, unit, "macro_f1") == pytest.approx(f1.mean())
        assert [value(scores, split, unit, "f1", f"class{k}") for k in range(3)] == pytest.approx(f1.tolist())
    assert {s.split("_")[0] for s in confusion["session"]} == {"s0", "s1", "s2"}


def test_every_split_and_unit_is_scored_and_c_comes_from_the_grid(fit):
    scores, _ = fit(*make_space())
    c = scores[scores["measure"] == "c"]
    assert c[["split", "unit"]].to_numpy().tolist() == [["validation", "clip"]]
    assert c["value"].item() in CONVERGED["c_grid"]
    rest = scores[scores["measure"] != "c"]
    assert len(rest) == 3 * 2 * (3 + 3)
    assert not rest.duplicated(["split", "unit", "measure", "class"]).any()


def test_the_c_with_the_better_validation_clips_is_chosen(fit):
    # With next to no penalty allowed, all weights vanish and every clip gets the class with the most tiles.
    scores, _ = fit(*make_space(separation=4), c_grid=[1e-9, 1.0])
    assert value(scores, "validation", "clip", "c") == 1.0
    scores, _ = fit(*make_space(separation=4), c_grid=[1.0, 1e-9])
    assert value(scores, "validation", "clip", "c") == 1.0


def test_the_fit_agrees_with_scikit_learn_on_standardised_training_tiles(fit):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    embedding, tiles = make_space(separation=0.7)
    scores, _ = fit(embedding, tiles, c_grid=[0.1])
    test, label = (tiles["fold"] == "fold1").to_numpy(), tiles["label"].to_numpy()
    x = embedding.astype(float)
    x = (x - x[~test].mean(axis=0)) / x[~test].std(axis=0)
    model = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(x[~test], label[~test])
    expected = log_loss(label[test], model.predict_proba(x[test]))
    assert value(scores, "test", "tile", "cross_entropy") == pytest.approx(expected, rel=1e-5)


def test_test_tiles_do_not_reach_scaler_choice_or_fit(fit):
    embedding, tiles = make_space()
    fold = (tiles["fold"] == "fold1").to_numpy()
    other = np.where(fold[:, None], 100 - 3 * embedding, embedding)
    one, _ = fit(embedding, tiles)
    two, _ = fit(other, tiles.assign(label=tiles["label"].where(~fold, "class1")))
    inside = ["train", "validation"]
    assert one[one["split"].isin(inside)].equals(two[two["split"].isin(inside)])


def test_permuted_labels_score_near_chance(fit):
    # Labels of sessions, not of tiles, are permuted; a guess among 3 classes has a macro-F1 of about 1/3. The
    # mean of 20 must lie within 4 of its standard errors, with 0.2 for one score, which is asserted.
    found = []
    for seed in range(20):
        embedding, tiles = make_space(sessions=8, clips=1, nodes=1, separation=0)
        sessions = tiles["session"].unique()
        label = np.random.default_rng(seed).permutation([f"class{k % 3}" for k in range(len(sessions))])
        tiles["label"] = tiles["session"].map(dict(zip(sessions, label, strict=True)))
        scores, _ = fit(embedding, tiles, seed=seed, c_grid=[1.0])
        found.append(value(scores, "test", "clip", "macro_f1"))
    assert np.std(found) < 0.2
    assert abs(np.mean(found) - 1 / 3) < 4 * 0.2 / np.sqrt(20)


def test_a_test_class_that_training_lacks_is_scored_zero_and_stays_finite(fit):
    embedding, tiles = make_space()
    scores, _ = fit(embedding, tiles.assign(label=tiles["label"].where(tiles["session"] != "s2_0", "new")))
    assert value(scores, "test", "clip", "f1", "new") == 0
    assert np.isnan(value(scores, "train", "clip", "f1", "new"))
    assert np.isfinite(value(scores, "test", "tile", "cross_entropy"))


def test_a_single_training_session_is_refused(fit):
    embedding, tiles = make_space(sessions=2)
    tiles["session"] = tiles["session"].where(tiles["fold"] == "fold1", "the only one")
    with pytest.raises(InputError, match="at least two labelled sessions"):
        fit(embedding, tiles)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_posteriors_of_a_clip_are_the_mean_over_its_tiles_and_nodes(seed):
    rng = np.random.default_rng(seed)
    moment = rng.choice(["b", "a", "c"], 12).astype(object)
    place = {name: k for k, name in enumerate("abc")}
    label = np.array([place[name] for name in moment])
    space = LabelledSpace(np.zeros((12, 1)), label, list("abc"), moment, moment, np.zeros(12, bool))
    rows, posterior = rng.random(12) < 0.8, rng.dirichlet(np.ones(3), 12)
    rows[0] = True
    got, labels, sessions = posterior_by_clip(space, rows, posterior)
    for probability, k, name in zip(got, labels, sessions, strict=True):
        own = rows & (moment == name)
        assert probability == pytest.approx(sum(posterior[own]) / own.sum())
        assert k == place[name]
    assert len(got) == len(set(moment[rows]))
