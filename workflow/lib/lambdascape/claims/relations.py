"""The test of a relation between two measures: over the epochs of a run, among seeds, and across values."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t

from lambdascape.claims.evidence import Evidence, UntestableError
from lambdascape.claims.form import MeasuredQuantity
from lambdascape.claims.results import ODDS, ClaimResult, Question, Verdict, capital
from lambdascape.statistics.contrasts import POWER, over_seeds
from lambdascape.statistics.correlation import detectable_correlation, rank_correlation
from lambdascape.study.choices import not_across

FEWEST_EPOCHS = 5  # of which both measures are kept, for a relation over the epochs of a run


class Relation(NamedTuple):
    """A rank correlation in one of the ways in which there can be one.

    Attributes:
        words: over what it is.
        rho: -1 to 1; NaN where there is nothing to rank.
        p: two-sided p-value.
        low: low end of its interval; NaN where there is none.
        high: its high end.
        power: what would have been seen.
    """

    words: str
    rho: float
    p: float
    low: float
    high: float
    power: str

    @property
    def in_words(self) -> str:
        """The numbers."""
        if np.isnan(self.rho):
            return f"{self.words}, none: there is nothing to rank"
        ends = "" if np.isnan(self.low) else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.words}, {self.rho:.2f}{ends}, p = {self.p:.2g}"


def correlates(question: Question) -> ClaimResult:
    """Whether two measures rise together, or one falls as the other rises: within values and across them.

    There are relations of different kinds: that among the seeds of one value, by ranks within each value; that of
    the values' means, which are as many facts as there are values, however many seeds each has; and, where both
    measures are kept of several epochs, that over the epochs of a run. All have to agree to confirm; the opposite in
    one refutes.
    """
    evidence, (first, second) = question.evidence, question.claim.measured
    _check_comparable(evidence, (first, second))
    pairs = _pairs(evidence, first, second)
    if pairs.empty:
        raise UntestableError("no run has both measures.")
    last = pairs.sort_values("epoch").groupby("run", sort=True).last()
    means = last.groupby("value", sort=True)[["first", "second"]].mean()
    found = [
        _ranked(f"among the seeds of one {evidence.symbol}", last, last["value"].to_numpy(), question.confidence),
        _ranked(f"over the means of each {evidence.symbol}", means, np.zeros(len(means)), question.confidence),
        *_over_epochs(pairs, question.confidence),
    ]
    sign = 1 if question.claim.given == "positive" else -1
    alpha = 1 - question.confidence
    against = [one for one in found if one.rho * sign < 0 and one.p < alpha / len(found)]
    agree = all(one.rho * sign > 0 and one.p < alpha for one in found)
    verdict: Verdict = "refuted" if against else "confirmed" if agree else "undecided"
    known = [one.rho * sign > 0 for one in found if not np.isnan(one.rho)]
    shown = max(against or found, key=lambda one: one.p)
    kept = f"{len(last)} runs" if len(pairs) == len(last) else f"{len(last)} runs and {len(pairs)} epochs of them"
    full = f"Rank correlation of {first.name} and {second.name}, over {kept}: "
    brief = "; ".join(f"{one.words}: {one.rho:.2f}, p = {one.p:.2g}" for one in found)
    return ClaimResult(
        verdict=verdict,
        estimated=f"rank correlation {shown.words}",
        estimate=shown.rho,
        low=shown.low,
        high=shown.high,
        power=shown.power,
        brief=f"{capital(brief)}.",
        evidence=f"{full}{'; '.join(one.in_words for one in found)}.",
        as_claimed=all(known) if known else None,
    )


def _pairs(evidence: Evidence, first: MeasuredQuantity, second: MeasuredQuantity) -> pd.DataFrame:
    """Both measures where both are known: run, epoch, value (of the hyperparameter), first, second."""
    both = evidence.points(first).merge(evidence.points(second), on=["run", "epoch"], suffixes=("_first", "_second"))
    both = both.rename(columns={"value_first": "first", "value_second": "second"}).dropna()
    return both.assign(value=both["run"].map(evidence.runs.set_index("run")[evidence.about]))


def _ranked(words: str, pairs: pd.DataFrame, strata: npt.NDArray, confidence: float) -> Relation:
    """The rank correlation over pairs, within strata."""
    one = rank_correlation(pairs["first"].to_numpy(float), pairs["second"].to_numpy(float), strata, confidence)
    least = detectable_correlation(one.pairs, confidence, POWER)
    power = f"A correlation of {least:.2g} would have been detected {ODDS}."
    if one.rarest > 1 - confidence:
        power = f"There are too few: even a perfect order has p = {one.rarest:.2g}."
    return Relation(words, one.rho, one.p, one.low, one.high, power)


def _over_epochs(pairs: pd.DataFrame, confidence: float) -> list[Relation]:
    """The mean over the runs of the rank correlation over each run's epochs, by Student's t over the runs.

    The epochs of a run follow from each other, so that they are no independent facts; the runs are.
    """
    runs = [part for _, part in pairs.groupby("run") if len(part) >= FEWEST_EPOCHS]
    rho = np.array([part["first"].rank().corr(part["second"].rank()) for part in runs])
    rho = rho[np.isfinite(rho)]
    if len(rho) < 2:
        return []
    words = "over the epochs of a run"
    found = over_seeds(words, rho)
    p = 2 * float(t.sf(abs(found.estimate) / max(found.error, np.finfo(float).tiny), found.freedom))
    power = f"A correlation of {found.detectable(confidence):.2g} would have been detected {ODDS}."
    return [Relation(words, found.estimate, p, *found.interval(confidence), power)]


def _check_comparable(evidence: Evidence, measures: Sequence[MeasuredQuantity]) -> None:
    """Stop where losses of different runs are in different units, or mean something else."""
    hinders = {name for measure in measures for name in not_across(measure.measure, evidence.plugins)}
    varied = sorted(name for name in hinders if name in evidence.runs and evidence.runs[name].nunique() > 1)
    if varied:
        raise UntestableError(f"losses with another {' or '.join(varied)} cannot be compared.")
