"""The stages of each network against those of its reference, late in the training."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.study.run_table import IDENTITY

LATE, FEWEST_LATE = 0.25, 3  # the last quarter of the epochs, and at least so many of them
LAYER_MEASURES = ["angular_update", "effective_learning_rate", "gradient_ratio", "variance_over_epsilon", "weight_norm"]
AGAINST = {  # column of `by_stage`, the measure of which it is the ratio to that of the reference
    "variance_ratio": "variance_over_epsilon",
    "angular_update_ratio": "angular_update",
    "weight_norm_ratio": "weight_norm",
    "effective_learning_rate_ratio": "effective_learning_rate",
}
# What may differ between a run and its reference: it decides how long a training goes on, or nothing.
FREE = (*IDENTITY, "l2", "early_stopping", "device", "deterministic", "tensorboard", "probe_epochs")


def references_of(trained: pd.DataFrame) -> dict[str, str]:
    """Name of each run's reference: itself where it has the smallest λ, '' where no other run differs in λ alone.

    The number of epochs may differ, because runs are compared over those that both have; under a cosine schedule it
    may not, since the learning rate follows from it. Of several references it is the one of the most similar length.

    Args:
        trained: the rows of runs.tsv of kind `trained`.
    """
    if "l2" not in trained:
        return dict.fromkeys(trained["run"], "")
    records: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in trained.to_dict("records")]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in records:
        groups.setdefault(_all_but_l2(row), []).append(row)
    found: dict[str, str] = {}
    for row in records:
        group = groups[_all_but_l2(row)]
        least = min(other["l2"] for other in group)
        smallest = [other for other in group if other["l2"] == least]
        nearest = min(smallest, key=lambda other: abs(other.get("epochs", 0) - row.get("epochs", 0)))
        alone = all(other["l2"] == least for other in group)
        found[row["run"]] = "" if alone else row["run"] if row["l2"] == least else nearest["run"]
    return found


def _all_but_l2(row: Mapping[str, Any]) -> tuple[str, ...]:
    free = FREE if row.get("lr_schedule") == "cosine" else (*FREE, "epochs")
    return (str(row["replicate"]), *(f"{key}={value}" for key, value in row.items() if key not in free))


def by_stage(references: Mapping[str, str], layers: pd.DataFrame) -> pd.DataFrame:
    """Each stage of each run against that of its reference, late in the training.

    Args:
        references: each run's reference, see `references_of`; '' for none.
        layers: layers.tsv.

    Returns:
        Table run, group, the measures `LAYER_MEASURES` and the ratios of `AGAINST`, missing without a reference.
    """
    of_run = dict(list(layers.groupby("run")))
    parts = []
    for run, reference in references.items():
        if run not in of_run:
            continue
        epochs = late_epochs(of_run[run], of_run.get(reference))
        own = _medians(of_run[run], epochs)
        other = _medians(of_run[reference], epochs) if reference in of_run else own * np.nan
        ratios = {name: own[measure] / other[measure].where(other[measure] > 0) for name, measure in AGAINST.items()}
        parts.append(own.assign(run=run, **ratios).reset_index())
    columns = ["run", "group", *LAYER_MEASURES, *AGAINST]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def turning(row: Mapping[Any, Any]) -> float:
    """How far λ has shortened the weights of a stage and so let a step turn them further, from a row of `by_stage`.

    Returns:
        The factor by which both hold, NaN where one is missing.
    """
    shorter = 1 / row["weight_norm_ratio"] if row["weight_norm_ratio"] else math.inf
    return float(np.minimum(row["angular_update_ratio"], shorter))


def epochs_in_common(table: pd.DataFrame, other: pd.DataFrame | None) -> list[float]:
    """Epochs that two runs have in common, in order; those of the one where there is no other."""
    epochs = set(table["epoch"])
    return sorted(epochs if other is None else epochs & set(other["epoch"]))


def late_epochs(table: pd.DataFrame, other: pd.DataFrame | None) -> list[float]:
    """The last of the epochs that two runs have in common."""
    epochs = epochs_in_common(table, other)
    return epochs[-max(FEWEST_LATE, math.ceil(LATE * len(epochs))) :]


def _medians(table: pd.DataFrame, epochs: Iterable[float]) -> pd.DataFrame:
    """Medians over some epochs, one row per group in the order of the table, one column per measure."""
    late = table[table["epoch"].isin(list(epochs))]
    medians = late.groupby(["group", "measure"])["value"].median().unstack().reindex(columns=LAYER_MEASURES)
    return medians.reindex(pd.unique(late["group"])).rename_axis("group")
