import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from sklearn.metrics import silhouette_score

from lambdascape.config.settings import Geometry
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table
from lambdascape.embeddings.held_out import read_held_out
from lambdascape.geometry import shape
from support.spaces import make_space, write_space

CENTRED = ["effective_rank", "alignment", "uniformity"]
SHAPE = [
    *CENTRED, *(f"{measure}_uncentred" for measure in CENTRED),
    "participation_ratio", "intrinsic_dimension", "norm_mean", "norm_std",
]  # fmt: skip
SEPARATION = ["silhouette", "intra_inter_ratio", "centroid_distance", "kmeans_ami", "kmeans_nmi"]
RETRIEVAL = ["precision_at_1", "r_precision", "map_at_r"]
COUNTS = ["retrieval_tiles", "retrieval_groups", "separation_points", "separation_groups"]
OF = ("", "_session", "_node")
MEASURES = [
    *SHAPE,
    *(f"{m}{of}" for of in OF for m in (*SEPARATION, *RETRIEVAL, "retrieval_chance", *COUNTS)),
    *(f"{m}{of}_uncentred" for of in OF for m in (*SEPARATION, *RETRIEVAL)),
]


def grouped(of=""):
    """The names of what is asked of one kind of group, but for counts."""
    both = [f"{m}{of}{ending}" for ending in ("", "_uncentred") for m in (*SEPARATION, *RETRIEVAL)]
    return {*both, f"retrieval_chance{of}"}


def measure(tmp_path, embedding, tiles, max_tiles=1000, seed=1):
    path = write_space(tmp_path / "space.h5", embedding, tiles)
    outputs = [tmp_path / f"{name}.tsv" for name in ("geometry", "spectrum", "centroids")]
    shape.measure_geometry(path, "fold1", Geometry.of({"max_tiles": max_tiles, "draw_seed": seed}), *outputs)
    table = read_table(tmp_path / "geometry.tsv", ("split", "measure", "reason"))
    assert table["split"].eq("test").all()
    assert table["reason"].ne("").equals(table["value"].isna())
    return dict(zip(table["measure"], table["value"], strict=True))


def reasons(tmp_path):
    table = read_table(tmp_path / "geometry.tsv", ("split", "measure", "reason"))
    return dict(zip(table["measure"], table["reason"], strict=True))


def test_ranks_agree_with_plain_loops():
    x = np.random.default_rng(0).normal(size=(30, 5)) * [3, 2, 1, 0.5, 0.1] + 1
    sigma = np.sqrt(np.linalg.eigvalsh(x.T @ x))
    entropy = -sum(s / sum(sigma) * np.log(s / sum(sigma)) for s in sigma)
    assert shape.effective_rank(x) == pytest.approx(np.exp(entropy))
    v = np.linalg.eigvalsh(np.cov(x.T))
    assert shape.participation_ratio(x) == pytest.approx(sum(v) ** 2 / sum(e**2 for e in v))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_equal_orthogonal_directions_have_rank_k(k):
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(8, k)))[0].T  # (k, 8)
    x = np.concatenate([basis, -basis])
    assert shape.effective_rank(x) == pytest.approx(k)
    assert shape.participation_ratio(x) == pytest.approx(k)


def test_alignment_and_uniformity_agree_with_plain_loops(monkeypatch):
    monkeypatch.setattr(shape, "CHUNK", 7)
    x = np.random.default_rng(3).normal(size=(25, 4))
    unit = np.array([row / np.sqrt(sum(row**2)) for row in x])
    pairs = np.array([[0, 1], [3, 4], [10, 2]])
    assert shape.alignment(x, pairs) == pytest.approx(np.mean([sum((unit[i] - unit[j]) ** 2) for i, j in pairs]))
    potentials = [np.exp(-2 * d**2) for d in pdist(unit)]
    assert shape.uniformity(x) == pytest.approx(np.log(np.mean(potentials)))


def test_a_space_collapsed_to_one_point_has_what_is_defined(tmp_path):
    embedding, tiles = make_space()
    embedding = np.tile(np.float32([0.3, -0.1, 0.7, 0, 0.2, 0.6]), (len(embedding), 1))
    values = measure(tmp_path, embedding, tiles)
    assert [values["effective_rank"], values["effective_rank_uncentred"]] == pytest.approx([1, 1])
    both = [f"{name}{ending}" for name in ("alignment", "uniformity") for ending in ("", "_uncentred")]
    both += [f"{m}{of}{e}" for m in ("silhouette", "centroid_distance") for of in OF for e in ("", "_uncentred")]
    for name in (*both, "norm_std"):
        assert values[name] == pytest.approx(0, abs=1e-6)
    defined = {"effective_rank", "effective_rank_uncentred", "norm_mean", "norm_std", *both}
    defined |= {f"{m}{of}" for m in COUNTS for of in OF}
    assert {name for name in MEASURES if not np.isnan(values[name])} == defined
    assert read_table(tmp_path / "spectrum.tsv")["share"].isna().all()


def test_a_space_of_zeros_has_the_least_rank_and_no_division_by_zero(tmp_path):
    embedding, tiles = make_space()
    values = measure(tmp_path, 0 * embedding, tiles)
    assert values["effective_rank"] == 1
    assert np.isnan(values["participation_ratio"])
    assert [values[name] for name in ("alignment", "uniformity", "silhouette", "norm_mean", "norm_std")] == [0] * 5


def test_one_tile_gives_what_is_defined(tmp_path):
    embedding, tiles = make_space()
    tiles.loc[1:, "fold"] = "fold2"
    values = measure(tmp_path, embedding, tiles)
    defined = {"effective_rank", "effective_rank_uncentred", "norm_mean", "norm_std"}
    assert {name for name in MEASURES if not np.isnan(values[name])} - {
        f"{m}{of}" for m in COUNTS for of in OF
    } == defined
    assert values["effective_rank"] == values["effective_rank_uncentred"] == 1
    assert values["norm_mean"] == pytest.approx(np.linalg.norm(embedding[0]))


def test_only_the_test_split_is_measured_and_of_the_training_split_its_mean_counts(tmp_path):
    embedding, tiles = make_space()
    fold = (tiles["fold"] == "fold1").to_numpy()
    values = measure(tmp_path, embedding, tiles)
    assert list(values) == MEASURES
    mean = embedding[~fold].mean(axis=0, dtype=float)
    wider = (mean + 9 * (embedding - mean)).astype(np.float32)
    other = measure(tmp_path, np.where(fold[:, None], embedding, wider), tiles)
    assert values == pytest.approx(other, rel=1e-5, nan_ok=True)
    assert values["norm_mean"] == pytest.approx(np.linalg.norm(embedding[fold], axis=1).mean())
    held_out = embedding[fold].astype(float)
    assert values["effective_rank"] == pytest.approx(shape.effective_rank(held_out - mean))
    assert values["effective_rank_uncentred"] == pytest.approx(shape.effective_rank(held_out))
    assert values["uniformity"] == pytest.approx(shape.uniformity(held_out - mean))


def test_a_fold_of_all_tiles_or_of_none_is_refused(tmp_path):
    embedding, tiles = make_space()
    for fold, message in (("fold1", r"space\.h5: must have training tiles beside the fold 'fold1'"),
        ("fold3", r"split\.test_fold must be a fold")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            measure(tmp_path, embedding, tiles.assign(fold=fold))


@pytest.mark.finding("B5")
def test_a_constant_that_all_tiles_share_changes_no_number_but_the_uncentred(tmp_path):
    """A tight cone: its rank is 1 as it is, and nearly the dimension less the mean of the training tiles."""
    _, tiles = make_space(classes=3, sessions=6, clips=4)
    spread = np.random.default_rng(4).normal(size=(len(tiles), 6)).astype(np.float32)
    here = measure(tmp_path, spread, tiles)
    away = measure(tmp_path, spread + np.float32([300, 0, 0, 0, 0, 0]), tiles)
    unchanged = [name for name in MEASURES if not name.endswith("_uncentred") and not name.startswith("norm_")]
    assert [away[name] for name in unchanged] == pytest.approx(
        [here[name] for name in unchanged], abs=1e-3, nan_ok=True
    )
    assert away["effective_rank"] > 5.7
    assert away["effective_rank_uncentred"] < 1.2
    assert here["effective_rank_uncentred"] == pytest.approx(here["effective_rank"], abs=0.1)
    assert away["uniformity_uncentred"] == pytest.approx(0, abs=1e-3)


def test_without_labels_only_what_asks_for_labels_is_missing(tmp_path):
    embedding, tiles = make_space(clips=10)
    values = measure(tmp_path, embedding, tiles.assign(label=""))
    assert {name for name in MEASURES if np.isnan(values[name])} == {"intrinsic_dimension", *grouped()}
    assert values["retrieval_tiles"] == values["separation_points"] == 0
    assert reasons(tmp_path)["silhouette"] == reasons(tmp_path)["map_at_r_uncentred"] == "no held-out tile has a label"
    assert read_table(tmp_path / "centroids.tsv").empty


def test_without_nodes_only_what_asks_for_nodes_is_missing(tmp_path):
    embedding, tiles = make_space(clips=10)
    values = measure(tmp_path, embedding, tiles.assign(node=""))
    assert {name for name in MEASURES if np.isnan(values[name])} == {"intrinsic_dimension", *grouped("_node")}
    assert reasons(tmp_path)["kmeans_ami_node_uncentred"] == "no held-out tile has a node"


def test_unlabelled_tiles_enter_no_measure_of_labels(tmp_path):
    embedding, tiles = make_space()
    known = measure(tmp_path, embedding, tiles)
    extra = tiles[tiles["fold"] == "fold1"].assign(label="", session="new", moment="new")
    more = np.concatenate([embedding, 5 - embedding[extra.index]])
    found = measure(tmp_path, more, pd.concat([tiles, extra]))
    names = [*grouped(), *COUNTS]
    assert [found[name] for name in names] == pytest.approx([known[name] for name in names])


def test_retrieval_by_label_never_finds_the_own_session_nor_by_session_the_own_moment(tmp_path):
    """Every session is one point, and every moment another one nearby: only what is left out could be found."""
    _, tiles = make_space(classes=3, sessions=4, clips=3)
    session, moment = pd.factorize(tiles["session"])[0], pd.factorize(tiles["moment"])[0]
    points = np.random.default_rng(1).normal(size=(session.max() + 1, 6))[session]
    points = points + 1e-3 * np.random.default_rng(2).normal(size=(moment.max() + 1, 6))[moment]
    values = measure(tmp_path, points.astype(np.float32), tiles)
    assert values["precision_at_1_session"] == values["map_at_r_session"] == 1  # the other moments of the session
    # Of the test split's six sessions, one other is of the tile's class and four are not: chance is 1/5.
    assert values["retrieval_chance"] == pytest.approx(1 / 5)
    assert values["precision_at_1"] < 1
    assert values["retrieval_chance_node"] == pytest.approx(1 / 2)


def one_session_of_most(classes=7, several=("class0", "class1"), sessions=6, **layout):
    """Tiles of which few classes have more than one held-out session."""
    embedding, tiles = make_space(classes=classes, sessions=sessions, **layout)
    first = tiles["session"].str.endswith(("_0", "_1"))
    kept = (first | tiles["label"].isin(several)).to_numpy()
    return embedding[kept], tiles[kept].reset_index(drop=True)


@pytest.mark.finding("B12")
def test_classes_of_one_session_are_asked_nothing_and_two_classes_are_too_few(tmp_path):
    embedding, tiles = one_session_of_most()
    values = measure(tmp_path, embedding, tiles)
    assert {name for name in grouped() if np.isnan(values[name])} == grouped()
    assert {reasons(tmp_path)[name] for name in grouped()} == {
        "2 classes have two held-out sessions or more; 3 are needed"
    }
    held_out = tiles[tiles["fold"] == "fold1"]
    assert values["retrieval_tiles"] == held_out["label"].isin(["class0", "class1"]).sum()
    assert (values["retrieval_groups"], values["separation_groups"], values["separation_points"]) == (2, 2, 6)
    assert values["retrieval_groups_session"] == held_out["session"].nunique()
    three = measure(tmp_path, *one_session_of_most(several=("class0", "class1", "class2")))
    assert (three["retrieval_groups"], three["separation_groups"], three["separation_points"]) == (3, 3, 9)
    assert not np.isnan([three[name] for name in grouped()]).any()


@pytest.mark.finding("B12")
def test_what_is_asked_of_classes_looks_at_the_means_of_sessions(tmp_path):
    """Sessions far apart and classes that say nothing: over tiles, three sessions a class look like classes."""
    _, tiles = make_space(classes=3, sessions=2, clips=10)
    session = pd.factorize(tiles["session"])[0]
    points = 20 * np.random.default_rng(1).normal(size=(session.max() + 1, 6))[session]
    points = (points + np.random.default_rng(2).normal(size=points.shape)).astype(np.float32)
    values = measure(tmp_path, points, tiles)
    assert values["kmeans_ami_session"] > 0.9
    assert np.isnan(values["kmeans_ami"])  # one held-out session a class

    embedding, tiles = make_space(classes=3, sessions=6, clips=5, separation=0.3)
    values = measure(tmp_path, embedding, tiles)
    test = (tiles["fold"] == "fold1").to_numpy()
    centred = embedding.astype(float) - embedding[~test].mean(axis=0, dtype=float)
    names = sorted(set(tiles["session"][test]))
    means = np.array([centred[(tiles["session"] == name).to_numpy()].mean(axis=0) for name in names])
    label = np.array([f"class{name[1]}" for name in names], object)
    assert values["silhouette"] == pytest.approx(silhouette_score(means, label, metric="cosine"))
    assert values["silhouette_session"] == pytest.approx(
        silhouette_score(centred[test], tiles["session"][test], metric="cosine")
    )


def test_runs_are_measured_on_the_same_tiles_whatever_their_embeddings(tmp_path):
    _, tiles = make_space(clips=10)
    drawn = []
    for seed in (1, 2):
        embedding = np.random.default_rng(seed).normal(size=(len(tiles), 3 + seed)).astype(np.float32)
        path = write_space(tmp_path / f"{seed}.h5", embedding, tiles)
        drawn.append(read_held_out(path, "fold1", Geometry(max_tiles=30, draw_seed=7)).drawn.tolist())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 30


def test_a_draw_is_a_function_of_its_seed(tmp_path):
    space = make_space(clips=10)
    draws = [measure(tmp_path, *space, max_tiles=30, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == pytest.approx(draws[1], rel=0, abs=0, nan_ok=True)
    assert draws[0]["uniformity"] != draws[2]["uniformity"]
    assert draws[0]["alignment"] == draws[2]["alignment"]


def test_neighbours_are_consecutive_tiles_of_one_clip():
    tiles = pd.DataFrame({"clip": ["b", "a", "b", "a", "c", "b"], "start_s": [2.0, 0.0, 0.0, 1.0, 0.0, 1.0]})
    assert shape.neighbouring_tiles(tiles).tolist() == [[1, 3], [2, 5], [5, 0]]


def test_the_spectrum_is_that_of_the_covariance(tmp_path):
    embedding, tiles = make_space(clips=10)
    measure(tmp_path, embedding, tiles)
    table = read_table(tmp_path / "spectrum.tsv")
    held_out = embedding[(tiles["fold"] == "fold1").to_numpy()].astype(float)
    values = np.sort(np.linalg.eigvalsh(np.cov(held_out.T, bias=True)))[::-1]
    assert table["direction"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["variance"].to_numpy() == pytest.approx(values)
    assert table["share"].to_numpy() == pytest.approx(values / values.sum())


def test_a_spectrum_has_a_row_for_every_dimension_even_with_fewer_tiles():
    table = shape.spectrum(np.array([[1.0, 0, 0], [0, 1, 0]]))
    assert table["share"].to_numpy() == pytest.approx([1, 0, 0])


def one_each(n):
    return np.array([f"m{i}" for i in range(n)], object)


@pytest.mark.parametrize(("dimension", "tolerance"), [(1, 0.1), (2, 0.2), (5, 0.5)])
def test_twonn_finds_the_dimension_of_a_curved_surface_in_a_wider_space(dimension, tolerance):
    rng = np.random.default_rng(5)
    flat = rng.uniform(size=(3000, dimension))
    wide = np.concatenate([np.sin(flat), flat**2, flat], axis=1) @ rng.normal(size=(3 * dimension, 20))
    assert shape.intrinsic_dimension(wide, one_each(3000)) == pytest.approx(dimension, abs=tolerance)


def test_twonn_agrees_with_a_plain_loop(monkeypatch):
    monkeypatch.setattr(shape, "FEWEST_SESSIONS", 60)
    x = np.random.default_rng(6).normal(size=(60, 4))
    ratios = []
    for i in range(60):
        r = sorted(np.sqrt(sum((x[i] - x[j]) ** 2)) for j in range(60) if j != i)
        ratios.append(r[1] / r[0])
    pairs = [(np.log(mu), -np.log(1 - (k + 1) / 60)) for k, mu in enumerate(sorted(ratios)[:54])]
    slope = sum(a * b for a, b in pairs) / sum(a * a for a, _ in pairs)
    assert shape.intrinsic_dimension(x, one_each(60)) == pytest.approx(slope)


def test_of_each_session_one_tile_is_taken_so_that_clusters_do_not_count():
    rng = np.random.default_rng(7)
    x = np.repeat(rng.normal(size=(2000, 6)), 2, axis=0) + 1e-4 * rng.normal(size=(4000, 6))
    found = shape.intrinsic_dimension(x, np.repeat(one_each(2000), 2))
    assert found == pytest.approx(shape.intrinsic_dimension(x[::2], one_each(2000)), rel=0.02)
    alone = shape.intrinsic_dimension(x, one_each(4000))
    assert alone < found / 2 or alone > 2 * found


def test_twonn_takes_equal_tiles_once_and_is_missing_where_too_few_are_left():
    x = np.random.default_rng(8).normal(size=(1600, 3))
    copied, alone = np.concatenate([x, x[:400]]), shape.intrinsic_dimension(x, one_each(1600))
    assert shape.intrinsic_dimension(copied, one_each(2000)) == pytest.approx(alone)
    assert np.isnan(shape.intrinsic_dimension(np.concatenate([x[:1000], x[:1000]]), one_each(2000)))
    assert np.isnan(shape.intrinsic_dimension(x[:1499], one_each(1499)))
    assert np.isnan(shape.intrinsic_dimension(x[:1500] * 0 + 1, one_each(1500)))


def nested_space(dimension, sessions, moments, tiles, rng):
    """Session, moment and tile effects in all dimensions, laid into 32: the designs of the finding."""
    moment = np.repeat(np.arange(sessions * moments), tiles)
    session = moment // moments
    z = rng.normal(size=(sessions, dimension))[session]
    z += 0.5 * rng.normal(size=(sessions * moments, dimension))[moment] + 0.2 * rng.normal(
        size=(len(moment), dimension)
    )
    return z @ rng.normal(size=(dimension, 32)), np.array([f"s{k}" for k in session], object)


@pytest.mark.finding("A5")
@pytest.mark.parametrize("dimension", [8, 16])
@pytest.mark.parametrize("design", [(9, 3, 9), (30, 20, 5), (1500, 1, 1), (1500, 2, 2)])
def test_the_intrinsic_dimension_is_right_or_missing(dimension, design):
    for number in range(3):
        x, session = nested_space(dimension, *design, np.random.default_rng([5, number]))
        found = shape.intrinsic_dimension(x, session)
        assert np.isnan(found) if design[0] < 1500 else found == pytest.approx(dimension, rel=0.25)


@pytest.mark.finding("A5")
def test_a_missing_dimension_says_why(tmp_path):
    embedding, tiles = make_space()
    assert np.isnan(measure(tmp_path, embedding, tiles)["intrinsic_dimension"])
    words = "it takes one tile of each held-out session and needs 1500 sessions; there are 6"
    assert reasons(tmp_path)["intrinsic_dimension"] == words
