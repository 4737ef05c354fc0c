from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdascape.config.settings import ByEpoch, Converged, FewShot, Knn, Mlp, Triplets
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table
from lambdascape.embeddings import space_file
from lambdascape.embeddings.splits import LabelledSpace, read_labelled
from lambdascape.probes import knn, logistic, standardised
from lambdascape.probes.by_epoch import fit_by_epoch, loss_and_gradient, train_by_epoch
from lambdascape.probes.converged import fit_converged
from lambdascape.probes.epoch_tiles import three_passes, triplet_draws
from lambdascape.probes.few_shot import draws, fit_few_shot
from lambdascape.probes.folds import fit_folds
from lambdascape.probes.knn import fit_knn
from lambdascape.probes.mlp import fit_mlp
from lambdascape.probes.scoring import COUNT_COLUMNS, COUNT_KEYS, SCORE_COLUMNS, ProbeInput, pooled
from lambdascape.statistics.metrics import accuracy, confusion_matrix, macro_f1
from support.spaces import make_space, write_space

BY_EPOCH = {"epochs": 5, "batch_size": 16, "learning_rate": 0.02, "double_softmax": True, "tiles": "even"}
FITS = {"converged": (Converged, fit_converged), "knn": (Knn, fit_knn), "mlp": (Mlp, fit_mlp),
    "few_shot": (FewShot, fit_few_shot), "folds": (Converged, fit_folds)}  # fmt: skip
CONVERGED = {"c_grid": [1.0, 0.01], "validation_fraction": 0.3}
KNN = {"k_grid": [1, 3, 200], "max_tiles": 10_000, "validation_fraction": 0.3}
MLP = {"layers": [1, 2], "width": 8, "learning_rates": [0.01, 0.001], "batch_size": 16, "max_epochs": 6, "patience": 2,
       "validation_fraction": 0.3}  # fmt: skip
FEW_SHOT = {"sessions": [1, 5], "draws": 2, "c": 1.0, "seed": 1}
SETTINGS = {"converged": CONVERGED, "knn": KNN, "mlp": MLP, "few_shot": FEW_SHOT, "folds": CONVERGED}
PROBES = tuple(SETTINGS)
POISON = "a class of its own"
TEXT = ("probe", "split", "unit", "measure", "class")
COUNT_TEXT = ("probe", "split", "unit", "session", "label", "predicted")


def fit_probe(name, path, settings_, seeds, outputs):
    """Fit any probe; the test fold is fold1."""
    block, fitted = FITS[name]
    fitted(ProbeInput(path, "fold1"), block.of(settings_), seeds).write(*outputs)


@pytest.fixture
def fit(tmp_path):
    def call(embedding, tiles, seed=3, probe="converged", seeds=None, **changes):
        path = write_space(tmp_path / "space.h5", embedding, tiles)
        outputs = tmp_path / "scores.tsv", tmp_path / "counts.tsv"
        fit_probe(probe, path, SETTINGS[probe] | changes, seeds or [seed], outputs)
        return read_table(outputs[0], TEXT), read_table(outputs[1], COUNT_TEXT)

    return call


@pytest.fixture
def by_epoch(tmp_path):
    def call(embedding, table, seed=3, triplets=None, **changes):
        path = write_space(tmp_path / "space.h5", embedding, table)
        fit_by_epoch(
            ProbeInput(path, "fold1"), ByEpoch.of(BY_EPOCH | changes), triplets, seed, tmp_path / "by_epoch.tsv"
        )
        return read_table(tmp_path / "by_epoch.tsv", ("split",))

    return call


def value(scores, split, unit, measure, name="", **more):
    keys = {"split": split, "unit": unit, "measure": measure, "class": name, **more}
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


def test_losses_agree_with_plain_formulas_and_double_softmax_meets_its_bounds():
    def loss(logits, label, double_softmax=True):
        return loss_and_gradient(np.array([logits]), np.array([label]), double_softmax)[0][0]

    logits = np.array([0.3, -1.0, 2.0])
    p = np.exp(logits) / np.exp(logits).sum()
    q = np.exp(p) / np.exp(p).sum()
    assert loss(logits, 1, False) == pytest.approx(-np.log(p[1]))
    assert loss(logits, 1) == pytest.approx(-np.log(q[1]))
    sure = 100.0 * np.eye(9)[0]
    bounds = [loss(sure, 0), loss(sure, 1), loss(np.zeros(9), 4)]
    assert bounds == pytest.approx([np.log(np.e + 8) - 1, np.log(np.e + 8), np.log(9)])


def test_training_agrees_with_a_plain_loop_over_weights():
    rng = np.random.default_rng(1)
    embedding, label = rng.normal(size=(12, 3)), rng.integers(0, 2, 12)
    rows = np.arange(1, 11)
    inputs, kept = np.column_stack([embedding, np.ones(12)])[rows], label[rows]
    settings_ = ByEpoch.of(BY_EPOCH | {"epochs": 3, "batch_size": 4, "learning_rate": 0.05})
    got = list(train_by_epoch(embedding, label, lambda epoch: three_passes(rows, 11, epoch), 2, settings_, False, 11))
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
                        g += inputs[n, i] * (p[j] - (kept[n] == j)) / len(batch)
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


TRIPLETS = Triplets.of({"tile_s": 1.0, "neighbourhood_s": 2.0, "distant": "other_clip"})


@pytest.fixture
def long_clips(tmp_path):
    """Clips of five tiles, in another order than that of time, of which one has no label; with the file."""
    embedding, tiles = make_space(classes=2, tiles=5, separation=0.7)
    tiles.loc[tiles["clip"] == "s0_1-0-n0", "label"] = ""
    order = np.random.default_rng(5).permutation(len(tiles))
    embedding, tiles = embedding[order], tiles.iloc[order].reset_index(drop=True)
    path = write_space(tmp_path / "long.h5", embedding, tiles)
    return embedding, tiles, path, read_labelled(path, "fold1")


@pytest.mark.parametrize("distant", ["other_clip", "other_session"])
def test_drawn_triplets_keep_their_rule_tile_by_tile(long_clips, distant):
    """Held against what the table of tiles says of every tile drawn."""
    _, tiles, path, space = long_clips
    rule = TRIPLETS.model_copy(update={"distant": distant})
    trained, scored = triplet_draws(path, space, rule, 3)
    table = tiles.iloc[space.row].reset_index(drop=True)
    gaps = set()
    for split, fold in (("train", "fold2"), ("test", "fold1")):
        inside = table[table["fold"] == fold]
        for epoch in (1, 2, 3):
            drawn = scored[split](epoch).reshape(-1, 3)
            assert sorted(drawn[:, 0]) == sorted(inside.index)  # every labelled tile of the split is an anchor once
            for anchor, neighbour, far in ([table.iloc[place] for place in three] for three in drawn):
                assert neighbour["clip"] == anchor["clip"]
                gaps.add(abs(neighbour["start_s"] - anchor["start_s"]))
                own = "clip" if distant == "other_clip" else "session"
                assert far[own] != anchor[own]
                assert far["fold"] == neighbour["fold"] == fold
    assert gaps == {1.0, 2.0}
    assert np.array_equal(trained(2), scored["train"](2))
    assert not np.array_equal(trained(1), trained(2))
    assert np.array_equal(trained(2), triplet_draws(path, space, rule, 3)[0](2))
    assert not np.array_equal(trained(2), triplet_draws(path, space, rule, 4)[0](2))


def test_every_neighbour_and_every_distant_clip_is_as_likely_as_the_others(long_clips):
    _, tiles, path, space = long_clips
    trained, _ = triplet_draws(path, space, TRIPLETS, 3)
    table = tiles.iloc[space.row].reset_index(drop=True)
    drawn = np.concatenate([trained(epoch) for epoch in range(1, 401)]).reshape(-1, 3)
    middle = table.index[(table["clip"] == "s1_1-0-n0") & (table["start_s"] == 2.0)][0]
    here = drawn[drawn[:, 0] == middle]
    assert len(here) == 400
    # Four neighbours of probability 1/4 in 400 draws: 100 each with a standard deviation of 8.7.
    counts = table["start_s"][here[:, 1]].value_counts()
    assert set(counts.index) == {0.0, 1.0, 3.0, 4.0}
    assert counts.between(100 - 5 * 8.7, 100 + 5 * 8.7).all()
    clips = table["clip"][here[:, 2]].value_counts()
    others = set(table.loc[table["fold"] == "fold2", "clip"]) - {"s1_1-0-n0"}
    mean = 400 / len(others)
    assert set(clips.index) == others
    assert clips.between(mean - 5 * mean**0.5, mean + 5 * mean**0.5).all()


def test_redrawn_tiles_are_what_is_trained_on_and_scored(long_clips, tmp_path):
    """Every number of the table against a slow plain version that goes through the tiles one by one."""
    _, _, path, space = long_clips
    settings_ = ByEpoch.of(BY_EPOCH | {"batch_size": 15, "epochs": 2, "tiles": "triplets"})
    even, given = settings_.model_copy(update={"tiles": "even"}), ProbeInput(path, "fold1")
    fit_by_epoch(given, settings_, TRIPLETS, 3, tmp_path / "redrawn.tsv")
    table = read_table(tmp_path / "redrawn.tsv", ("softmax", "split"))
    trained, scored = triplet_draws(path, space, TRIPLETS, 3)
    weights = list(train_by_epoch(space.embedding, space.label, trained, 2, settings_, True, 3))
    for epoch, weight in enumerate(weights, start=1):
        for split in ("train", "test"):
            counts, losses = np.zeros((2, 2)), []
            for tile in scored[split](epoch):
                logits = np.append(space.embedding[tile], 1.0) @ weight
                counts[space.label[tile], logits.argmax()] += 1
                losses.append(loss_and_gradient(logits[None], space.label[[tile]], True)[0][0])
            f1 = [2 * counts[k, k] / (counts[k].sum() + counts[:, k].sum()) for k in (0, 1)]
            (row,) = table[(table["epoch"] == epoch) & (table["split"] == split)].to_dict("records")
            assert row["macro_f1"] == pytest.approx(np.mean(f1))
            assert row["cross_entropy"] == pytest.approx(np.mean(losses))
    fit_by_epoch(given, even, None, 3, tmp_path / "even.tsv")
    assert not table.equals(read_table(tmp_path / "even.tsv", ("softmax", "split")))


def test_a_split_of_single_tiles_has_no_triplets(by_epoch):
    with pytest.raises(InputError, match="triplets needs a labelled clip of two tiles in the train split; its 36"):
        by_epoch(*make_space(tiles=1), tiles="triplets", triplets=TRIPLETS)


def test_no_labels_leave_headers_only(by_epoch, fit):
    embedding, tiles = make_space()
    tiles["label"] = ""
    columns = ["softmax", "epoch", "split", "macro_f1", "macro_f1_clip", "cross_entropy"]
    assert by_epoch(embedding, tiles).columns.tolist() == columns
    assert len(by_epoch(embedding, tiles)) == 0
    for probe in PROBES:
        scores, counts = fit(embedding, tiles, probe=probe)
        assert scores.columns.tolist() == SCORE_COLUMNS
        assert counts.columns.tolist() == COUNT_COLUMNS
        assert len(scores) == len(counts) == 0


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
    assert value(scores, "validation", "clip", "c_at_end") == 1  # of a grid of two every C is an end
    rest = scores[~scores["measure"].isin(["c", "c_at_end"])]
    assert len(rest) == 3 * 3 * (4 + 3)
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
    assert value(scores, "test", "tile", "cross_entropy") == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("probe", "changes"),
    [
        ("converged", {"c_grid": [1.0]}),
        ("knn", {"k_grid": [5]}),
        ("mlp", {"layers": [1], "learning_rates": [0.01], "max_epochs": 3}),
        ("few_shot", {"sessions": [20]}),
    ],
)
def test_permuted_labels_score_near_chance(fit, probe, changes):
    # Labels of sessions, not of tiles, are permuted; a guess among 3 classes has a macro-F1 of about 1/3. The
    # mean of 20 must lie within 4 of its standard errors, with 0.2 for one score, which is asserted.
    found = []
    for seed in range(20):
        embedding, tiles = make_space(sessions=8, clips=1, nodes=1, separation=0)
        sessions = tiles["session"].unique()
        label = np.random.default_rng(seed).permutation([f"class{k % 3}" for k in range(len(sessions))])
        tiles["label"] = tiles["session"].map(dict(zip(sessions, label, strict=True)))
        scores, _ = fit(embedding, tiles, seed=seed, probe=probe, **changes)
        found.append(value(scores, "test", "clip", "macro_f1", probe=scores["probe"].iloc[0]))
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
def test_pooled_posteriors_are_the_mean_over_the_tiles_of_a_group(seed):
    rng = np.random.default_rng(seed)
    group, posterior = rng.integers(0, 5, 12), rng.dirichlet(np.ones(3), 12).astype(np.float32)
    got, first = pooled(group, posterior)
    assert group[first].tolist() == sorted(set(group))
    for probability, one in zip(got, group[first], strict=True):
        assert probability == pytest.approx(sum(posterior[group == one]) / (group == one).sum(), rel=1e-5)


def known_before_scoring(scores):
    """Rows that must not hang on the test tiles of fold1: of training, of validation, and what that chose."""
    chosen = scores["split"].isin(["train", "validation"]) | ((scores["split"] == "fold1") & (scores["measure"] == "c"))
    return scores[chosen & (scores["class"] != POISON)].reset_index(drop=True)


@pytest.mark.parametrize("probe", PROBES)
def test_test_embeddings_change_no_number_of_training_or_validation(fit, probe):
    """M3: whatever the test tiles are, scaler, choice and fit are the same to the bit."""
    embedding, tiles = make_space()
    fold = (tiles["fold"] == "fold1").to_numpy()
    one, _ = fit(embedding, tiles, probe=probe)
    two, _ = fit(np.where(fold[:, None], 100 - 3 * embedding, embedding), tiles, probe=probe)
    assert len(known_before_scoring(one))
    assert known_before_scoring(one).equals(known_before_scoring(two))
    assert not one.equals(two)


@pytest.mark.parametrize("poison", ["class1", POISON])
@pytest.mark.parametrize("probe", PROBES)
def test_poisoned_test_labels_change_no_choice_and_no_prediction(fit, probe, poison):
    """M4: the labels of the test split are read when it is scored, and not before."""
    embedding, tiles = make_space(separation=0.7)
    label = tiles["label"].where((tiles["fold"] != "fold1") | (tiles["session"] == "s0_0"), poison)
    scores, counts = fit(embedding, tiles, probe=probe)
    poisoned_scores, poisoned_counts = fit(embedding, tiles.assign(label=label), probe=probe)
    assert known_before_scoring(poisoned_scores).equals(known_before_scoring(scores))
    inside = [table[table["split"].isin(["train", "validation"])] for table in (counts, poisoned_counts)]
    assert inside[0].reset_index(drop=True).equals(inside[1].reset_index(drop=True))  # what arms are chosen by
    keys = [key for key in COUNT_KEYS if key != "label"]
    one, two = (
        table[table["split"].isin(["test", "fold1"])].groupby(keys)[["count", "confidence"]].sum()
        for table in (counts, poisoned_counts)
    )
    assert len(one)
    assert two.equals(one)
    assert not poisoned_counts["label"].equals(counts["label"])


@pytest.mark.parametrize("poison", ["class1", POISON, "other tiles"])
def test_test_tiles_and_their_labels_do_not_reach_the_by_epoch_training(by_epoch, poison):
    embedding, tiles = make_space(separation=0.7)
    test = (tiles["fold"] == "fold1").to_numpy()
    if poison == "other tiles":
        other = np.where(test[:, None], 7 - embedding, embedding), tiles
    else:
        other = embedding, tiles.assign(label=tiles["label"].where(~test | (tiles["session"] == "s0_0"), poison))
    one, two = by_epoch(embedding, tiles), by_epoch(*other)
    train = one["split"] == "train"
    assert one[train].equals(two[train])
    assert not one[~train].equals(two[~train])


@pytest.mark.parametrize("probe", PROBES)
def test_counts_by_session_hold_what_the_scores_were_computed_from(fit, probe):
    scores, counts = fit(*make_space(separation=0.7), probe=probe)
    assert {"tile", "segment", "clip"} == set(counts["unit"])
    for keys, part in counts.groupby(["probe", "split", "draw", "unit"]):
        found = dict(zip(("probe", "split", "draw", "unit"), keys, strict=True))
        split, unit = found.pop("split"), found.pop("unit")
        total = part["count"].sum()
        right = part["label"] == part["predicted"]
        assert value(scores, split, unit, "accuracy", **found) == pytest.approx(part.loc[right, "count"].sum() / total)
        if probe == "knn":
            assert part["loss"].isna().all()
        else:
            assert value(scores, split, unit, "cross_entropy", **found) == pytest.approx(part["loss"].sum() / total)
        gaps = [
            abs((rows["count"] * (rows["label"] == rows["predicted"]) - rows["confidence"]).sum())
            for _, rows in part.groupby("bin")
        ]
        assert value(scores, split, unit, "ece", **found) == pytest.approx(sum(gaps) / total)


def test_both_forms_of_the_softmax_are_fitted_from_the_same_start(by_epoch):
    space = make_space()
    table = by_epoch(*space, double_softmax=[True, False])
    parts = {softmax: part.reset_index(drop=True) for softmax, part in table.groupby("softmax")}
    assert list(parts) == ["double", "single"]
    assert parts["double"].equals(by_epoch(*space, double_softmax=True))
    assert parts["single"].equals(by_epoch(*space, double_softmax=False))


def test_a_tile_whose_class_the_by_epoch_probe_does_not_know_has_no_loss(by_epoch):
    embedding, tiles = make_space()
    table = by_epoch(embedding, tiles.assign(label=tiles["label"].where(tiles["session"] != "s2_0", "new")))
    assert np.isfinite(table["cross_entropy"]).all()


@pytest.mark.finding("B5", "C3")
@pytest.mark.parametrize("k", [4, 5])
@pytest.mark.parametrize("centred", [True, False])
def test_neighbours_vote_as_in_a_plain_loop(fit, k, centred):
    """About the mean of the training tiles and about the origin; ties go to the class with the larger cosines."""
    embedding, tiles = make_space(separation=0.7)
    embedding = embedding + np.float32(4)  # an offset that all tiles share
    _, counts = fit(embedding, tiles, probe="knn", k_grid=[k])
    test, label = (tiles["fold"] == "fold1").to_numpy(), tiles["label"].to_numpy(object)
    points = embedding.astype(float) - (embedding[~test].astype(float).mean(axis=0) if centred else 0)
    hits = ties = 0
    for x, truth in zip(points[test], label[test], strict=True):
        cosine = np.array([x @ y / np.sqrt((x @ x) * (y @ y)) for y in points[~test]])
        nearest = np.argsort(cosine)[::-1][:k]
        votes = {name: (label[~test][nearest] == name).sum() for name in set(label)}
        tied = [name for name in votes if votes[name] == max(votes.values())]
        ties += len(tied) > 1
        hits += max(tied, key=lambda name: cosine[nearest][label[~test][nearest] == name].sum()) == truth
    tile = counts[(counts["unit"] == "tile") & (counts["probe"] == ("knn" if centred else "knn_uncentred"))]
    assert ties > 5
    assert tile.loc[tile["label"] == tile["predicted"], "count"].sum() == hits


@pytest.mark.finding("C3")
def test_a_tie_goes_to_the_nearer_neighbour_and_not_to_the_first_name(fit):
    """Two tiles of a clip, of which one nearest neighbour is of class a, the other, nearer one of class b."""
    at = np.radians([20, 180, 55, 240, 0, 60])  # the last two are the clip asked
    points = np.column_stack([np.cos(at), np.sin(at)]).astype(np.float32)
    tiles = pd.DataFrame({"clip": ["s0", "s1", "s2", "s3", "s4", "s4"], "node": "n", "label": [*"aabbbb"]})
    tiles = tiles.assign(moment=tiles["clip"], session=tiles["clip"])
    tiles = tiles.assign(fold=["fold2"] * 4 + ["fold1"] * 2, start_s=[0.0] * 5 + [1.0])
    scores, counts = fit(points, tiles, probe="knn", k_grid=[1])
    here = counts[(counts["probe"] == "knn_uncentred") & (counts["unit"] == "clip")]
    assert here["predicted"].tolist() == ["b"]
    assert value(scores, "test", "tile", "accuracy", probe="knn_uncentred") == 0.5


@pytest.mark.finding("C3")
def test_votes_of_neighbours_have_no_cross_entropy(fit):
    scores, counts = fit(*make_space(), probe="knn")
    assert set(scores["measure"]) == {"k", "macro_f1", "accuracy", "ece", "f1"}
    assert counts["loss"].isna().all()


def test_k_is_chosen_on_validation_clips_and_is_at_most_the_number_of_tiles(fit):
    embedding, tiles = make_space(separation=6)
    scores, _ = fit(embedding, tiles, probe="knn")
    # All of 1 and 3 are right: the smallest of equals.
    assert value(scores, "validation", "clip", "k", probe="knn") == 1
    scores, _ = fit(embedding, tiles, probe="knn", k_grid=[10_000])
    fitted = 3 * 2 * 3 * 2 * 2  # of fold2
    assert value(scores, "validation", "clip", "k", probe="knn") < fitted


def test_the_settings_of_the_mlp_come_from_the_grid_and_it_learns_what_no_line_parts(fit):
    _, tiles = make_space(classes=2, sessions=8, dim=2)
    rng = np.random.default_rng(0)
    points = (4 * rng.choice([-1, 1], (len(tiles), 2)) + rng.normal(size=(len(tiles), 2))).astype(np.float32)
    tiles["label"] = np.where(points.prod(axis=1) > 0, "same sign", "other sign")  # no line parts them
    tiles["moment"] += tiles["label"]
    grid = {"width": 32, "learning_rates": [0.03, 0.01], "max_epochs": 60, "patience": 20}
    scores, _ = fit(points, tiles, probe="mlp", **grid)
    assert value(scores, "validation", "clip", "layers") in MLP["layers"]
    assert value(scores, "validation", "clip", "learning_rate") in grid["learning_rates"]
    assert value(scores, "test", "tile", "accuracy") > 0.95
    line, _ = fit(points, tiles)
    assert value(line, "test", "tile", "accuracy") < 0.7


def test_few_sessions_that_hold_one_class_are_refused(fit):
    embedding, tiles = make_space(classes=2)
    tiles["label"] = "class0"
    last = tiles.index[tiles["fold"] == "fold2"][-1]  # one clip of one session is of the other class
    tiles.loc[last, ["moment", "label"]] = ["other", "class1"]
    with pytest.raises(InputError, match="the few-shot probe needs sessions of at least two classes; 1 of each"):
        fit(embedding, tiles, probe="few_shot", sessions=[1], draws=5)


def test_few_shots_are_whole_training_sessions_the_same_in_every_space(tmp_path):
    embedding, tiles = make_space(sessions=10)
    spaces = [
        read_labelled(write_space(tmp_path / f"{k}.h5", points, rows), "fold1")
        for k, (points, rows) in enumerate([(embedding, tiles), (-embedding[::-1], tiles[::-1])])
    ]
    chosen = [
        [
            (k, draw, {space.sessions[s] for s in space.session[rows]})
            for k, draw, rows in draws(space, FewShot.of(FEW_SHOT))
        ]
        for space in spaces
    ]
    assert chosen[0] == chosen[1]
    assert [(k, draw) for k, draw, _ in chosen[0]] == [(1, 0), (1, 1), (5, 0)]
    for k, _, sessions in chosen[0]:
        assert sorted(name[1] for name in sessions) == sorted(k * "012")
    assert chosen[0][0][2] != chosen[0][1][2]
    training = set(tiles["session"][tiles["fold"] != "fold1"])
    assert chosen[0][2][2] == training  # five sessions of each class are all


def test_a_class_with_fewer_sessions_gives_all_and_larger_numbers_are_left_out(fit):
    embedding, tiles = make_space(sessions=8)
    tiles["label"] = tiles["label"].where(~tiles["session"].isin(["s2_1", "s2_3"]), "class1")
    scores, _ = fit(embedding, tiles, probe="few_shot", sessions=[1, 3, 6, 20])
    assert scores["probe"].unique().tolist() == ["few_shot_1", "few_shot_3", "few_shot_6"]
    sessions = scores[scores["measure"] == "sessions"].groupby("probe")["value"].unique()
    assert sessions["few_shot_1"].tolist() == [1.0]
    assert sessions["few_shot_3"].tolist() == pytest.approx([(3 + 3 + 2) / 3])
    assert sessions["few_shot_6"].tolist() == [(4 + 6 + 2) / 3]


def test_every_fold_is_scored_as_the_converged_probe_scores_it(fit):
    embedding, tiles = make_space(separation=0.7)
    folds, _ = fit(embedding, tiles, probe="folds")
    one, _ = fit(embedding, tiles)
    for unit in ("tile", "segment", "clip"):
        assert value(folds, "fold1", unit, "macro_f1") == value(one, "test", unit, "macro_f1")
        means = folds[(folds["split"] == "mean") & (folds["unit"] == unit) & (folds["measure"] == "macro_f1")]
        assert means["value"].tolist() == [value(folds, f"fold{k}", unit, "macro_f1") for k in (1, 2)]


@pytest.mark.parametrize("name", ["validation", "test", "train", "mean"])
def test_a_fold_that_has_the_name_of_a_split_is_refused_where_every_fold_is_scored(fit, name):
    """In the tables their rows would be taken for each other's."""
    embedding, tiles = make_space()
    named = tiles.assign(fold=tiles["fold"].replace("fold2", name))
    with pytest.raises(InputError, match=f"probe_folds: all must find folds with names of their own.*got '{name}'"):
        fit(embedding, named, probe="folds")
    assert len(fit(embedding, named)[0])  # where one fold alone is held out, no table has names of folds


@pytest.mark.finding("C2")
@pytest.mark.parametrize("probe", PROBES)
def test_a_segment_is_what_one_node_heard_in_all_its_channels(fit, probe):
    _, counts = fit(*make_space(), probe=probe)
    here = counts[(counts["split"] == ("fold1" if probe == "folds" else "test")) & (counts["draw"] == 0)]
    items = here[here["probe"] == here["probe"].iloc[0]].groupby("unit")["count"].sum()
    assert items.to_dict() == {"tile": 72, "segment": 36, "clip": 18}  # 2 tiles in a clip of one of 2 nodes


@pytest.mark.parametrize("probe", ["converged", "knn"])
def test_chunks_of_any_size_give_the_same_scores(fit, probe, monkeypatch):
    embedding, tiles = make_space(separation=0.7)
    whole, _ = fit(embedding, tiles, probe=probe)
    monkeypatch.setattr(standardised, "CHUNK", 7)
    monkeypatch.setattr(knn, "QUERIES", 5)
    monkeypatch.setattr(space_file, "CODED_ROWS", 11)
    parts, _ = fit(embedding, tiles, probe=probe)
    assert parts["value"].to_numpy() == pytest.approx(whole["value"].to_numpy(), rel=1e-3, nan_ok=True)


def test_the_coded_reading_agrees_with_the_plain_one(tmp_path, monkeypatch):
    monkeypatch.setattr(space_file, "CODED_ROWS", 5)
    embedding, tiles = make_space()
    tiles = tiles.sample(frac=1, random_state=1).reset_index(drop=True)
    path = write_space(tmp_path / "x.h5", embedding, tiles)
    plain, table, _ = space_file.read_embeddings(path)
    coded, columns = space_file.read_coded_embeddings(path, ("session", "label"))
    assert np.array_equal(plain, coded)
    for column, (codes, names) in columns.items():
        assert names == sorted(set(table[column]))
        assert [names[k] for k in codes] == table[column].tolist()


def separable(seed=0):
    """As many tiles, dimensions and classes as the demo has; training tiles separate, directions are unequal."""
    rng = np.random.default_rng(seed)
    session = np.arange(1020) // 10
    label = rng.integers(0, 7, 102)[session]
    centre, offset = 0.5 * rng.normal(size=(7, 64)), 0.5 * rng.normal(size=(102, 64))
    mixing = rng.normal(size=(64, 64)) * np.geomspace(1, 0.002, 64)[:, None]
    embedding = (centre[label] + offset[session] + rng.normal(size=(1020, 64))) @ mixing
    embedding = (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)
    test = np.arange(1020) >= 790
    names = [f"class{k}" for k in range(7)]
    return LabelledSpace(embedding, label, names, 7, session, [str(k) for k in range(102)], session, session, test,
                         np.arange(1020))  # fmt: skip


def minimiser(space, c):
    """The posteriors of the test tiles by scikit-learn in float64, with the tightest tolerance."""
    from sklearn.linear_model import LogisticRegression

    x = space.embedding.astype(np.float64)
    x = (x - x[~space.test].mean(axis=0)) / x[~space.test].std(axis=0)
    model = LogisticRegression(C=c, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    return model.fit(x[~space.test], space.label[~space.test]).predict_proba(x[space.test])


@pytest.mark.finding("A2")
@pytest.mark.parametrize("most_exact", [logistic.MOST_EXACT, 0])
@pytest.mark.parametrize("c", [0.01, 1.0, 100.0, 10_000.0])
def test_posteriors_are_those_of_the_minimiser_where_the_classes_separate(c, most_exact, monkeypatch):
    """By both of the solvers."""
    monkeypatch.setattr(logistic, "MOST_EXACT", most_exact)
    space = separable()
    found = logistic.fit(space, ~space.test, c)
    if c > 100:
        assert np.array_equal(found.posterior(~space.test).argmax(axis=1), space.label[~space.test])
    assert found.posterior(space.test) == pytest.approx(minimiser(space, c), abs=1e-3)


def test_two_classes_have_the_minimum_of_the_binary_objective():
    space = separable()
    pair = replace(space, label=(space.label > 2).astype(np.intp), classes=["a", "b"], n_known=2)
    for c in (1.0, 100.0):
        assert logistic.fit(pair, ~pair.test, c).posterior(pair.test) == pytest.approx(minimiser(pair, c), abs=1e-3)


@pytest.mark.finding("A2")
@pytest.mark.parametrize("seed", range(3))
def test_noise_of_a_millionth_changes_neither_posteriors_nor_scores(seed):
    space = separable()
    rng = np.random.default_rng(seed)
    noise = 1 + 1e-6 * rng.standard_normal(space.embedding.shape)
    near = replace(space, embedding=(space.embedding * noise).astype(np.float32))
    one, other = (logistic.fit(some, ~some.test, 100.0).posterior(some.test) for some in (space, near))
    assert one == pytest.approx(other, abs=1e-3)
    label = space.label[space.test]
    tables = [confusion_matrix(label, posterior.argmax(axis=1), 7) for posterior in (one, other)]
    assert macro_f1(tables[0]) == macro_f1(tables[1])
    assert accuracy(tables[0]) == accuracy(tables[1])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_largest_gradient_agrees_with_finite_differences(monkeypatch, classes):
    """At weights that are no minimum, chunk by chunk, against the objective in its plainest form."""
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(logistic, "CHUNK_VALUES", 300)
    rng, c = np.random.default_rng(0), 2.0
    inputs, label = rng.normal(size=(90, 5)), np.arange(90) % classes
    model = LogisticRegression(max_iter=5000).fit(inputs, label)
    model.coef_, model.intercept_ = (0.3 * rng.normal(size=array.shape) for array in (model.coef_, model.intercept_))

    def objective() -> float:
        chosen = model.predict_proba(inputs)[np.arange(90), label]
        return 0.5 * float((model.coef_**2).sum()) - c * float(np.log(chosen).sum())

    slopes = []
    for array in (model.coef_, model.intercept_):
        for place in np.ndindex(array.shape):
            ends = []
            for step in (1e-5, -2e-5):
                array[place] += step
                ends.append(objective())
            array[place] += 1e-5
            slopes.append(abs(ends[0] - ends[1]) / 2e-5)
    assert logistic.largest_gradient(model, inputs, label, c) == pytest.approx(max(slopes), rel=1e-6)


@pytest.mark.finding("A2")
def test_a_fit_that_does_not_converge_is_an_error(monkeypatch):
    monkeypatch.setattr(logistic, "MOST_ITERATIONS", 2)
    space = separable()
    with pytest.raises(InputError, match="did not converge with C = 100 on 790 tiles: the largest component of its"):
        logistic.fit(space, ~space.test, 100.0)


@pytest.mark.parametrize(("grid", "ends"), [([1.0], False), ([0.1, 1.0], True), ([0.1, 1.0, 10.0], False)])
@pytest.mark.finding("A2")
def test_a_c_at_the_end_of_its_grid_is_recorded(grid, ends):
    assert logistic.ends_grid(1.0, grid) is ends


@pytest.mark.finding("C5")
@pytest.mark.parametrize("probe", ["converged", "knn", "mlp", "folds"])
def test_a_space_without_a_seed_is_scored_with_the_validation_sessions_of_every_seed(fit, probe):
    """Each draw is, number for number, what one seed alone gives."""
    space = make_space(sessions=8, separation=0.4)
    scores, counts = fit(*space, probe=probe, seeds=[3, 4, 9])
    own = ("fold1", "fold2") if probe == "folds" else ("validation", "test", "train")
    for draw, seed in enumerate([3, 4, 9]):
        one, one_counts = fit(*space, probe=probe, seeds=[seed])
        for found, alone in ((scores, one), (counts, one_counts)):
            here = found[(found["draw"] == draw) & found["split"].isin(own)]
            alone = alone[alone["split"].isin(own)].assign(draw=draw)
            assert here.reset_index(drop=True).equals(alone.reset_index(drop=True))
    parts = [rows["value"].tolist() for _, rows in scores[scores["split"] == own[0]].groupby("draw")]
    assert parts[0] != parts[1] or probe == "folds"  # of which the test sessions alone are scored


@pytest.mark.finding("C5")
def test_the_folds_of_a_space_without_a_seed_are_averaged_over_folds_and_seeds(fit):
    scores, _ = fit(*make_space(sessions=8, separation=0.4), probe="folds", seeds=[3, 4])
    mean = scores[(scores["split"] == "mean") & (scores["unit"] == "segment") & (scores["measure"] == "macro_f1")]
    one = [value(scores, f"fold{k}", "segment", "macro_f1", draw=draw) for draw in (0, 1) for k in (1, 2)]
    assert mean.set_index("draw")["value"].to_dict() == dict(enumerate(one))
