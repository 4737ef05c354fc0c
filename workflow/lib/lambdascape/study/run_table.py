"""The runs of a study and what it varies, read from its table of runs: the same answer for every figure and table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table
from lambdascape.study.catalogue import RECOMPUTED
from lambdascape.study.setting_names import in_words, setting, symbol

# Columns of runs.tsv before the settings. `run` is a name for paths, from which nothing may be read; an arm is a point
# of the sweep, or the kind of a reference; a replicate is a seed and the fold held out; `axis` is the setting that
# figures have as their x axis, `value` that of the run.
IDENTITY = ("run", "kind", "arm", "replicate", "seed", "test_fold", "axis", "value")
TEXT = ("run", "kind", "arm", "replicate", "test_fold", "axis")
PLACED = ("run", "arm", "replicate", "seed", "axis_value", "other_settings")  # columns of `Sweep.trained`
REFERENCES = {"untrained": "untrained network", "mean_logmel": "mean log-mel"}
OWN = "own"  # kind in runs.tsv of the spaces that the user brings; each is an arm of its own
# Groups of layers, as layers.tsv names them.
GROUPS = {"stem": "stem", **{f"stage{i}": f"stage {i}" for i in range(1, 5)}, "head": "embedding layer"}


@dataclass(frozen=True)
class Sweep:
    """The axis of a study and the runs on it.

    Attributes:
        key: the setting on the axis, as runs.tsv names it; '' where no setting varies.
        values: values on the axis, in order of size.
        others: further settings that vary.
        trained: one row per trained run: run, arm, replicate, seed, axis_value (called so beside the `value` of a
            measure), other_settings (the values of `others` in words).
        references: one row per reference space: run, arm (a key of `kinds`), seed.
        recomputed: as `trained`, of the second spaces of runs that keep moving averages, with the statistics of the
            weights; arm, replicate and axis_value are those of the run.
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
    def arms(self) -> dict[str, str]:
        """Each arm of the sweep to its words, such as `l2~0.01` to `λ = 0.01`, in the order of the table."""
        rows = self.trained.drop_duplicates("arm")[["arm", "axis_value", "other_settings"]]
        return {
            str(arm): self.label(value) + (f", {others}" if others else "")
            for arm, value, others in rows.itertuples(index=False)
        }

    @property
    def kinds(self) -> dict[str, str]:
        """Arms of the reference spaces to their words: `REFERENCES`, then each space that the user brings."""
        own = self.references[~self.references["arm"].isin([*REFERENCES])]
        return REFERENCES | {str(arm): f"own space {run}" for arm, run in zip(own["arm"], own["run"], strict=True)}

    @property
    def second_spaces(self) -> dict[str, str]:
        """Each trained run that has a second space, with the statistics of its weights, to the name of that space."""
        pairs = self.trained.merge(self.recomputed, on=["arm", "replicate"], suffixes=("", "_second"))
        return dict(zip(pairs["run"], pairs["run_second"], strict=True))

    @property
    def symbol(self) -> str:
        """The short name of what varies, for running text: λ, or the name in words."""
        return symbol(self.key)

    @property
    def others_in_words(self) -> str:
        """The further settings that vary, as a list in words."""
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


def read_runs(path: str | Path) -> pd.DataFrame:
    """Read a study's table of runs: one row per run and reference space, `IDENTITY` and then every setting.

    Raises:
        InputError: a column of the identity is missing, as in a table that an older version wrote.
    """
    return read_table(path, text=TEXT)


def read_spaces(path: str | Path, names: Sequence[str]) -> pd.DataFrame:
    """Rows of some spaces in runs.tsv.

    Args:
        path: runs.tsv.
        names: of the spaces.

    Returns:
        A row for each name, in the order of the names.

    Raises:
        InputError: the table lacks a space, or see `read_runs`.
    """
    runs = read_runs(path).set_index("run", drop=False)
    missing = sorted(set(names) - set(runs.index))
    if missing:
        raise InputError(f"{path}: must list every space; it lacks {', '.join(missing)}")
    return runs.loc[list(names)].reset_index(drop=True)


def read_sweep(path: str | Path) -> Sweep:
    """Read a study's runs and what it varies.

    Args:
        path: runs.tsv.

    Raises:
        InputError: no run in the table is a trained one, or see `read_runs`.
    """
    runs = read_runs(path)
    trained = runs[runs["kind"] == "trained"].reset_index(drop=True)
    if trained.empty:
        raise InputError(f"{path}: must list at least one run of kind 'trained'; found {sorted(set(runs['kind']))}")
    key = str(trained["axis"].iloc[0])
    settings = [str(column) for column in runs.columns if column not in (*IDENTITY, key)]
    others = tuple(column for column in settings if trained[column].nunique(dropna=False) > 1)
    table, recomputed = (
        _placed(runs[runs["kind"] == kind].reset_index(drop=True), key, others) for kind in ("trained", RECOMPUTED)
    )
    values = tuple(sorted(set(table["axis_value"]), key=lambda v: (isinstance(v, str), v)))
    references = runs.loc[runs["kind"].isin([*REFERENCES, OWN]), ["run", "arm", "seed"]].reset_index(drop=True)
    return Sweep(key, values, others, table, references, recomputed)


def _placed(runs: pd.DataFrame, key: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Some rows of runs.tsv with the columns `PLACED`, see `Sweep.trained`."""
    names = [in_words(column)[0].lower() for column in others]
    rows = zip(*(_plain(runs[column]) for column in others), strict=True) if others else [()] * len(runs)
    words = [", ".join(f"{name} {text(value)}" for name, value in zip(names, row, strict=True)) for row in rows]
    values = _plain(runs["value"]) if key else [""] * len(runs)
    found = runs.assign(
        axis_value=pd.Series(values, runs.index, dtype=object),
        other_settings=pd.Series(words, runs.index, dtype=object),
    )
    return found[list(PLACED)]


def mapped_runs(sweep: Sweep) -> list[tuple[str, str]]:
    """Run and words of each panel: the first run of each value, then the first of each reference."""
    panels = []
    for value in sweep.values:
        first = sweep.trained[sweep.trained["axis_value"] == value].sort_values("seed", kind="stable").iloc[0]
        others = first["other_settings"]
        panels.append((str(first["run"]), sweep.label(value) + (f"\n{others}" if others else "")))
    for kind, words in sweep.kinds.items():
        here = sweep.references[sweep.references["arm"] == kind].sort_values("seed", kind="stable")
        panels += [(str(run), words) for run in here["run"][:1]]
    return panels


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """Values as plain Python objects; a missing value is the word `none`."""
    return ["none" if pd.isna(value) else value for value in column.tolist()]
