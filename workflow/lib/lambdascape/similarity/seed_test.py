"""What moves a space: the value that the study sweeps, or the seed? Permutation tests over runs."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.tsv import read_table, write_table
from lambdascape.similarity.layout import PAIRS_TEXT
from lambdascape.study.run_table import Sweep, read_sweep

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

# How the two spaces of a pair are related; the first is the noise floor, the last two are the null.
RELATIONS = ("seed", "axis", "both", "untrained", "mean_logmel")
MOST_ARRANGEMENTS = 10_000  # up to so many all are tried; of more, so many less one are drawn
STREAM = 1935  # seed of that draw
CHUNK = 200  # arrangements looked at together
TOLERANCE = 1e-12  # arrangements that differ by less are equal
TESTS = ["excess", "p_excess", "smallest_p_excess", "gap", "p", "smallest_p", "exact"]
NULLS = ("null_mean", "null_95")
COLUMNS = ["measure", *RELATIONS, "missing", *TESTS, *NULLS, "note"]


@dataclass(frozen=True)
class Found:
    """What a test found: excess or gap, p, least possible p, how many orders were tried, whether these are all."""

    gap: float = float("nan")
    p: float = float("nan")
    smallest_p: float = float("nan")
    arrangements: int = 0
    exact: bool = True


def judge_moves(runs_path: str | Path, pairs_path: str | Path, output: str | Path) -> None:
    """Compare for each measure what the swept value and the seed do to the space, and test whether the value matters.

    *Which moves it farther?* The `excess` is the mean dissimilarity of pairs that differ in the value alone less that
    of pairs that differ in the seed alone, the noise floor: an observed difference of two means, without a test of its
    sign. `p_excess` belongs to another question, see `excess_test`: whether the excess differs from what it would be if
    neither the value nor the seed mattered.

    *Does the value matter at all?* A pair that differs in the value alone shares the initial weights and the order of
    triplets, so a small excess does not show that the value does nothing. The `gap` is the mean dissimilarity of pairs
    that differ in both less that of pairs that differ in the seed alone. Under the null hypothesis that the value has
    no effect, the values of the runs of one seed could be swapped; `p` is the share of such arrangements, each seed
    swapped by itself, whose gap is at least as large. Swapped within seeds, all pairs of one seed stay what they are,
    so this test sees a small but steady effect, and does not say that it is large.

    Orders that only rename values or seeds change nothing, so with few runs neither p can be small. With L values and S
    seeds p is at least 1 / (L!)^(S - 1), with 3 values 1/6 for 2 seeds and 1/36 for 3; p_excess is at least
    L! S! / (L S)!, twice that where L = S. The least possible p stand beside p.

    Args:
        runs_path: runs.tsv.
        pairs_path: table of `pairs.compare_spaces`.
        output: table measure; mean of the measure over the pairs that differ in `seed` alone, in the value of the
            `axis` alone, in `both`, and between trained spaces and the `untrained` or the `mean_logmel`; number of
            such pairs that are `missing`; excess, p_excess, smallest_p_excess, gap, p, smallest_p, exact (whether all
            orders were tried in both tests); null_mean and null_95, see `pairs.compare_spaces`, means over the pairs of
            trained spaces; note, the different notes on all these pairs. Means are missing where there is no such pair,
            the tests with one seed or one value.
    """
    sweep = read_sweep(runs_path)
    pairs = relate(read_table(pairs_path, (*PAIRS_TEXT, "note")), sweep)
    write_table(pd.DataFrame(_rows(pairs, sweep), columns=COLUMNS), output)


def _rows(pairs: pd.DataFrame, sweep: Sweep) -> Iterator[list[object]]:
    for measure, here in pairs.groupby("measure", sort=False):
        means = [here.loc[here["relation"] == relation, "value"].mean() for relation in RELATIONS]
        more, trace = (test(here, points(sweep)) for test in (excess_test, permutation_test))
        missing = int(here.loc[here["relation"].isin(RELATIONS), "value"].isna().sum())
        tests = [more.gap, more.p, more.smallest_p, trace.gap, trace.p, trace.smallest_p, more.exact and trace.exact]
        nulls = [here.loc[here["relation"].isin(RELATIONS[:3]), name].mean() for name in NULLS]
        notes = [words for words in here.loc[here["relation"].isin(RELATIONS), "note"].unique() if words]
        yield [measure, *means, missing, *tests, *nulls, "; ".join(notes)]


def points(sweep: Sweep) -> pd.DataFrame:
    """One row per trained run: run, seed, others, value (what is compared), block (runs whose values could be swapped).

    The value is that of the axis, and a block has one seed and one setting of whatever else varies. Where no block has
    two values, because the axis never varies alone, the value is the whole arm and the block a seed.
    """
    trained = sweep.trained
    table = pd.DataFrame({"run": trained["run"], "seed": trained["seed"], "others": trained["other_settings"]})
    table["value"] = pd.factorize(trained["axis_value"])[0]
    if not varies_alone(sweep):
        table["value"] = pd.factorize(trained["arm"])[0]
        table["others"] = ""
    table["block"] = table.groupby(["seed", "others"], sort=False).ngroup()
    return table


def varies_alone(sweep: Sweep) -> bool:
    """Whether some runs differ in the value of the axis and in nothing else."""
    return bool((sweep.trained.groupby(["seed", "other_settings"])["axis_value"].nunique() > 1).any())


def relate(pairs: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """Add to each pair how its spaces are related: one of `RELATIONS`, or the empty text.

    Args:
        pairs: first, second, measure, value.
        sweep: the study's axis and runs.

    Returns:
        The pairs with `relation` and, as missing where it is a reference, number of row in `points` (`i`, `j`).
    """
    runs = points(sweep)
    place = dict(zip(runs["run"], runs.index, strict=True))
    arm_of = dict(zip(sweep.references["run"], sweep.references["arm"], strict=True))
    i, j = pairs["first"].map(place), pairs["second"].map(place)
    relation = np.full(len(pairs), "", object)
    both = (i.notna() & j.notna()).to_numpy()
    a, b = runs.loc[i[both].astype(int)], runs.loc[j[both].astype(int)]
    same = {column: a[column].to_numpy() == b[column].to_numpy() for column in ("seed", "value", "others")}
    named = {
        "seed": same["value"] & ~same["seed"],
        "axis": ~same["value"] & same["seed"],
        "both": ~same["value"] & ~same["seed"],
    }
    relation[both] = np.select([mask & same["others"] for mask in named.values()], list(named), "")
    one = (i.notna() != j.notna()).to_numpy()
    other = np.where(i.isna(), pairs["first"], pairs["second"])
    relation[one] = [arm_of.get(name, "") for name in other[one]]
    return pairs.assign(relation=relation, i=i, j=j)


def dissimilarity(pairs: pd.DataFrame) -> Floats:
    """The values of some pairs as distances: as they are, or, where the measure is 1 for equal spaces, 1 less them."""
    value = pairs["value"].to_numpy(np.float64)
    return np.where(pairs["is_distance"].astype(bool), value, 1 - value)


def permutation_test(pairs: pd.DataFrame, runs: pd.DataFrame) -> Found:
    """The second test of `judge_moves` for one measure.

    Args:
        pairs: those of the measure, from `relate`.
        runs: of `points`.
    """
    used = pairs[pairs["relation"].isin(["seed", "both"]) & pairs["value"].notna()]
    if not {"seed", "both"} <= set(used["relation"]):
        return Found()
    distance = dissimilarity(used)
    i, j = used["i"].to_numpy(np.intp), used["j"].to_numpy(np.intp)
    tried, exact = arrangements(runs)
    gaps = np.concatenate([_gaps(distance, i, j, tried[k : k + CHUNK]) for k in range(0, len(tried), CHUNK)])
    as_large = int((gaps >= gaps[0] - TOLERANCE).sum())
    return Found(float(gaps[0]), as_large / len(tried), 1 / len(tried), len(tried), exact)


def excess_test(pairs: pd.DataFrame, runs: pd.DataFrame) -> Found:
    """Whether the excess of `judge_moves` differs from what it would be if neither the value nor the seed mattered.

    Under that null hypothesis the runs could stand in the grid of values and seeds in any order, and p is the share of
    these orders whose excess is at least as far from 0. Where both matter the runs are not exchangeable and p does not
    say which of the two matters more: where value and seed move the space equally far, p is below 0.05 in a fifth to a
    half of studies. Which moves it farther would need values and seeds as crossed random factors.

    Args:
        pairs: those of the measure, from `relate`.
        runs: of `points`.
    """
    used = pairs[pairs["relation"].isin(["seed", "axis"]) & pairs["value"].notna()]
    if not {"seed", "axis"} <= set(used["relation"]):
        return Found()
    distance = np.full((len(runs), len(runs)), np.nan)
    known = pairs[pairs["i"].notna() & pairs["j"].notna()]
    i, j = known["i"].to_numpy(np.intp), known["j"].to_numpy(np.intp)
    distance[i, j] = distance[j, i] = dissimilarity(known)
    cells = {
        relation: used.loc[used["relation"] == relation, ["i", "j"]].to_numpy(np.intp).T
        for relation in ("axis", "seed")
    }
    tried, exact = orders(runs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        parts = [
            np.subtract(*(np.nanmean(distance[order[:, a], order[:, b]], axis=1) for a, b in cells.values()))
            for order in np.array_split(tried, -(-len(tried) // CHUNK))
        ]
    excess = np.concatenate(parts)
    as_far = int((np.abs(excess) >= abs(excess[0]) - TOLERANCE).sum())
    return Found(float(excess[0]), as_far / len(tried), _smallest(runs, len(tried)), len(tried), exact)


def orders(runs: pd.DataFrame) -> tuple[Codes, bool]:
    """Orders in which runs can stand in their grid of values and seeds, one for each `others`, the one found first.

    Returns:
        Numbers of runs, shape (order, run); whether these are all.
    """
    grids = [rows.index.to_numpy() for _, rows in runs.groupby("others", sort=False)]
    found = np.arange(len(runs))
    if prod(factorial(len(rows)) for rows in grids) <= MOST_ARRANGEMENTS:
        every = product(*(permutations(rows) for rows in grids))
        return np.array([_swapped(found, grids, order) for order in every]), True
    rng = np.random.default_rng([STREAM])
    drawn = [_swapped(found, grids, [rng.permutation(rows) for rows in grids]) for _ in range(MOST_ARRANGEMENTS - 1)]
    return np.array([found, *drawn]), False


def _smallest(runs: pd.DataFrame, tried: int) -> float:
    """Share of the orders that only rename values or seeds; these always have the excess found, or its opposite."""
    share, square = 1.0, True
    for _, rows in runs.groupby("others", sort=False):
        values, seeds = rows["value"].nunique(), rows["seed"].nunique()
        share *= factorial(values) * factorial(seeds) / factorial(len(rows))
        square &= values == seeds
    return max(share * (2 if square else 1), 1 / tried)


def _gaps(distance: Floats, i: Codes, j: Codes, values: Codes) -> Floats:
    """The gap of each arrangement; missing where none of its pairs has one value.

    Args:
        distance: shape (pair,).
        i: first run of each pair.
        j: second run of each pair.
        values: shape (arrangement, run).
    """
    same = values[:, i] == values[:, j]  # (arrangement, pair)
    count = same.sum(axis=1)
    inside, total = same @ distance, distance.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return (total - inside) / (len(distance) - count) - inside / count


def arrangements(runs: pd.DataFrame) -> tuple[Codes, bool]:
    """Ways to swap the values inside blocks that can differ in their gap.

    Args:
        runs: of `points`; the blocks of equal `others` have the same values.

    Returns:
        Value of each run in each way, shape (arrangement, run), the way found first; whether these are all. The first
        block of each `others` stays as it is, since a renaming of the values for all seeds changes nothing.
    """
    value = runs["value"].to_numpy(np.intp)
    firsts = runs.groupby("others", sort=False)["block"].first()
    free = [rows.index.to_numpy() for block, rows in runs.groupby("block", sort=False) if block not in set(firsts)]
    if prod(factorial(len(rows)) for rows in free) <= MOST_ARRANGEMENTS:
        orders = product(*(permutations(rows) for rows in free))  # the first is the order found
        return np.array([_swapped(value, free, order) for order in orders]), True
    rng = np.random.default_rng([STREAM])
    drawn = [_swapped(value, free, [rng.permutation(rows) for rows in free]) for _ in range(MOST_ARRANGEMENTS - 1)]
    return np.array([value, *drawn]), False


def _swapped(value: Codes, free: Sequence[Codes], orders: Sequence[Sequence[int] | Codes]) -> Codes:
    """The values after those of the rows of each block have been taken from the same rows in another order."""
    result = value.copy()
    for rows, order in zip(free, orders, strict=True):
        result[rows] = value[np.asarray(order, np.intp)]
    return result
