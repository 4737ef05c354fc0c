"""The numbers of a study that bear on a claim, for each value of the hyperparameter and each seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.claims.curves import SHORTEST_CURVE, convergence_epoch
from lambdascape.claims.form import PLACES, MeasuredQuantity
from lambdascape.core.errors import InputError
from lambdascape.statistics.bootstrap import PairedScores, difference, paired_session_bootstrap
from lambdascape.statistics.contrasts import Contrast, over_seeds
from lambdascape.statistics.metrics import accuracy, f1_per_class, macro_f1
from lambdascape.study.setting_names import setting, symbol

Floats = npt.NDArray[np.float64]
Curves = dict[Any, list[Floats]]  # for each value one curve over the epochs per seed

SHARES = {"macro_f1", "accuracy", "f1", "ece", "active_fraction"}  # measures from 0 to 1
NO_LABELS = "there are no probe scores, because the data have no labels."


class UntestableError(Exception):
    """The runs cannot bear on a claim; the message says why."""


@dataclass(frozen=True)
class Arms:
    """A measure at each value of the hyperparameter.

    Attributes:
        about: the hyperparameter.
        grid: its values.
        table: shape (value, seed).
        scores: the same on resampled sessions, with a last arm of zeros; None for what no session bears on.
        resolution: see `Contrast`.
        share: whether the measure is between 0 and 1.
    """

    about: str
    grid: list[Any]
    table: Floats
    scores: PairedScores | None = None
    resolution: float = 0.0
    share: bool = False

    def contrast(self, first: Any, second: Any) -> Contrast:
        """One value less another, paired by seed and session."""
        words = f"{setting(self.about, first)} less {setting(self.about, second)}"
        one, other = self.grid.index(first), self.grid.index(second)
        if self.scores is None:
            found = over_seeds(words, self.table[one] - self.table[other], self.resolution)
        else:
            found = _over_sessions(words, self.scores, one, other)
        return replace(found, least=-1.0, most=1.0) if self.share else found

    def alone(self, value: Any) -> Contrast:
        """The measure at one value."""
        words, place = setting(self.about, value), self.grid.index(value)
        if self.scores is None:
            found = over_seeds(words, self.table[place], self.resolution)
        else:
            found = _over_sessions(words, self.scores, place, -1)
        return replace(found, least=0.0, most=1.0) if self.share else found

    def mean(self, *values: Any) -> float:
        """Mean over seeds and the given values."""
        return float(self.table[[self.grid.index(value) for value in values]].mean())

    @property
    def in_brief(self) -> str:
        """Means: `λ = 1: 0.381, λ = 0.1: …`."""
        pairs = zip(self.grid, self.table.mean(axis=1), strict=True)
        return ", ".join(f"{setting(self.about, value)}: {mean:.3g}" for value, mean in pairs)

    @property
    def in_words(self) -> str:
        """Means, with the range over the seeds: `λ = 1: 0.381 (0.379 to 0.383), λ = 0.1: …`."""
        words = []
        for value, row in zip(self.grid, self.table, strict=True):
            known = row[np.isfinite(row)]
            spread = f" ({known.min():.4g} to {known.max():.4g})" if len(known) > 1 else ""
            mean = f"{known.mean():.4g}" if len(known) else "no value"
            lack = f", {len(row) - len(known)} of {len(row)} seeds without" if 0 < len(known) < len(row) else ""
            words.append(f"{setting(self.about, value)}: {mean}{spread}{lack}")
        return ", ".join(words)


def _over_sessions(words: str, scores: PairedScores, first: int, second: int) -> Contrast:
    found = difference(scores, first, second, 0.5)  # its error and freedom know no confidence
    return Contrast(words, found.value, found.error, found.freedom)


@dataclass(frozen=True)
class Evidence:
    """The tables of a study and the hyperparameter that the claims are about.

    Attributes:
        about: column of `runs`.
        runs: the trained runs: run, kind, seed, then every hyperparameter.
        tables: name to table with run, measure, value, and further columns.
        counts: by session: run, probe, split, unit, session, label, predicted, count.
        resamples: of the sessions.
        seed: of the resamples.
        ends: values of the hyperparameter beyond which there are none.
        plugins: files of the user, which may declare losses.
    """

    about: str
    runs: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    counts: pd.DataFrame
    resamples: int
    seed: int
    ends: tuple[float, ...] = (0.0,)
    plugins: Sequence[str] = ()

    @cached_property
    def grid(self) -> list[Any]:
        """The values of the hyperparameter, numbers from the smallest to the largest, others as they were run."""
        values = self.runs[self.about].dropna().drop_duplicates().tolist() if self.about in self.runs else []
        return sorted(values) if all(_is_number(value) for value in values) else values

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that were run with every value."""
        counts = self.runs.groupby("seed")[self.about].nunique()
        return [int(seed) for seed in counts.index[counts == len(self.grid)]]

    @property
    def symbol(self) -> str:
        """The hyperparameter in words."""
        return symbol(self.about)

    @property
    def count_in_words(self) -> str:
        """How many seeds the numbers rest on."""
        seeds = len(self.seeds)
        return f"mean and range over {seeds} seeds" if seeds > 1 else "one seed, so the spread between seeds is unknown"

    def value_at(self, place: Any) -> Any:
        """The value at a place of the grid.

        Raises:
            UntestableError: the grid has no such place.
        """
        order = {"largest": -1, "second_largest": -2, "second_smallest": 1, "smallest": 0}
        if isinstance(place, str) and place in PLACES:
            return self.grid[order[place]]
        if place in self.grid:
            return place
        found = ", ".join(setting(self.about, value) for value in self.grid)
        raise UntestableError(f"the claim names {setting(self.about, place)}; this study has {found}.")

    def values_at(self, places: list[Any]) -> list[Any]:
        """The values at places and groups of places, in order of the grid."""
        groups = {"all": self.grid, "below_largest": self.grid[:-1], "above_smallest": self.grid[1:]}
        named = [groups[place] if place in groups else [self.value_at(place)] for place in places]
        return [value for value in self.grid if any(value in one for one in named)]

    def rows(self, measure: MeasuredQuantity) -> pd.DataFrame:
        """The rows of a measure: run, value, and epoch where its table goes by epoch; of trained runs only.

        Raises:
            UntestableError: there is none.
            InputError: it leaves several rows for a run, or for a run and an epoch.
        """
        table = self.tables[measure.table]
        if table.empty and measure.table in ("scores", "probe_epochs"):
            raise UntestableError(NO_LABELS)
        keep = (table["measure"] == measure.measure) & table["run"].isin(self.runs["run"])
        for column, value in measure.where.items():
            keep &= table[column].astype(str) == str(value)
        chosen = table[keep]
        if chosen.empty:
            rows = ", ".join([measure.measure, *(f"{column} {value}" for column, value in measure.where.items())])
            raise UntestableError(f"the table {measure.table} has no rows of {rows}.")
        keys = ["run", "epoch"] if "epoch" in chosen else ["run"]
        if chosen.duplicated(keys).any():
            free = [c for c in chosen.columns if c not in (*keys, "value", "low", "high") and chosen[c].nunique() > 1]
            raise InputError(
                f"`where` must leave one row of {measure.table} for each {' and '.join(keys)}; of {measure.measure} it "
                f"leaves several, which differ in {', '.join(free)}"
            )
        return chosen[[*keys, "value"]]

    def curves(self, measure: MeasuredQuantity) -> Curves:
        """The curves of the seeds that have every value.

        Raises:
            UntestableError: a run has none, or one is too short to be judged by its end.
        """
        rows = self.rows(measure).sort_values("epoch")
        by_run = {str(run): part["value"].to_numpy(float) for run, part in rows.groupby("run")}
        curves = {value: [self._of(by_run, run) for run in self._runs_at(value)] for value in self.grid}
        shortest = _shared_epochs(curves)
        if measure.at in ("curve", "convergence") and shortest < SHORTEST_CURVE:
            raise UntestableError(f"there are {shortest} epochs; the end of a curve needs {SHORTEST_CURVE}.")
        return curves

    def arms(self, measure: MeasuredQuantity) -> Arms:
        """A number for each value and seed.

        Raises:
            UntestableError: a run has none.
        """
        if measure.at:
            curves = self.curves(measure)
            take = _TAKE[measure.at]
            shared = _shared_epochs(curves)
            table = [[take(curve, shared) for curve in curves[value]] for value in self.grid]
            # An epoch is known to within one half; a difference of two to within one.
            counted = measure.at == "convergence"
            share = not counted and measure.measure in SHARES
            return Arms(self.about, self.grid, np.array(table), resolution=float(counted), share=share)
        by_run: dict[str, float] = dict(self.rows(measure)[["run", "value"]].itertuples(index=False))
        table = [[self._of(by_run, run) for run in self._runs_at(value)] for value in self.grid]
        share = measure.measure in SHARES
        return Arms(self.about, self.grid, np.array(table, dtype=float), self._scores(measure), share=share)

    def points(self, measure: MeasuredQuantity) -> pd.DataFrame:
        """A number for every run, whatever its seed, or for every epoch of it that is kept: run, epoch, value.

        A measure without epochs is given the last epoch of training.
        """
        rows, training = self.rows(measure), self.tables["training"]
        if measure.at and measure.at != "every":
            parts = rows.sort_values("epoch").groupby("run")["value"]
            by_run = {str(run): part.to_numpy(float) for run, part in parts}
            shared = min(map(len, by_run.values()))
            taken = {run: _TAKE[measure.at](curve, shared) for run, curve in by_run.items()}
            rows = pd.DataFrame({"run": list(taken), "value": list(taken.values())})
        if "epoch" in rows:
            return rows
        return rows.assign(epoch=rows["run"].map(training.groupby("run")["epoch"].max()))

    def _runs_at(self, value: Any) -> list[str]:
        """The runs at a value, one per common seed and in their order."""
        runs = self.runs[(self.runs[self.about] == value) & self.runs["seed"].isin(self.seeds)]
        return [str(run) for run in runs.sort_values("seed")["run"]]

    def _of(self, by_run: Mapping[str, Any], run: str) -> Any:
        if run not in by_run:
            raise UntestableError(f"run {run} has no such value.")
        return by_run[run]

    def _scores(self, measure: MeasuredQuantity) -> PairedScores | None:
        """The scores on resampled sessions, where counts by session were kept, and a last arm of zeros."""
        statistic = _statistic(measure, self.counts)
        if measure.table != "scores" or statistic is None:
            return None
        counts = self.counts
        for column in ("probe", "split", "unit"):
            counts = counts[counts[column] == measure.where.get(column)]
        if counts.empty:
            return None
        runs = [run for value in self.grid for run in self._runs_at(value)]
        matrices = _by_session(counts[counts["run"].isin(runs)], runs, sorted(self._classes))
        shape = (len(self.grid), len(self.seeds), *matrices.shape[1:])
        scores = paired_session_bootstrap(matrices.reshape(shape), statistic, self.resamples, self.seed)
        nothing = np.zeros((1, len(self.seeds)))
        resampled = np.concatenate([scores.resampled, np.zeros((self.resamples, *nothing.shape))], axis=1)
        return replace(scores, value=np.concatenate([scores.value, nothing]), resampled=resampled)

    @cached_property
    def _classes(self) -> set[str]:
        return set(self.counts["label"]) | set(self.counts["predicted"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shared_epochs(curves: Curves) -> int:
    return min(len(curve) for arms in curves.values() for curve in arms)


_TAKE: dict[str, Callable[[Floats, int], float]] = {
    "last": lambda curve, _: float(curve[-1]),
    "mean": lambda curve, shared: float(curve[:shared].mean()),
    "convergence": lambda curve, shared: convergence_epoch(curve[:shared]),
}


def _statistic(measure: MeasuredQuantity, counts: pd.DataFrame) -> Callable[[npt.NDArray], Floats] | None:
    """What makes the score of a confusion matrix; None for a score that counts do not give."""
    if measure.measure == "f1":
        classes = sorted(set(counts["label"]) | set(counts["predicted"]))
        name = str(measure.where.get("class"))
        return partial(_f1_of, classes.index(name)) if name in classes else None
    return {"macro_f1": macro_f1, "accuracy": accuracy}.get(measure.measure)


def _f1_of(place: int, confusions: npt.NDArray) -> Floats:
    return f1_per_class(confusions)[..., place]


def _by_session(counts: pd.DataFrame, runs: list[str], classes: list[str]) -> npt.NDArray[np.int64]:
    """Confusion matrices of shape (run, session, class, class); a run that lacks a session counts 0 there."""
    session, names = pd.factorize(counts["session"], sort=True)
    matrices = np.zeros((len(runs), len(names), len(classes), len(classes)), np.int64)
    place, rank = ({name: index for index, name in enumerate(ordered)} for ordered in (classes, runs))
    rows = [counts[column].map(index).to_numpy(int) for column, index in (("label", place), ("predicted", place))]
    np.add.at(matrices, (counts["run"].map(rank).to_numpy(int), session, *rows), counts["count"].to_numpy(int))
    return matrices
