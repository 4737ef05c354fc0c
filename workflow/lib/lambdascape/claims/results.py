"""The input of a test of a claim, and its result."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from lambdascape.claims.evidence import Evidence
from lambdascape.claims.form import Claim, MeasuredQuantity
from lambdascape.statistics.contrasts import POWER

Verdict = Literal["confirmed", "refuted", "undecided"]
ODDS = f"with {POWER * 100:g} % probability"


@dataclass(frozen=True)
class ClaimResult:
    """What a test found.

    Attributes:
        verdict: confirmed, refuted or undecided.
        estimated: what the estimate is, in words; of several comparisons, the one that decided.
        estimate: the number; NaN where there is none.
        low: low end of its interval; NaN where there is none.
        high: its high end.
        power: what these data would have shown, in words.
        brief: the numbers in one line.
        evidence: the numbers in full.
        as_claimed: whether the estimates, whatever their intervals, are as claimed; None where one is missing.
    """

    verdict: Verdict
    estimated: str
    estimate: float
    low: float
    high: float
    power: str
    brief: str
    evidence: str
    as_claimed: bool | None = None


class Told(NamedTuple):
    """The evidence in words: in one line, and in full."""

    brief: str
    full: str


@dataclass(frozen=True)
class Question:
    """One measure of a claim, and how sure an answer must be.

    Attributes:
        claim: the claim.
        measure: the measure.
        evidence: the numbers of the study.
        confidence: of the intervals.
    """

    claim: Claim
    measure: MeasuredQuantity
    evidence: Evidence
    confidence: float

    def stricter(self, comparisons: int) -> float:
        """The confidence at which one of several comparisons, over all measures too, may refute (Bonferroni)."""
        return 1 - (1 - self.confidence) / (comparisons * len(self.claim.measured))


def capital(words: str) -> str:
    """Words as a sentence begins with them."""
    return words if words.startswith("λ") else words[:1].upper() + words[1:]
