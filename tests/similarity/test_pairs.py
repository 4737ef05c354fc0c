"""Similarity of two spaces: known answers, slow plain versions, and every pair through the files."""

from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import ortho_group, spearmanr

from lambdascape.config.settings import Geometry
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.hdf5 import open_checked
from lambdascape.core.tsv import read_table, write_table
from lambdascape.similarity import jaccard, space_group
from lambdascape.similarity import measures as similarity_measures
from lambdascape.similarity import null_distribution as similarity_null
from lambdascape.similarity.layout import classical_scaling, comparable, map_spaces, matrix
from lambdascape.similarity.measures import cka, crosses, hsic, jaccard_sums, prepare, procrustes, rsa, session_overlaps
from lambdascape.similarity.null_distribution import exchanges, null_of_cka, representatives, why_none
from lambdascape.similarity.pairs import compare_spaces
from lambdascape.similarity.space_summary import NEIGHBOURS, halves, summarise_space
from support.spaces import make_space, write_space
from support.studies import with_identity

SETTINGS = Geometry(max_tiles=1000, draw_seed=3)
LINEAR = ("cka", "procrustes")

DECLARED = declared("similarity_measure")
MEASURES = tuple(DECLARED)
TASKS = {name: {"name": one.task} for name, one in DECLARED.items()}
DISTANCES = ["procrustes"]


def half_of(n):
    return np.random.default_rng(n).permutation(n) % 2 == 0


def linear(measure, x, y, session=None):
    """A measure of two spaces; without sessions every tile is one."""
    session = np.arange(len(x)) if session is None else session
    first, second = (prepare(z, half_of(len(x)), session) for z in (x, y))
    if measure == "procrustes":
        return procrustes(first, second, crosses(first, second))
    return cka(np.array([[hsic(a, b, crosses(a, b)) for b in (first, second)] for a in (first, second)]))[0, 1]


def own_hsic(x, session):
    space = prepare(x, half_of(len(x)), session)
    return hsic(space, space, crosses(space, space))


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(2, 0.5, d)


# --- plain versions --------------------------------------------------------------------------------------------


def plain_hsic(x, y):
    """Song et al. 2012 with whole kernel matrices, not centred."""
    n, K, L = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    one = np.ones(n)
    total = (
        np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ K @ L @ one)
    )
    return total / (n * (n - 3))


def plain_nested_hsic(x, y, session):
    """The mean over all quadruples of sessions and of their tiles, by whole kernel matrices, not centred.

    With sessions of one size it is the sum of `cka_fix.py`, the demonstration of the finding.
    """
    member = session[:, None] == np.unique(session)
    share = member / member.sum(axis=0)  # a session's mean is share' @ its tiles
    K, L = (np.where(session[:, None] == session, 0, z @ z.T) for z in (x, y))
    s, w = member.shape[1], share.sum(axis=1)
    pairs = w @ (K * L) @ w
    KS, LS = K @ share, L @ share
    triples = w @ (KS.sum(axis=1) * LS.sum(axis=1) - (KS * LS).sum(axis=1))
    k, m = share.T @ KS, share.T @ LS
    quadruples = k.sum() * m.sum() - 4 * k.sum(axis=1) @ m.sum(axis=1) + 2 * (k * m).sum()
    return (
        pairs / (s * (s - 1)) + quadruples / (s * (s - 1) * (s - 2) * (s - 3)) - 2 * triples / (s * (s - 1) * (s - 2))
    )


def plain_nested_cka(x, y, session):
    own = plain_nested_hsic(x, x, session) * plain_nested_hsic(y, y, session)
    return plain_nested_hsic(x, y, session) / np.sqrt(own)


def hsic_by_quadruples(x, y, session):
    """The definition: K(ij) (L(ij) + L(qr) - 2 L(iq)), mean over four different sessions and a tile of each."""
    K, L = x @ x.T, y @ y.T
    rows = [np.flatnonzero(session == s) for s in np.unique(session)]
    return np.mean([
        np.mean([K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in product(*four)])
        for four in permutations(rows, 4)
    ])  # fmt: skip


def plain_procrustes(x, y):
    """The rotation found on one half, both spaces brought to mean 0 and length 1, what is left between them."""
    half, left = half_of(len(x)), []
    d = max(x.shape[1], y.shape[1])
    x, y = (np.pad(z, ((0, 0), (0, d - z.shape[1]))) for z in (x, y))
    for fit, score in ((half, ~half), (~half, half)):
        u, _, vt = np.linalg.svd((x[fit] - x[fit].mean(axis=0)).T @ (y[fit] - y[fit].mean(axis=0)))
        a, b = (z[score] - z[score].mean(axis=0) for z in (x, y))
        left.append(np.sum((a @ u @ vt / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2) / 2)
    return np.mean(left)


def plain_jaccard(first, second):
    return np.mean([len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in zip(first, second, strict=True)])


@pytest.mark.parametrize("dims", [(5, 5), (7, 3), (2, 6)])
def test_cka_and_procrustes_agree_with_the_plain_versions(dims):
    x, y = normal(41, dims[0], 1) + 3, normal(41, dims[1], 2) - 1
    y[:, :2] += x[:, :2]
    expected = plain_hsic(x, y) / np.sqrt(plain_hsic(x, x) * plain_hsic(y, y))
    assert linear("cka", x, y) == pytest.approx(expected)
    assert linear("procrustes", x, y) == pytest.approx(plain_procrustes(x, y))


@pytest.mark.parametrize("n", [9, 20, 101])
def test_procrustes_is_missing_where_a_half_is_one_point(n):
    x = normal(n, 4)
    x[half_of(n) == half_of(n)[0]] = [0.1, 0.7, -0.3, 0.2]
    assert np.isnan(linear("procrustes", x, normal(n, 4, 1)))


@given(st.integers(2, 8), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_jaccard_and_rsa_agree_with_the_plain_versions(spaces, k, seed):
    rng = np.random.default_rng(seed)
    lists = np.array([[rng.permutation(30)[:k] for _ in range(12)] for _ in range(spaces)])
    sums = jaccard_sums(lists, 30)
    for i in range(spaces):
        for j in range(spaces):
            assert sums[i, j] / 12 == pytest.approx(plain_jaccard(lists[i], lists[j]))
    a, b = rng.integers(0, 20, (2, 15)).astype(float)
    assert rsa(a, b) == pytest.approx(spearmanr(a, b).statistic)


# --- CKA of nested tiles ---------------------------------------------------------------------------------------


def nested(rng, sessions, moments, tiles, dim=16, weights=(1, 0.5, 0.5)):
    """A space with effects of sessions, moments and tiles of its own; the session and the moment of each tile."""
    session = np.repeat(np.arange(sessions), moments * tiles)
    moment = np.repeat(np.arange(sessions * moments), tiles)
    effects = [rng.normal(size=(n, dim)) for n in (sessions, sessions * moments, len(session))]
    parts = [w * e[k] for w, e, k in zip(weights, effects, (session, moment, np.arange(len(session))), strict=True)]
    return sum(parts), session, moment


def uneven(seed=0, sessions=7):
    """Two related spaces over sessions of different sizes, their tiles not in the order of sessions."""
    rng = np.random.default_rng(seed)
    session = rng.permutation(np.repeat(np.arange(sessions), rng.integers(1, 5, sessions)))
    x = rng.normal(size=(sessions, 3))[session] + rng.normal(size=(len(session), 3)) + 2
    return x, x[:, :2] + rng.normal(size=(len(session), 2)) - 5, session


@pytest.mark.finding("B3")
@pytest.mark.parametrize(
    ("design", "dim", "tile"),
    [((9, 3, 9), 16, 0.5), ((30, 5, 5), 16, 0.5), ((50, 4, 4), 16, 0.5), ((9, 3, 9), 64, 0.3), ((9, 3, 9), 8, 0.3),
        ((50, 20, 4), 64, 0.5), ((200, 10, 2), 64, 0.5)],
)  # fmt: skip
def test_unrelated_spaces_of_nested_tiles_have_no_cka(design, dim, tile):
    """Pairs of tiles of one session, alike in every space, made it 0.1 to 0.8."""
    rng, found, weights = np.random.default_rng(0), [], (1, 0.5, tile)
    for _ in range(40 if design[0] < 50 else 8):
        (x, session, _), (y, _, _) = nested(rng, *design, dim, weights), nested(rng, *design, dim, weights)
        found.append(linear("cka", x, y, session))
    assert np.mean(found) == pytest.approx(0, abs=0.05)
    assert linear("cka", x, 3 * x @ ortho_group.rvs(dim, random_state=1) + 5, session) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_hsic_of_sessions_is_the_mean_over_all_quadruples_of_tiles(seed):
    x, y, session = uneven(seed, 5)
    first, second = (prepare(z, half_of(len(x)), session) for z in (x, y))
    expected = hsic_by_quadruples(x, y, session)
    assert hsic(first, second, crosses(first, second)) == pytest.approx(expected, rel=1e-10)
    assert plain_nested_hsic(x, y, session) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_hsic_of_sessions_agrees_with_whole_kernels_and_knows_no_shift(seed, monkeypatch):
    monkeypatch.setattr(similarity_measures, "CELLS", 20)  # sessions in parts
    x, y, session = uneven(seed, 40)
    expected = plain_nested_hsic(x, y, session)
    assert plain_nested_hsic(x + 100, y, session) == pytest.approx(expected, rel=1e-6)
    for shift in (0, 100):
        first, second = (prepare(z + shift, half_of(len(x)), session) for z in (x, y))
        assert hsic(first, second, crosses(first, second)) == pytest.approx(expected, rel=1e-10)
    overlaps = session_overlaps([x, y], session)
    x, y = (z - pd.DataFrame(z).groupby(session).mean().mean().to_numpy() for z in (x, y))
    of = [np.flatnonzero(session == s) for s in range(40)]
    for (i, a), (j, b) in product(enumerate((x, y)), repeat=2):
        plain = sum(np.linalg.norm(a[rows].T @ b[rows] / len(rows)) ** 2 for rows in of)
        assert overlaps[i, j] == pytest.approx(plain, rel=1e-10)


def test_cka_is_missing_with_three_sessions_or_where_all_sessions_but_one_coincide():
    x, session, _ = nested(np.random.default_rng(0), 3, 2, 4)
    assert np.isnan(linear("cka", x, x, session))
    apart = np.full((40, 3), [0.1, 0.7, 3])
    apart[:8] += 1
    session = np.repeat(range(5), 8)
    assert own_hsic(apart, session) == 0
    assert np.isnan(linear("cka", apart, np.random.default_rng(1).normal(size=(40, 3)), session))


@given(st.integers(4, 7), st.integers(1, 3), st.integers(1, 4), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_cka_lies_between_minus_one_and_one(sessions, most, dim, seed):
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), rng.integers(1, most + 1, sessions))
    x = rng.normal(size=(len(session), dim))
    y = rng.choice([0, 1]) * x + rng.normal(size=x.shape)
    assert own_hsic(x, session) >= 0
    assert abs(linear("cka", x, y, session)) <= 1 + 1e-9


# --- its null --------------------------------------------------------------------------------------------------


def null_of(spaces, session, moment, label):
    own = np.array([own_hsic(x, session) for x in spaces])
    return null_of_cka(spaces, own, session, moment, label)


@pytest.mark.slow
@pytest.mark.finding("B3")
def test_spaces_with_classes_alone_in_common_lie_inside_the_null_and_a_rotated_copy_far_outside():
    """Two spaces that both keep classes apart are alike for that; the null has this likeness and no more."""
    rng, below = np.random.default_rng(1), []
    x, session, moment = nested(rng, 24, 3, 4)
    unequal = rng.random(len(session)) < np.linspace(0.3, 1, 24)[session]  # sessions of 3 to 12 tiles
    label = session // 6
    for _ in range(40):
        x, y = (nested(rng, 24, 3, 4)[0] + rng.normal(size=(4, 16))[label] for _ in range(2))
        of = [z[unequal] for z in (x, y)]
        codes = [k[unequal] for k in (session, moment, label)]
        mean, high = null_of(of, *codes)
        value = linear("cka", *of, codes[0])
        below.append((value <= high[0, 1], value - mean[0, 1], mean[0, 1]))
    inside, excess, level = np.mean(below, axis=0)
    assert inside >= 0.85  # 95 % but for chance: 0.85 is 3 standard errors below
    assert excess == pytest.approx(0, abs=0.02)
    assert level > 0.1  # the classes
    copy = of[0] @ ortho_group.rvs(16, random_state=2)
    assert linear("cka", of[0], copy, codes[0]) > null_of([of[0], copy], *codes)[1][0, 1] + 0.3


def test_the_null_is_the_hsic_of_spaces_with_sessions_exchanged(monkeypatch):
    """Sessions of one size: the null is what `hsic` gives when the sessions of the second space are moved by hand."""
    monkeypatch.setattr(similarity_null, "EXCHANGES", 7)
    rng = np.random.default_rng(3)
    (x, session, moment), (y, _, _) = nested(rng, 10, 2, 3, dim=4), nested(rng, 10, 2, 3, dim=5)
    label = session % 2
    values = [
        linear("cka", x, y.reshape(10, 6, 5)[way].reshape(60, 5), session) for way in exchanges(np.arange(10) % 2)
    ]
    mean, high = null_of([x, y], session, moment, label)
    assert mean[0, 1] == pytest.approx(np.mean(values), rel=1e-9)
    assert high[0, 1] == pytest.approx(np.percentile(values, 95), rel=1e-9)


def test_every_session_changes_place_within_its_class():
    label = np.array([0, 1, 0, 1, 0, 1, 0])
    ways = exchanges(label)
    assert (label[ways] == label).all()
    assert (ways != np.arange(7)).all()
    assert (np.sort(ways, axis=1) == np.arange(7)).all()
    assert len(np.unique(ways, axis=0)) == 6 * 2


@pytest.mark.parametrize("sessions", [14, 90, 399, 1000])
def test_representatives_are_as_many_of_each_session_in_the_order_of_moments(sessions):
    rng = np.random.default_rng(sessions)
    session = rng.permutation(np.repeat(np.arange(sessions), rng.integers(1, 40, sessions)))
    moment = rng.permutation(len(session))
    rows, main = representatives(session, moment, session % 7)
    taken = session[rows]
    assert (taken == taken[:, :1]).all()
    assert (np.diff(moment[rows], axis=1) >= 0).all()
    assert rows.size <= similarity_null.MOST_TILES
    assert (main == taken[:, 0] % 7).all()
    assert len(set(taken[:, 0])) == len(taken)
    assert len(taken) == sessions or 390 < len(taken) <= 400 < sessions
    assert np.bincount(main).min() > 1


def test_where_nothing_can_be_exchanged_the_null_is_missing_with_the_reason():
    session = np.repeat(np.arange(6), 4)
    assert "a class has one session" in why_none(session, np.minimum(session, 1))
    assert "in 4 ways and 20 are needed" in why_none(session, session // 3)
    assert why_none(session, session * 0) == ""
    x = np.random.default_rng(0).normal(size=(24, 3))
    assert np.isnan(null_of([x, x], session, session, session // 3)).all()


# --- known answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", LINEAR)
def test_rotation_shift_scale_and_order_of_dimensions_change_nothing(measure):
    x, y = normal(200, 6), normal(200, 6, 1)
    y[:, :3] += x[:, :3]
    known, same = linear(measure, x, y), {"cka": 1, "procrustes": 0}[measure]
    for changed in (x @ ortho_group.rvs(6, random_state=0), x * [1, 1, -1, 1, 1, 1], 40 * x + 7, x[:, ::-1]):
        assert linear(measure, x, changed) == pytest.approx(same, abs=1e-9)
        assert linear(measure, changed, y) == pytest.approx(known)
    assert linear(measure, y, x) == pytest.approx(known)


def test_independent_noise_is_unrelated_even_with_as_many_dimensions_as_tiles():
    """The biased CKA would be about 0.5 here, and a Procrustes distance scored on its own fit about 0.2."""
    values = [
        [linear(m, np.random.default_rng(s).normal(size=(80, 80)), np.random.default_rng(s + 50).normal(size=(80, 80)))
         for m in LINEAR]
        for s in range(8)
    ]  # fmt: skip
    found = np.mean(values, axis=0)
    assert found == pytest.approx([0, 1], abs=0.04)
    x, y = np.random.default_rng(0).normal(size=(2, 80, 80))
    fit = np.linalg.svd((x - x.mean(0)).T @ (y - y.mean(0)), compute_uv=False).sum()
    assert 1 - fit / (np.linalg.norm(x - x.mean(0)) * np.linalg.norm(y - y.mean(0))) < 0.3


@pytest.mark.parametrize("dropped", [1, 2, 3])
def test_dropped_dimensions_cost_what_they_hold(dropped):
    """Of 4 independent dimensions of equal variance, 4 - k are left: CKA √((4-k)/4), Procrustes 1 - √((4-k)/4)."""
    x = np.random.default_rng(1).normal(size=(40_000, 4))
    left = np.sqrt((4 - dropped) / 4)
    assert linear("cka", x, x[:, dropped:]) == pytest.approx(left, abs=0.01)
    assert linear("procrustes", x, x[:, dropped:]) == pytest.approx(1 - left, abs=0.01)


def test_noise_added_to_both_moves_them_apart_by_its_share():
    """With signal and noise of equal variance in every dimension the overlap is 1/2, and CKA (1/2)²."""
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(20_000, 5))
    x, y = signal + rng.normal(size=signal.shape), signal + rng.normal(size=signal.shape)
    assert linear("procrustes", x, y) == pytest.approx(0.5, abs=0.02)
    assert linear("cka", x, y) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("measure", LINEAR)
def test_what_is_one_point_or_too_few_tiles_is_missing(measure):
    x = normal(30, 3)
    assert np.isnan(linear(measure, x, np.ones((30, 3))))
    assert np.isnan(linear("cka", x[:3], x[:3]))
    whole = prepare(x, np.ones(30, bool), np.arange(30))
    assert np.isnan(procrustes(whole, whole, crosses(whole, whole)))
    assert np.isnan(rsa(np.ones(1), np.ones(1)))
    assert np.isnan(rsa(np.ones(3), np.arange(3.0)))


# --- through the files -----------------------------------------------------------------------------------------


def write_spaces(folder, embeddings, tiles, settings=SETTINGS):
    paths = []
    for number, embedding in enumerate(embeddings):
        space = write_space(folder / f"{number}.h5", np.asarray(embedding, np.float32), tiles)
        paths.append(folder / f"{number}-summary.h5")
        summarise_space(space, "fold1", settings, paths[-1])
    return paths


def pair_values(tmp_path, paths):
    compare_spaces([str(i) for i in range(len(paths))], paths, TASKS, DISTANCES, tmp_path / "pairs.tsv")
    table = read_table(tmp_path / "pairs.tsv", ("first", "second", "measure"))
    return table.set_index(["first", "second", "measure"])["value"]


@pytest.fixture(scope="module")
def drawn():
    embedding, tiles = make_space(classes=3, sessions=6, clips=6, nodes=2, tiles=3, dim=5)
    return embedding, tiles, (tiles["fold"] == "fold1").to_numpy()


def test_every_pair_has_the_value_of_the_plain_version(tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(space_group, "COLUMNS", 9)  # blocks of one and of two spaces
    monkeypatch.setattr(jaccard, "CELLS", 4000)  # neighbours in several parts
    embedding, tiles, test = drawn
    rng = np.random.default_rng(1)
    spaces = [embedding, embedding[:, :3] + rng.normal(size=(len(tiles), 3)), rng.normal(size=(len(tiles), 6))]
    spaces = [space.astype(np.float32).astype(float) for space in [*spaces, embedding @ rng.normal(size=(5, 4))]]
    values = pair_values(tmp_path, write_spaces(tmp_path, spaces, tiles))
    assert len(values) == 6 * len(MEASURES)
    here = tiles[test].reset_index(drop=True)
    moment = here["moment"].to_numpy(object)
    half = halves(here["session"].to_numpy(object), here["label"].to_numpy(object), 3)
    session = pd.factorize(here["session"])[0]
    near, means = [], []
    for space in spaces:
        unit = space[test] / np.linalg.norm(space[test], axis=1, keepdims=True)
        distance = cdist(unit, unit)
        distance[moment[:, None] == moment] = np.inf
        near.append(np.argsort(distance, axis=1)[:, :NEIGHBOURS])
        means.append(pdist(pd.DataFrame(unit).groupby([here["label"], here["session"]]).mean().to_numpy()))
    for i, j in combinations(range(4), 2):
        x, y = (prepare(spaces[k][test], half, session) for k in (i, j))
        found = values[str(i), str(j)]
        assert found["cka"] == pytest.approx(plain_nested_cka(spaces[i][test], spaces[j][test], session))
        assert found["procrustes"] == pytest.approx(procrustes(x, y, crosses(x, y)))
        assert found["rsa"] == pytest.approx(spearmanr(means[i], means[j]).statistic)
        for k in (10, 100):
            expected = plain_jaccard(near[i][:, :k], near[j][:, :k])
            assert found[f"jaccard_{k}"] == pytest.approx(expected, abs=2e-3)  # rounding of ties


def test_few_tiles_have_no_hundred_neighbours(tmp_path):
    embedding, tiles = make_space()
    values = pair_values(tmp_path, write_spaces(tmp_path, [embedding, embedding], tiles))
    assert np.isnan(values["0", "1", "jaccard_100"])
    assert values["0", "1", "jaccard_10"] == 1


def test_the_draw_is_the_same_for_every_space_and_stays_within_its_limit(tmp_path, drawn):
    embedding, tiles, _ = drawn
    noise = np.random.default_rng(5).normal(size=(len(tiles), 7))
    few = SETTINGS.model_copy(update={"max_tiles": 200})
    values = pair_values(tmp_path, write_spaces(tmp_path, [embedding, noise], tiles, few))
    assert values.notna().all()  # else their tiles would differ
    with open_checked(tmp_path / "0-summary.h5", "similarity") as file:
        assert len(file["embedding"]) == len(file["first_half"]) == len(file["neighbours"]) == 200


def test_without_labels_sessions_are_the_groups(tmp_path, drawn):
    embedding, tiles, _ = drawn
    values = pair_values(tmp_path, write_spaces(tmp_path, [embedding, embedding], tiles.assign(label="")))
    assert values["0", "1", "rsa"] == pytest.approx(1)


def test_an_unfinished_summary_is_refused(tmp_path, drawn):
    embedding, tiles, _ = drawn
    space = write_space(tmp_path / "space.h5", embedding, tiles)
    with pytest.raises(InputError, match="must be a complete file of kind 'similarity'"):
        compare_spaces(["a"], [space], TASKS, DISTANCES, tmp_path / "pairs.tsv")


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_halves_share_no_session_and_deal_out_every_label(sessions, labels, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, sessions, 100)
    session, label = (
        np.array([f"{letter}{k}" for k in codes], object) for letter, codes in (("s", rows), ("c", rows % labels))
    )
    half = halves(session, label, seed)
    assert not set(session[half]) & set(session[~half])
    assert half.tolist() == halves(session, label, seed).tolist()
    assert abs(len(set(session[half])) - len(set(session[~half]))) <= 1
    for name in set(label):
        here = label == name
        assert abs(len(set(session[half & here])) - len(set(session[~half & here]))) <= 1


def labelled(sessions_of, tiles=6):
    """A fold of classes with so many sessions each, held out, and a training tile: noise around classes, its tiles."""
    rng = np.random.default_rng(8)
    parts = [(f"class{c}", f"s{c}_{i}") for c, count in enumerate(sessions_of) for i in range(count)]
    rows = [(f"{session}-{t}", session, "fold1", label) for label, session in parts for t in range(tiles)]
    rows.append(("trained", "trained", "fold2", "class0"))
    table = pd.DataFrame(rows, columns=["clip", "session", "fold", "label"])
    table = table.assign(moment=table["clip"], node="n0", start_s=0.0)
    centres = pd.DataFrame(rng.normal(size=(len(sessions_of), 4)), [f"class{c}" for c in range(len(sessions_of))])
    return (centres.loc[table["label"]].to_numpy() + rng.normal(size=(len(rows), 4))).astype(np.float32), table


@pytest.mark.finding("C9")
@pytest.mark.parametrize(
    ("sessions_of", "missing", "note"),
    [
        ((1, 1, 1, 1, 1), True, "0 of 5 classes have sessions in both halves"),
        ((2, 1, 1, 1), True, "1 of 4 classes have sessions in both halves"),
        ((1, 2, 1, 2, 1, 1, 1), False, "2 of 7 classes have sessions in both halves"),
        ((2, 2, 2), False, ""),
        ((6,), False, ""),
    ],
)
def test_procrustes_is_missing_where_the_halves_hold_different_classes(tmp_path, sessions_of, missing, note):
    """A rotation fitted on some classes is not scored on others: with one session a class it was."""
    embedding, tiles = labelled(sessions_of)
    paths = write_spaces(tmp_path, [embedding, embedding @ ortho_group.rvs(4, random_state=1)], tiles)
    compare_spaces(["a", "b"], paths, TASKS, DISTANCES, tmp_path / "pairs.tsv")
    row = read_table(tmp_path / "pairs.tsv", ("first", "second", "measure", "note")).set_index("measure")
    assert np.isnan(row.loc["procrustes", "value"]) == missing
    assert row.loc["procrustes", "note"] == note
    assert row.loc["cka", "value"] == pytest.approx(1, abs=1e-6)


def test_what_is_missing_has_a_reason_and_the_null_stands_beside_cka(tmp_path, drawn):
    embedding, tiles, _ = drawn
    paths = write_spaces(tmp_path, [embedding, embedding + 1, np.ones_like(embedding)], tiles)
    (tmp_path / "other").mkdir()
    paths += write_spaces(tmp_path / "other", [embedding], tiles.assign(start_s=tiles["start_s"] / 2))
    compare_spaces(list("abcd"), paths, TASKS, DISTANCES, tmp_path / "pairs.tsv")
    table = read_table(tmp_path / "pairs.tsv", ("first", "second", "measure", "note"))
    table = table.set_index(["first", "second", "measure"])
    assert table.loc[("a", "b"), "value"].notna().all()
    for measure in MEASURES:
        for pair in (("a", "c"), ("b", "c"), ("a", "d"), ("c", "d")):
            assert np.isnan(table.loc[(*pair, measure), "value"])
        assert table.loc[("a", "c", measure), "note"] == "a space is one point"
        assert table.loc[("b", "d", measure), "note"] == "the spaces have other tiles"
    assert table.loc[("a", "b", "cka"), "note"] == why_none(np.arange(9), np.repeat(range(3), 3))
    assert table["null_mean"].isna().all()
    paths = write_spaces(tmp_path, [embedding, embedding + 1], tiles.assign(label=""))
    compare_spaces(["a", "b"], paths, TASKS, DISTANCES, tmp_path / "p")
    free = read_table(tmp_path / "p", ("first", "second", "measure", "note")).set_index("measure")
    assert free["null_mean"].notna().tolist() == free["null_95"].notna().tolist() == [m == "cka" for m in free.index]
    assert abs(free.loc["cka", "null_mean"]) < 0.2 < free.loc["cka", "value"] == pytest.approx(1, abs=1e-6)
    assert (free["note"] == "").all()


# --- the map ---------------------------------------------------------------------------------------------------


def test_points_of_a_plane_come_back_but_for_a_turn():
    points = np.random.default_rng(1).normal(size=(9, 2))
    place, share = classical_scaling(squareform(pdist(points, "sqeuclidean")))
    assert pdist(place) == pytest.approx(pdist(points))
    assert sum(share) == pytest.approx(1)
    assert classical_scaling(np.zeros((1, 1)))[0].tolist() == [[0, 0]]


def test_the_map_leaves_out_what_cannot_be_compared(tmp_path):
    rows = [("a", "b", 0.1), ("a", "c", 0.3), ("b", "c", 0.2), *((name, "x", np.nan) for name in "abc")]
    pairs = pd.DataFrame(rows, columns=["first", "second", "value"]).assign(measure="procrustes")
    wide = matrix(pairs, "procrustes", ["c", "b", "a"])
    assert wide[0, 1] == wide[1, 0] == 0.2
    assert np.isnan(wide.diagonal()).all()
    pairs.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    kinds = ["trained", "trained", "mean_logmel", "trained"]
    runs = pd.DataFrame({"run": list("abcx"), "kind": kinds, "l2": [1.0, 0.1, np.nan, 0.01]})
    write_table(with_identity(runs), tmp_path / "runs.tsv")
    map_spaces(tmp_path / "runs.tsv", tmp_path / "pairs.tsv", tmp_path / "map.tsv")
    table = read_table(tmp_path / "map.tsv", ("part", "run"))
    whole = table[table["part"] == "all"].set_index("run")
    assert whole["x"].isna().to_dict() == {"a": False, "b": False, "c": False, "x": True}
    gap = np.linalg.norm(whole.loc["a", ["x", "y"]] - whole.loc["c", ["x", "y"]])
    assert gap**2 == pytest.approx(2 * 0.3, rel=0.05)
    assert table[table["part"] == "trained"]["run"].tolist() == ["a", "b", "x"]


def test_spaces_go_one_by_one_until_all_that_are_left_can_be_compared():
    distance = np.zeros((5, 5))
    distance[2, :] = distance[:, 2] = np.nan
    distance[4, 0] = distance[0, 4] = np.nan
    assert comparable(distance) in ([1, 3, 4], [0, 1, 3])
