"""The table of verdicts: every claim of a claims file with its verdict, the evidence, and what would refute it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.claims.evidence import Evidence, UntestableError
from lambdascape.claims.form import PLACES, Claim, places_in, read_claims
from lambdascape.claims.published import on_published_curves, published_evidence
from lambdascape.claims.results import ClaimResult, Question, capital
from lambdascape.claims.verdicts import JUDGES
from lambdascape.claims.vocabulary import IN_WORDS
from lambdascape.config.settings import Statistics
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.study.run_table import IDENTITY, read_runs
from lambdascape.study.setting_names import setting

COLUMNS = [
    "claim",
    "sentence",
    "verdict",
    "estimated",
    "estimate",
    "low",
    "high",
    "power",
    "brief",
    "evidence",
    "published",
    "test",
    "refuted_when",
    "source",
]
TABLES = {
    "training": ("run", "split", "measure"),
    "probe_epochs": ("run", "split", "measure"),
    "scores": ("run", "probe", "split", "unit", "measure", "class"),
    "geometry": ("run", "split", "measure"),
}
COUNTS = ["run", "probe", "split", "unit", "session", "label", "predicted", "count"]
TESTS = {
    "highest": "{place} is above every other {symbol}.",
    "lowest": "{place} is below every other {symbol}.",
    "ordered": "The measure is {given} from each {symbol} to the next larger one.",
    "best_inside": "A {symbol} inside the grid is better (the {given}) than both its ends. An end can refute that only "
    "if no {symbol} is possible beyond it.",
    "differs_at_most": "The two differ by less than the margin that the claim names.",
    "at_least": "{place} is above the level that the claim names.",
    "at_most": "{place} is below the level that the claim names.",
    "still_falling": "The last quarter of every curve (at least 4 epochs) falls by more than 5 % of its whole fall.",
    "has_converged": "The last quarter of every curve (at least 4 epochs) changes by less than 5 % of its whole fall.",
    "correlates": "The rank correlation is {given}, among the seeds of one {symbol} and over the means of each.",
}
INTERVALS = (
    "Confirmed if the {confidence:g} % interval of every comparison is on this side of 0, refuted if that of one is on "
    "the other side (Bonferroni over the comparisons). Comparisons are paired by seed; those of scores are "
    "paired by session too, and their interval is for new runs on new sessions."
)
EQUIVALENCE = (
    "Confirmed if the {confidence:g} % interval of the difference is inside the margin on both sides, refuted if it is "
    "outside (Bonferroni over the measures). Runs are paired by seed, and scores by session too."
)
CORRELATIONS = (
    "Confirmed if all have p below {alpha:.2g} in a permutation test, refuted if the opposite is found in one "
    "(Bonferroni). Runs with both measures at several epochs are also tested over their epochs."
)


def judge_claims(
    claims: Sequence[str | Path],
    runs_path: str | Path,
    tables: Mapping[str, str | Path],
    confusions: Mapping[str, str | Path],
    settings: Statistics,
    seed: int,
    output: str | Path,
    published: str | Path | None = None,
    plugins: Sequence[str] = (),
) -> None:
    """Judge the claims of a study on its numbers.

    Arms are compared seed by seed, over the seeds that were run with every value of the hyperparameter. The tests are
    those of `verdicts.JUDGES`.

    Args:
        claims: the claims file, or none.
        runs_path: runs.tsv of the study.
        tables: paths of the tables `TABLES`; more may be.
        confusions: trained run to its converged_confusion.tsv, by session.
        settings: of resamples and intervals.
        seed: of the resamples.
        output: table with `COLUMNS`; header only without a claims file. Numbers are missing where nothing was tested.
        published: CSV of the published curves, see `published.published_evidence`; None for none.
        plugins: files of the user, which may declare losses.

    Raises:
        InputError: a measure leaves several rows for one run, or a trained run has no loss in training.tsv.
    """
    rows: list[dict[str, Any]] = []
    for path in claims:
        content = read_claims(path)
        runs = read_runs(runs_path)
        evidence = Evidence(
            about=content.about,
            runs=runs[runs["kind"] == "trained"],
            tables={name: read_table(tables[name], text=columns) for name, columns in TABLES.items()},
            counts=_counts(confusions),
            resamples=settings.resamples,
            seed=seed,
            ends=(0.0, *content.ends),
            plugins=plugins,
        )
        _check_complete(evidence, tables["training"])
        behind = published_evidence(published) if published else None
        confidence = settings.confidence
        try:
            rows += [
                {"source": content.source}
                | _row(claim, evidence, confidence)
                | {"published": on_published_curves(claim, behind, confidence) if behind else ""}
                for claim in content.claims
            ]
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    write_table(pd.DataFrame(rows, columns=COLUMNS), output)


def _counts(confusions: Mapping[str, str | Path]) -> pd.DataFrame:
    """The counts of all runs in one table; where a file names no probe, they are of the converged one."""
    text = ("split", "unit", "session", "label", "predicted")
    parts = [read_table(path, text=text).assign(run=run) for run, path in confusions.items()]
    parts = [part if "probe" in part else part.assign(probe="converged") for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)[COUNTS] if parts else pd.DataFrame(columns=COUNTS)


def _check_complete(evidence: Evidence, training_path: str | Path) -> None:
    training = evidence.tables["training"]
    known = training["run"][(training["split"] == "train") & (training["measure"] == "loss")]
    missing = sorted(set(evidence.runs["run"]) - set(known))
    if missing:
        raise InputError(f"{training_path}: needs the loss of every trained run; {', '.join(missing)} missing")


def _row(claim: Claim, evidence: Evidence, confidence: float) -> dict[str, Any]:
    try:
        _check_testable(claim, evidence)
        count = 1 if claim.kind == "correlates" else len(claim.measured)
        found = [_judged(claim, place, evidence, confidence) for place in range(count)]
        finding = _joined(claim, found)
        finding = replace(finding, evidence=finding.evidence + _confounded(claim, evidence))
    except UntestableError as lack:
        unknown = float("nan")
        said = f"not tested: {lack}"
        finding = ClaimResult("undecided", "", unknown, unknown, unknown, "", brief=said, evidence=said)
    words = vars(finding) | {"claim": claim.number, "sentence": claim.sentence.format_map(_names(evidence))}
    return words | {"test": _test(claim, evidence, confidence), "refuted_when": claim.refuted_when}


def _judged(claim: Claim, place: int, evidence: Evidence, confidence: float) -> ClaimResult:
    """The finding on one measure of a claim; on both of its readings where it names a second one."""
    readings = _readings(claim) if claim.kind == "correlates" or claim.measured[place].also else {"": claim}
    found = {
        words: JUDGES[claim.kind](Question(reading, reading.measured[place], evidence, confidence))
        for words, reading in readings.items()
    }
    return _agreed(found) if len(found) > 1 else next(iter(found.values()))


def _readings(claim: Claim) -> dict[str, Claim]:
    """A claim by its measures as they are, and by the second ones that they name; what is read to the claim."""
    found = {}
    for second in (True, False):
        measured, words = [], ""
        for measure in claim.measured:
            name = measure.also if second and measure.also else measure.measure
            if measure.also:
                words = IN_WORDS.get(name, name)
                measure = replace(measure, measure=name, name=f"{measure.name} ({words})", also="")
            measured.append(measure)
        found[words] = replace(claim, measured=tuple(measured))
    return found


def _agreed(found: dict[str, ClaimResult]) -> ClaimResult:
    """Join the findings by two readings of one measure: a verdict needs both, and one that differs leaves it open."""
    first, second = found.values()
    parts = "; ".join(f"by {words}: {one.verdict}, {_numbers(one)}" for words, one in found.items())
    evidence = " ".join(one.evidence for one in found.values())
    shown = first if "undecided" not in (first.verdict, second.verdict) or first.verdict == "undecided" else second
    shown = replace(shown, brief=f"{capital(parts)}.", evidence=evidence)
    if first.verdict == second.verdict:
        return shown
    one, other = found
    power = f"{capital(one)} and {other} disagree, and a verdict needs both."
    power += f" {shown.power}" if shown.verdict == "undecided" else ""
    return replace(shown, verdict="undecided", power=power)


def _numbers(finding: ClaimResult) -> str:
    """An estimate with its interval, in brief."""
    if np.isnan(finding.estimate):
        return f"{finding.estimated}, no value"
    ends = "" if np.isnan(finding.low) else f" ({finding.low:.2g} to {finding.high:.2g})"
    return f"{finding.estimated}: {finding.estimate:.2g}{ends}"


def _joined(claim: Claim, found: list[ClaimResult]) -> ClaimResult:
    """Join the findings on several measures: all have to confirm, one refutes; the decisive one gives the numbers."""
    if len(found) == 1:
        return found[0]
    rank = {"refuted": 0, "undecided": 1, "confirmed": 2}
    decisive = min(found, key=lambda one: rank[one.verdict])
    parts = [f"{measure.name}: {one.verdict}" for measure, one in zip(claim.measured, found, strict=True)]
    evidence = " ".join(one.evidence for one in found)
    return replace(decisive, brief=f"{capital('; '.join(parts))}.", evidence=evidence)


def _check_testable(claim: Claim, evidence: Evidence) -> None:
    """Stop where the runs cannot bear on a claim about the hyperparameter."""
    if not evidence.grid:
        raise UntestableError(f"the runs of this study have no {evidence.symbol}.")
    if claim.kind == "correlates":
        return
    symbol, found = evidence.symbol, ", ".join(setting(evidence.about, value) for value in evidence.grid) or "none"
    if len(evidence.grid) < 2:
        raise UntestableError(f"the claim compares values of {symbol}; this study has {found}.")
    if evidence.runs.duplicated([evidence.about, "seed"]).any():
        raise UntestableError(
            f"runs of one {symbol} and seed differ in something else, and the claim is about {symbol} alone."
        )
    if not evidence.seeds:
        raise UntestableError(f"no seed was run with every {symbol} ({found}).")


def _confounded(claim: Claim, evidence: Evidence) -> str:
    """A warning when the hyperparameter is not the only thing that differs between the runs."""
    others = evidence.runs.drop(columns=[*IDENTITY, evidence.about], errors="ignore")
    varied = [str(name) for name in others.columns if others[name].nunique(dropna=False) > 1]
    if not varied or claim.kind == "correlates":
        return ""
    return f" Not {evidence.symbol} alone differs between the runs, but also {', '.join(varied)}."


def _names(evidence: Evidence) -> dict[Any, str]:
    """The places of the grid in words, with the values of this study where it has several."""
    if len(evidence.grid) < 2:
        return {place: f"{words} {evidence.symbol}" for place, words in PLACES.items()}
    return {place: setting(evidence.about, evidence.value_at(place)) for place in PLACES}


def _test(claim: Claim, evidence: Evidence, confidence: float) -> str:
    """How the verdict follows from the numbers."""
    place, *_ = [*places_in(claim.kind, claim.given), ""]
    named = _names(evidence).get(place, setting(evidence.about, place))
    words = TESTS[claim.kind].format(given=claim.given, place=named, symbol=evidence.symbol)
    rule = {"correlates": CORRELATIONS, "differs_at_most": EQUIVALENCE}.get(claim.kind, INTERVALS)
    return f"{capital(words)} {rule.format(confidence=100 * confidence, alpha=1 - confidence)}"
