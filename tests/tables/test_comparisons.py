"""Pairs of arms, and the choice between them, on small made-up confusion tables."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import Statistics
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.statistics.bootstrap import difference, holm, paired_session_bootstrap
from lambdascape.statistics.metrics import accuracy, macro_f1
from lambdascape.tables.comparisons import PAIR, choose_arm, compare_arms, read_counts

SETTINGS = Statistics(resamples=300, confidence=0.9)
ARMS, SEEDS = ("l2~1", "l2~0.1", "l2~0.01"), (1, 2)
POINTS = [(arm, seed) for arm in ARMS for seed in SEEDS]
RUNS = ["cello", "flute", "drum", "oboe", "harp", "bell"]  # names in which neither arm nor seed can be read
TEXT = ("split", "unit", "session", "label", "predicted")
CLASSES = ("a", "b")
NONE: dict = {}


def rows_of(split, session, right):
    """What is recognised in a session of 20 clips and 40 tiles, when `right` in 10 are."""
    label, other = CLASSES[session % 2], CLASSES[1 - session % 2]
    return [
        (split, unit, f"{split}{session}", label, predicted, times * count)
        for unit, times in (("clip", 2), ("tile", 4))
        for predicted, count in ((label, right), (other, 10 - right))
    ]


def write_confusions(folder, hits, sessions=6, split_of=lambda session, seed: ["validation", "test"]):
    """In each session `hits(arm, seed, session, split)` in 10 are recognised."""
    paths = []
    for run, (arm, seed) in zip(RUNS, POINTS, strict=True):
        rows = [
            row
            for session in range(sessions)
            for split in split_of(session, seed)
            for row in rows_of(split, session, hits(ARMS.index(arm), seed, session, split))
        ]
        paths.append(folder / run / "confusion.tsv")
        table = pd.DataFrame(rows, columns=[*TEXT, "count"])
        write_table(table[table["count"] > 0], paths[-1])
    return paths


def spaces_of(references):
    """Rows of runs.tsv: the trained runs, then references, name to arm and seed, None for one without a seed."""
    rows = [(run, "trained", *point) for run, point in zip(RUNS, POINTS, strict=True)]
    rows += [(name, "reference", *point) for name, point in references.items()]
    table = pd.DataFrame(rows, columns=["run", "kind", "arm", "seed"]).astype({"seed": "Int64"})
    return table.assign(replicate="", test_fold="fold1", axis="l2", value=np.nan)


def write_runs(folder, references):
    write_table(spaces_of(references), folder / "runs.tsv")
    return folder / "runs.tsv"


def uneven(arm, seed, session, split):
    return (3 * arm + 5 * seed + 7 * session + arm * session) % 9 + 1


def better_by_arm(arm, seed, session, split):
    return 4 + 2 * arm + (session + seed) % 2


def compared(tmp_path, paths, references=NONE, trained=RUNS):
    runs = write_runs(tmp_path, references)
    compare_arms(runs, [*trained, *references], paths, SETTINGS, 3, tmp_path / "comparisons.tsv")
    return read_table(tmp_path / "comparisons.tsv", PAIR)


def choice(tmp_path, paths):
    choose_arm(write_runs(tmp_path, {}), RUNS, paths, SETTINGS, 3, tmp_path / "choice.tsv")
    return read_table(tmp_path / "choice.tsv", ("arm",))


def test_counts_stand_at_their_arm_seed_session_and_class(tmp_path):
    counts = read_counts(spaces_of({}), write_confusions(tmp_path, uneven), "test", "tile")
    assert (counts.arms, counts.seeds) == (list(ARMS), list(SEEDS))
    assert counts.confusions.shape == (3, 2, 6, 2, 2)
    for (arm, seed, session), matrix in np.ndenumerate(counts.confusions.sum(axis=-1).sum(axis=-1)):
        right = uneven(arm, SEEDS[seed], session, "test")
        assert matrix == 40
        assert np.trace(counts.confusions[arm, seed, session]) == 4 * right
        assert counts.confusions[arm, seed, session, session % 2].sum() == 40


def test_every_pair_is_compared_on_the_test_sessions(tmp_path):
    paths = write_confusions(tmp_path, uneven)
    table = compared(tmp_path, paths)
    assert table[["unit", "measure"]].drop_duplicates().to_numpy().tolist() == [
        [unit, measure] for unit in ("clip", "tile") for measure in ("macro_f1", "accuracy")
    ]
    for (unit, measure), part in table.groupby(["unit", "measure"]):
        assert part[["first", "second"]].to_numpy().tolist() == [
            ["l2~1", "l2~0.1"],
            ["l2~1", "l2~0.01"],
            ["l2~0.1", "l2~0.01"],
        ]
        counts = read_counts(spaces_of({}), paths, "test", str(unit)).confusions
        scores = paired_session_bootstrap(counts, {"macro_f1": macro_f1, "accuracy": accuracy}[measure], 300, 3)
        for (first, second), row in zip(((0, 1), (0, 2), (1, 2)), part.to_dict("records"), strict=True):
            found = difference(scores, first, second, 0.9)
            assert row["difference"] == pytest.approx(found.value)
            for column in ("low", "high", "seed_sd", "wide_low", "wide_high", "p"):
                assert row[column] == pytest.approx(getattr(found, column))
        assert part["p_holm"].to_numpy() == pytest.approx(holm(part["p"].to_numpy()))
    assert (table["seeds"].unique(), table["sessions"].unique()) == ([2], [6])


def write_reference(path, hits, draws=(0,), sessions=6):
    """In each test session `hits(draw, session)` in 10 are recognised."""
    asked = product(draws, range(sessions))
    rows = [(*row, draw) for draw, session in asked for row in rows_of("test", session, hits(draw, session))]
    write_table(pd.DataFrame(rows, columns=[*TEXT, "count", "draw"]), path)
    return path


def hard_sessions(arm, seed, session, split):
    """Sessions differ far more than arms or seeds do."""
    return 2 + session + (session + seed) % 2


REFERENCES = {"bare": ("untrained", 1), "raw": ("untrained", 2), "mean": ("mean_logmel", None),
    "openl3": ("own:openl3", None)}  # fmt: skip


def references_of(folder, below):
    """Every reference recognises so many in 10 less than the trained arms do on the same session."""
    return [
        *(write_reference(folder / f"u{s}.tsv", lambda _, n, s=s: 2 + n + (n + s) % 2 - below) for s in SEEDS),
        write_reference(folder / "m.tsv", lambda draw, n: 2 + n + (n + SEEDS[draw]) % 2 - below, draws=(0, 1)),
        write_reference(folder / "o.tsv", lambda _, n: 2 + n - below),
    ]


@pytest.mark.finding("B4")
def test_references_are_compared_on_the_same_sessions_and_seeds(tmp_path):
    trained = write_confusions(tmp_path, hard_sessions)
    table = compared(tmp_path, [*trained, *references_of(tmp_path, 1)], REFERENCES)
    table = table[(table["unit"] == "clip") & (table["measure"] == "macro_f1")]
    against = table[table["family"] == "references"]
    names = ["untrained", "mean_logmel", "own:openl3"]
    assert against[["first", "second"]].to_numpy().tolist() == [[arm, name] for name in names for arm in ARMS]
    # Lower on every session, by far less than sessions differ: the paired interval says so, two intervals overlap.
    row = against[against["second"] == "untrained"].iloc[0]
    assert 0 < row["wide_low"] < row["difference"] < row["wide_high"]
    assert row["p"] < 0.01
    means = choice(tmp_path, trained).iloc[0]
    assert means["test_low"] < means["test_mean"] - row["difference"]
    # Draw k of the mean log-mel belongs to seed k: it is the untrained network here, number by number.
    numbers = ["difference", "low", "high", "seed_sd", "wide_low", "wide_high", "p"]
    by_name = {name: against[against["second"] == name][numbers].to_numpy() for name in names}
    np.testing.assert_array_equal(by_name["mean_logmel"], by_name["untrained"])
    # One draw stands for every seed: by hand.
    counts = read_counts(spaces_of({}), trained, "test", "clip").confusions[:1]
    alone = read_counts(spaces_of({}).head(1), [tmp_path / "o.tsv"], "test", "clip").confusions
    both = np.concatenate([counts, np.repeat(alone, len(SEEDS), axis=1)])
    found = difference(paired_session_bootstrap(both, macro_f1, 300, 3), 0, 1, 0.9)
    assert by_name["own:openl3"][0] == pytest.approx([getattr(found, n) for n in ("value", *numbers[1:])])


@pytest.mark.finding("B4")
def test_each_reference_is_a_family_of_its_own_and_changes_nothing_between_the_arms(tmp_path):
    trained = write_confusions(tmp_path, uneven)
    alone = compared(tmp_path, trained)
    table = compared(tmp_path, [*trained, *references_of(tmp_path, 0)], REFERENCES)
    pd.testing.assert_frame_equal(table[table["family"] == "arms"].reset_index(drop=True), alone, check_dtype=False)
    for _, part in table[table["family"] == "references"].groupby(["unit", "measure", "second"]):
        assert part["p_holm"].to_numpy() == pytest.approx(holm(part["p"].to_numpy()))
    few = {name: point for name, point in REFERENCES.items() if name != "openl3"}
    fewer = compared(tmp_path, [*trained, *references_of(tmp_path, 0)[:-1]], few)
    kept = table[table["second"] != "own:openl3"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, fewer)


def test_a_reference_with_other_draws_than_one_or_one_for_each_seed_is_refused(tmp_path):
    path = write_reference(tmp_path / "m.tsv", lambda draw, n: 5, draws=(0, 1, 2))
    with pytest.raises(InputError, match=r"m\.tsv: must have one draw, or one for each of the 2 seeds .*; got 0, 1, 2"):
        compared(tmp_path, [*write_confusions(tmp_path, uneven), path], {"mean": ("mean_logmel", None)})


def test_one_trained_arm_is_compared_with_references_only(tmp_path):
    paths = [*write_confusions(tmp_path, uneven)[:2], *references_of(tmp_path, 1)]
    assert set(compared(tmp_path, paths, REFERENCES, RUNS[:2])["family"]) == {"references"}


def test_a_space_that_the_table_of_runs_lacks_is_refused(tmp_path):
    paths = write_confusions(tmp_path, uneven)
    with pytest.raises(InputError, match=r"runs\.tsv: must list every space; it lacks viola"):
        choose_arm(write_runs(tmp_path, {}), [*RUNS[:-1], "viola"], paths, SETTINGS, 3, tmp_path / "choice.tsv")


def test_the_best_on_validation_is_chosen_with_its_probability(tmp_path):
    table = choice(tmp_path, write_confusions(tmp_path, better_by_arm))
    assert table["arm"].tolist() == list(ARMS)
    assert table["chosen"].tolist() == [0, 0, 1]
    assert table["probability_best"].tolist() == [0, 0, 1]
    assert (table["validation_low"] <= table["validation_mean"]).all()
    assert (table["validation_mean"] <= table["validation_high"]).all()


def test_of_equal_arms_the_first_is_chosen_and_all_are_as_probable(tmp_path):
    table = choice(tmp_path, write_confusions(tmp_path, lambda arm, *rest: better_by_arm(0, *rest)))
    assert table["chosen"].tolist() == [1, 0, 0]
    assert table["probability_best"].tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("poison", ["relabelled", "none"])
def test_the_choice_knows_nothing_of_the_test_split(tmp_path, poison):
    paths = write_confusions(tmp_path, uneven)
    before = choice(tmp_path, paths)
    for path in paths:
        table = read_table(path, TEXT)
        test = table["split"] == "test"
        if poison == "none":
            table = table[~test]
        else:
            table.loc[test, "label"] = table.loc[test, "label"].map({"a": "b", "b": "a"})
        write_table(table, path)
    after = choice(tmp_path, paths)
    decided = [column for column in before if not column.startswith("test_")]
    pd.testing.assert_frame_equal(after[decided], before[decided], check_exact=True)
    assert not after["test_mean"].equals(before["test_mean"])


def test_validation_sessions_may_differ_from_seed_to_seed(tmp_path):
    paths = write_confusions(
        tmp_path, uneven, split_of=lambda session, seed: ["test", *["validation"] * (session // 2 % 2 == seed % 2)]
    )
    counts = read_counts(spaces_of({}), paths, "validation", "clip").confusions
    assert (counts.sum(axis=(0, 3, 4)) > 0).sum(axis=1).tolist() == [2, 4]
    table = choice(tmp_path, paths)
    assert table["validation_sessions"].unique() == [6]
    assert table["probability_best"].sum() == pytest.approx(1)


def test_no_labels_leave_headers_only(tmp_path):
    paths = write_confusions(tmp_path, uneven, sessions=0)
    assert compared(tmp_path, paths).empty
    assert choice(tmp_path, paths).empty
