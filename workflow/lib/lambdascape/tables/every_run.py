"""Every run in one row: what was set, what it ended with, how it was judged, what it took."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.jobs.receipts import read_receipt
from lambdascape.mechanism.judging import TEXT as MECHANISM_TEXT
from lambdascape.models.collapse import FLAGS
from lambdascape.study.catalogue import WITH_RECOMPUTED
from lambdascape.study.run_table import Sweep, read_runs, read_sweep
from lambdascape.study.setting_names import in_words
from lambdascape.tables.flagged import flagged

CPU = "cpu"  # the device in a history without a GPU
TEXT = ("run", "kind", "mechanism", "mechanism_rule", "device")
# Columns behind those of the sweep: words for a heading, and what a reader has to know.
HEADINGS: dict[str, tuple[str, str]] = {
    "run": ("Run", "name of the run or of the baseline"),
    "kind": ("Kind", "trained, recomputed (the same network with the statistics of its weights), or a baseline"),
    "seed": ("Seed", "of initial weights, triplets and dropout"),
    "epochs": ("Epochs", "trained; fewer than configured if training stopped early"),
    "loss_first": ("Loss, first epoch", "of the training triplets, as minimised"),
    "loss_last": ("Loss, last epoch", "of the training triplets, as minimised"),
    "penalty_first": ("Penalty, first epoch", "λ · Σw²"),
    "penalty_last": ("Penalty, last epoch", "λ · Σw²"),
    "training_loss": (
        "Loss, fixed training",
        "mean over fixed training triplets, in inference mode, at the end",
    ),
    "held_out_loss": ("Loss, held-out", "mean over all held-out triplets, in inference mode, at the end"),
    "macro_f1_validation": ("Macro-F1, validation", "converged probe, per clip, on training sessions kept apart"),
    "macro_f1_test": ("Macro-F1, held-out", "converged probe, per clip, on held-out sessions"),
    "macro_f1_low": ("– low", "lower end of its bootstrap interval over sessions"),
    "macro_f1_high": ("– high", "upper end of its bootstrap interval over sessions"),
    "effective_rank": (
        "Effective rank",
        "directions that the space uses, centred by the mean of the training tiles",
    ),
    "collapsed": ("Collapsed", "1: after the last epoch all tiles have one embedding"),
    "at_rest": ("At rest", "1: after the last epoch no triplet is active"),
    "stale_statistics": ("Stale statistics", "1: those of batch normalisation do not fit the weights that are saved"),
    "mechanism": ("How λ acted", "verdict of the rules of the mechanism"),
    "mechanism_rule": ("Rule", "of the mechanism that decided"),
    "seconds": ("Training time (s)", "wall time of all epochs, also of those before a kill"),
    "device": ("Device", "that trained it"),
}
FIRST = ("run", "kind")


def collect_runs(
    runs: str | Path,
    training: str | Path,
    scores: str | Path,
    geometry: str | Path,
    mechanism: str | Path,
    histories: Mapping[str, str | Path],
    receipts: str | Path,
    output: str | Path,
) -> None:
    """Write one row per run and baseline.

    Args:
        runs: runs.tsv.
        training: training.tsv.
        scores: scores.tsv.
        geometry: geometry.tsv.
        mechanism: mechanism.tsv.
        histories: name of a trained run to its history.tsv.
        receipts: folder of the receipts of the study's jobs, from which processors have their names.
        output: table with the columns run, kind, those that vary, then those of `HEADINGS`.

    Raises:
        InputError: a table has not the columns it needs.
    """
    took = {run: _took(path, Path(receipts) / "models" / f"{run}.json") for run, path in histories.items()}
    found = every_run(
        read_runs(runs),
        read_sweep(runs),
        read_table(training, text=("run", "split", "measure")),
        read_table(scores, text=("run", "probe", "split", "unit", "measure", "class")),
        read_table(geometry, text=("run", "split", "measure")),
        read_table(mechanism, text=MECHANISM_TEXT),
        pd.DataFrame(took, index=["seconds", "device"]).T,
    )
    write_table(found, output)


def read_every_run(path: str | Path) -> pd.DataFrame:
    """Read the table that `collect_runs` wrote."""
    return read_table(path, text=TEXT)


def heading(column: str) -> tuple[str, str]:
    """Words for the heading of a column of every_run.tsv, and what a reader has to know of it."""
    if column in HEADINGS:
        return HEADINGS[column]
    name, unit = in_words(column)
    return ("λ" if column == "l2" else f"{name} ({unit})" if unit else name), "as set"


def every_run(
    runs: pd.DataFrame,
    sweep: Sweep,
    training: pd.DataFrame,
    scores: pd.DataFrame,
    geometry: pd.DataFrame,
    mechanism: pd.DataFrame,
    took: pd.DataFrame,
) -> pd.DataFrame:
    """The table that `collect_runs` writes.

    Args:
        runs: runs.tsv.
        sweep: what varies.
        training: training.tsv.
        scores: scores.tsv.
        geometry: geometry.tsv.
        mechanism: mechanism.tsv.
        took: seconds and device of each training, by run.

    Returns:
        One row per run and baseline in the order of `runs`; cells that do not apply are missing.
    """
    varying = [key for key in (sweep.key, *sweep.others) if key]
    table = runs[[*FIRST, *varying, "seed"]].astype({"seed": "Int64"}).set_index("run", drop=False)
    train = training[training["split"] == "train"]
    converged = scores[
        (scores["probe"] == "converged") & (scores["unit"] == "clip") & (scores["measure"] == "macro_f1")
    ]
    tested = converged[converged["split"] == "test"].set_index("run")
    trained = table.index[table["kind"] == "trained"]
    judged = mechanism.set_index("run")
    columns: dict[str, Any] = {
        "epochs": train.groupby("run")["epoch"].max().astype("Int64"),
        "loss_first": _at_end(train, "loss", "first"),
        "loss_last": _at_end(train, "loss", "last"),
        "penalty_first": _at_end(train, "penalty", "first"),
        "penalty_last": _at_end(train, "penalty", "last"),
        "training_loss": _in_inference_mode(training, "train_inference", sweep),
        "held_out_loss": _in_inference_mode(training, "test", sweep),
        "macro_f1_validation": converged[converged["split"] == "validation"].set_index("run")["value"],
        "macro_f1_test": tested["value"],
        "macro_f1_low": tested["low"],
        "macro_f1_high": tested["high"],
        "effective_rank": geometry[geometry["measure"] == "effective_rank"].set_index("run")["value"],
        **_flags(training, trained),
        "mechanism": judged["verdict"],
        "mechanism_rule": judged["rule"],
        "seconds": took["seconds"].astype(float),
        "device": took["device"],
    }
    return table.assign(**{name: column.reindex(table.index) for name, column in columns.items()})


def _at_end(rows: pd.DataFrame, measure: str, end: str) -> "pd.Series[Any]":
    """A measure in each run's first or last epoch."""
    chosen = rows[rows["measure"] == measure].sort_values("epoch", kind="stable")
    return chosen.groupby("run")["value"].agg(end)


def _in_inference_mode(training: pd.DataFrame, split: str, sweep: Sweep) -> "pd.Series[Any]":
    """Mean loss over all triplets of a split at the end, of each run and of its space with recomputed statistics."""
    recomputed = training[training["split"] == split + WITH_RECOMPUTED]
    recomputed = recomputed.assign(run=recomputed["run"].map(sweep.second_spaces))
    return _at_end(pd.concat([training[training["split"] == split], recomputed]), "loss_all", "last")


def _flags(training: pd.DataFrame, trained: "pd.Index[Any]") -> dict[str, "pd.Series[Any]"]:
    """What is wrong with each run after its last epoch, 0 or 1; missing where the history does not tell."""
    raised = flagged(training)
    known = set(training["measure"])
    return {
        flag: pd.Series(
            [int(run in raised.get(flag, [])) if flag in known else pd.NA for run in trained], trained, dtype="Int64"
        )
        for flag in FLAGS
    }


def _took(history: str | Path, receipt: Path) -> tuple[float, str]:
    """Seconds of a training over all its epochs, and on what they were computed."""
    table = read_table(history, text=("split", "device"))
    epochs = table.drop_duplicates("epoch")  # both splits carry the same time
    devices: Sequence[str] = list(dict.fromkeys(epochs["device"]))
    if devices and devices[-1] == CPU:  # the receipt knows it by name, but only that of the last attempt
        devices = [*devices[:-1], _named(receipt) or CPU]
    return float(epochs["seconds"].sum()) if len(epochs) else np.nan, ", then ".join(devices)


def _named(receipt: Path) -> str:
    try:
        return read_receipt(receipt).device
    except InputError:
        return ""
