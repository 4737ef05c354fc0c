"""What a study varies, read from its table of runs: the same answer for every figure and for the report."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table
from lambdascape.study.catalogue import RECOMPUTED
from lambdascape.study.hyperparameters import in_words, setting, symbol

PLACED = ("run", "seed", "setting", "arm")  # columns of `Sweep.trained`
NOT_SWEPT = ("run", "kind", "seed")
REFERENCES = {"untrained": "untrained network", "mean_logmel": "mean log-mel"}
OWN = "own"  # kind in runs.tsv of the spaces that the user brings; each is a kind of reference for itself
# Groups of layers, as layers.tsv names them.
GROUPS = {"stem": "stem", **{f"stage{i}": f"stage {i}" for i in range(1, 5)}, "head": "embedding layer"}


@dataclass(frozen=True)
class Sweep:
    """The axis of a study and the runs on it.

    Attributes:
        key: column of runs.tsv that varies between trained runs: `l2` if it does, else the first; '' if none.
        values: values on the axis, in order of size.
        others: further columns that vary.
        trained: one row per trained run: run, seed, setting (its value on the axis), arm (the values
            of `others` in words).
        references: one row per reference space: run, kind (a key of `kinds`), seed.
        recomputed: as `trained`, of the second spaces of runs that keep moving averages, with the statistics of the
            weights.
    """

    key: str
    values: tuple[Any, ...]
    others: tuple[str, ...]
    trained: pd.DataFrame
    references: pd.DataFrame
    recomputed: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PLACED)))

    @property
    def axis(self) -> str:
        """Label of the axis, with the unit."""
        if not self.key:
            return "the one setting of this study"
        name, unit = in_words(self.key)
        return f"{name} ({unit})" if unit else name

    @property
    def kinds(self) -> dict[str, str]:
        """Kinds of reference spaces, and what to call them: `REFERENCES`, then each space that the user brings."""
        own = [str(kind) for kind in self.references["kind"] if str(kind).startswith(f"{OWN}:")]
        return REFERENCES | {kind: f"own space {kind.partition(':')[2]}" for kind in own}

    @property
    def symbol(self) -> str:
        """The short name of what varies, for running text: λ, or the name in words."""
        return symbol(self.key)

    @property
    def others_in_words(self) -> str:
        """The further columns that vary, as a list in words."""
        return " and ".join(in_words(column)[0].lower() for column in self.others)

    def label(self, value: Any) -> str:
        """A value of the axis as it stands beside a curve, such as `λ = 0.01`."""
        return setting(self.key, value) if self.key else "all runs"

    def seeds(self) -> int:
        """Number of different seeds of the trained runs."""
        return int(self.trained["seed"].nunique())


def text(value: Any) -> str:
    """A value in its shortest form: 0.01, 1, nonzero, True."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number else str(value)


def read_sweep(path: str | Path) -> Sweep:
    """Read a study's table of runs and find what it varies.

    Args:
        path: runs.tsv, one row per run and reference space: run, kind, seed, then every hyperparameter.

    Raises:
        InputError: no run in the table is a trained one.
    """
    runs = read_table(path, text=("run", "kind"))
    trained = runs[runs["kind"] == "trained"].reset_index(drop=True)
    if trained.empty:
        raise InputError(f"{path}: must list at least one run of kind 'trained'; found {sorted(set(runs['kind']))}")
    varying = [c for c in runs.columns if c not in NOT_SWEPT and trained[c].nunique(dropna=False) > 1]
    varying.sort(key=lambda column: column != "l2")
    key, others = (varying[0], tuple(varying[1:])) if varying else ("", ())
    table, recomputed = (
        _placed(runs[runs["kind"] == kind].reset_index(drop=True), key, others) for kind in ("trained", RECOMPUTED)
    )
    values = tuple(sorted(set(table["setting"]), key=lambda v: (isinstance(v, str), v)))
    references = runs.loc[runs["kind"].isin([*REFERENCES, OWN]), ["run", "kind", "seed"]].reset_index(drop=True)
    brought = references["kind"] == OWN
    references.loc[brought, "kind"] = f"{OWN}:" + references.loc[brought, "run"]
    return Sweep(key, values, others, table, references, recomputed)


def _placed(runs: pd.DataFrame, key: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Run, seed, setting and arm of some rows of runs.tsv, see `Sweep.trained`."""
    names = [in_words(column)[0].lower() for column in others]
    rows = zip(*(_plain(runs[column]) for column in others), strict=True) if others else [()] * len(runs)
    arm = [", ".join(f"{name} {text(value)}" for name, value in zip(names, row, strict=True)) for row in rows]
    setting = pd.Series(_plain(runs[key]) if key else [""] * len(runs), dtype=object)
    found = {"run": runs["run"], "seed": runs["seed"], "setting": setting, "arm": pd.Series(arm, dtype=object)}
    return pd.DataFrame(found)[list(PLACED)]


def mapped_runs(sweep: Sweep) -> list[tuple[str, str]]:
    """Run and words of each panel: the first run of each value, then the first of each reference."""
    panels = []
    for value in sweep.values:
        first = sweep.trained[sweep.trained["setting"] == value].sort_values("seed", kind="stable").iloc[0]
        panels.append((str(first["run"]), sweep.label(value) + (f"\n{first['arm']}" if first["arm"] else "")))
    for kind, words in sweep.kinds.items():
        here = sweep.references[sweep.references["kind"] == kind].sort_values("seed", kind="stable")
        panels += [(str(run), words) for run in here["run"][:1]]
    return panels


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """Values as plain Python objects; a missing value is the word `none`."""
    return ["none" if pd.isna(value) else value for value in column.tolist()]
