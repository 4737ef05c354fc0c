"""How λ acted in a run: as a regulariser, by larger steps of shorter weights, or by collapse.

Every run is compared with its reference, the run of the same seed that differs in λ alone and has the smallest λ of the
study.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd

from lambdascape.core.tsv import read_table, write_table
from lambdascape.mechanism.rules import FADED, HALVED, MOST_DEAD, NONE, RuleEvidence, decide
from lambdascape.mechanism.stages import by_stage, epochs_in_common, late_epochs, references_of, turning
from lambdascape.study.run_table import read_runs

LOSS = "loss_all"  # over all triplets: the mean over active ones is not comparable between runs
HELD_OUT, TRAINING = (
    "test",
    "train_inference",
)  # of the same mode: with the same weights and statistics, without dropout
INTERNAL = ("varies", "is_reference", "reference_collapsed", "head_only", "reference")
EVIDENCE = [field.name for field in fields(RuleEvidence) if field.name not in INTERNAL]
COLUMNS = ["run", "reference", "verdict", "rule", *EVIDENCE]
TEXT = ("run", "reference", "verdict", "rule", "dead_stage", "variance_stage", "turned_stage", "gradient_stage")


def judge_mechanisms(runs: str | Path, training: str | Path, layers: str | Path, output: str | Path) -> None:
    """Say for each run how λ acted in it.

    Args:
        runs: runs.tsv.
        training: training.tsv.
        layers: layers.tsv.
        output: table run, reference, verdict, rule, and the evidence, see `RuleEvidence`; one row per trained run.
    """
    found = mechanisms(
        read_runs(runs),
        read_table(training, text=("run", "split", "measure")),
        read_table(layers, text=("run", "group", "measure")),
    )
    write_table(found, output)


def mechanisms(runs: pd.DataFrame, training: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """The table that `judge_mechanisms` writes."""
    trained = runs[runs["kind"] == "trained"]
    references = references_of(trained)
    ill = {run: _own(run, training, layers) for run in trained["run"]}
    stages = by_stage(references, layers)
    varies = "l2" in trained and trained["l2"].nunique() > 1
    rows = []
    for settings in trained.to_dict("records"):
        run = settings["run"]
        reference = references[run] if varies else ""
        evidence = RuleEvidence(
            varies=varies,
            reference=reference,
            is_reference=reference == run,
            reference_collapsed=_has_collapsed(ill[reference]) if reference else False,
            head_only=settings.get("l2_scope") == "head",
            **ill[run],
            **_of_stages(stages[stages["run"] == run]),
            **_losses(run, reference, training),
        )
        rule = decide(evidence)
        rows.append({"run": run, "verdict": rule.verdict, "rule": rule.name} | asdict(evidence))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"collapsed": int})


def _own(run: str, training: pd.DataFrame, layers: pd.DataFrame) -> dict[str, Any]:
    """Evidence of a collapse in the last epoch of a run, whatever it is compared with."""
    flags = _last(training[(training["run"] == run) & (training["measure"] == "collapsed")])
    last = _last(layers[(layers["run"] == run) & (layers["measure"] == "dead_kernels")])
    dead = dict(zip(last["group"].astype(str), last["value"].astype(float), strict=True))
    stage = _highest(dead)
    return {"collapsed": bool((flags["value"] > 0).any()), "dead_kernels": dead.get(stage, NONE), "dead_stage": stage}


def _last(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["epoch"] == table["epoch"].max()]


def _has_collapsed(own: Mapping[str, Any]) -> bool:
    return bool(own["collapsed"] or own["dead_kernels"] > MOST_DEAD)


def _highest(scores: Mapping[str, float]) -> str:
    """The stage of the highest score, missing ones left out; '' if there is none."""
    known = {stage: score for stage, score in scores.items() if not math.isnan(score)}
    return max(known, key=lambda stage: known[stage], default="")


def _of_stages(stages: pd.DataFrame) -> dict[str, Any]:
    """The stages that decide, from the rows of one run of `by_stage`."""
    rows = {str(row["group"]): row for row in stages.to_dict("records")}
    normalised = {stage: row for stage, row in rows.items() if not math.isnan(row["variance_over_epsilon"])}
    faded = {
        stage: row
        for stage, row in normalised.items()
        if row["variance_over_epsilon"] < FADED and row["variance_ratio"] < HALVED
    }
    lowest = _highest({stage: -row["variance_over_epsilon"] for stage, row in (faded or normalised).items()})
    turned = _highest({stage: turning(row) for stage, row in normalised.items()})
    leading = _highest({stage: row["gradient_ratio"] for stage, row in rows.items()})
    of_turned = ("angular_update_ratio", "weight_norm_ratio", "effective_learning_rate_ratio")
    return {
        "variance_over_epsilon": _value(rows, lowest, "variance_over_epsilon"),
        "variance_ratio": _value(rows, lowest, "variance_ratio"),
        "variance_stage": lowest,
        **{name: _value(rows, turned, name) for name in of_turned},
        "turned_stage": turned,
        "gradient_ratio": _value(rows, leading, "gradient_ratio"),
        "gradient_stage": leading,
    }


def _value(rows: Mapping[str, Mapping[Any, Any]], stage: str, measure: str) -> float:
    return float(rows[stage][measure]) if stage else NONE


def _losses(run: str, reference: str, training: pd.DataFrame) -> dict[str, Any]:
    """Held-out loss and gap of a run and of its reference, over the same late epochs."""
    curves = training[training["measure"] == LOSS]
    own = curves[curves["run"] == run]
    other = curves[curves["run"] == reference] if reference else None
    late = late_epochs(own, other)
    if _stale(training, (run, reference), late):
        own, other = own.assign(value=NONE), None if other is None else other.assign(value=NONE)
    held_out, gap = _held_out_and_gap(own, late)
    reference_loss, reference_gap = (NONE, NONE) if other is None else _held_out_and_gap(other, late)
    unit = reference_loss if reference_loss > 0 else NONE
    return {
        "epochs": len(epochs_in_common(own, other)),
        "held_out_loss": held_out,
        "held_out_change": held_out / unit - 1,
        "gap": gap,
        "reference_gap": reference_gap,
        "gap_change": (gap - reference_gap) / unit,
    }


def _held_out_and_gap(curves: pd.DataFrame, epochs: Iterable[float]) -> tuple[float, float]:
    late = curves[curves["epoch"].isin(list(epochs))]
    median = late.groupby("split")["value"].median().reindex([TRAINING, HELD_OUT])
    return float(median[HELD_OUT]), float(median[HELD_OUT] - median[TRAINING])


def _stale(training: pd.DataFrame, runs: Iterable[str], epochs: Iterable[float]) -> bool:
    """Whether inference did not normalise as training does in one of these epochs."""
    rows = training[(training["measure"] == "stale_statistics") & training["run"].isin(list(runs))]
    return bool((rows.loc[rows["epoch"].isin(list(epochs)), "value"] > 0).any())
