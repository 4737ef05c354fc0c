"""What the test of a claim says of the published curves, the numbers from which the claim was made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.claims.evidence import Evidence, UntestableError
from lambdascape.claims.form import Claim, MeasuredQuantity
from lambdascape.claims.results import Question
from lambdascape.claims.verdicts import JUDGES
from lambdascape.claims.vocabulary import PUBLISHED

ABOUT = "l2"  # the hyperparameter of the published curves


def published_evidence(path: str | Path) -> Evidence:
    """The published curves as the runs of a study: one seed for each λ, one measure for each figure.

    Args:
        path: CSV with figure, l2, epoch (from 0) and value. Points that it leaves out, hidden behind another curve, lie
            on the straight line between their neighbours.
    """
    curves = pd.read_csv(path)
    rows = []
    for keys, points in curves.groupby(["figure", ABOUT]):
        figure, value = keys
        points = points.sort_values("epoch")
        epochs = np.arange(points["epoch"].min(), points["epoch"].max() + 1)
        filled = np.interp(epochs, points["epoch"], points["value"])
        rows += [(_run(value), epoch + 1, figure, number) for epoch, number in zip(epochs, filled, strict=True)]
    runs = pd.DataFrame([(_run(value), "trained", 1, value) for value in sorted(curves[ABOUT].unique())])
    return Evidence(
        about=ABOUT,
        runs=runs.set_axis(["run", "kind", "seed", ABOUT], axis=1),
        tables={"training": pd.DataFrame(rows, columns=["run", "epoch", "measure", "value"])},
        counts=pd.DataFrame(columns=["label", "predicted"]),
        resamples=2,
        seed=1,
    )


def _run(value: object) -> str:
    return f"{ABOUT}~{value}"


def on_published_curves(claim: Claim, evidence: Evidence, confidence: float) -> str:
    """Put a claim to its own test, on the published curves.

    Args:
        claim: the claim.
        evidence: see `published_evidence`.
        confidence: of the intervals.

    Returns:
        The numbers, and whether they alone are as claimed; of one run for each λ there is no verdict. Empty where a
        measure has no published curve.
    """
    if not all(measure.published for measure in claim.measured):
        return ""
    measured = tuple(map(_of_the_figure, claim.measured))
    claim = replace(claim, measured=measured)
    parts = []
    for measure in measured[: 1 if claim.kind == "correlates" else None]:
        try:
            found = JUDGES[claim.kind](Question(claim, measure, evidence, confidence))
        except UntestableError as lack:
            return f"Not tested: {lack}"
        said = found.power if found.as_claimed is None else "As claimed." if found.as_claimed else "Not as claimed."
        parts.append(f"{found.evidence} {said}")
    return " ".join(parts)


def _of_the_figure(measure: MeasuredQuantity) -> MeasuredQuantity:
    name = PUBLISHED[measure.published]
    return replace(measure, name=name, table="training", measure=measure.published, where={}, at=measure.at or "last")
