"""How many seeds and sessions a comparison takes to show an effect of a given size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lambdascape.statistics.contrasts import POWER, Contrast

MOST_SEEDS = 30  # more are not advised: sessions are what is short then
FEWEST_SEEDS = 2  # one seed has no spread
PLANNED = (5, 10, 20, 30)  # seeds, where sessions are short, too
MOST_TIMES = 20  # the sessions at hand


@dataclass(frozen=True)
class Precision:
    """What a difference of two arms is uncertain by, and how that shrinks.

    The squared error is S² / r + V · n / n' for r seeds and n' sessions: S is the spread of the difference over seeds,
    V the variance that the n sessions at hand give it. A part of V shrinks with the seeds too and is counted as if
    it did not, and the degrees of freedom are the fewest possible, r' - 1 or n' - 1, so that the numbers are rather
    too high than too low; without V they are those of the paired t-test.

    Attributes:
        seeds: how many there are.
        sessions: how many held-out sessions there are, at least 2.
        seed_sd: S, standard deviation of the difference from seed to seed.
        session_variance: V.
        confidence: of the intervals.
    """

    seeds: int
    sessions: int
    seed_sd: float
    session_variance: float
    confidence: float

    def detectable(self, seeds: int | None = None, sessions: int | None = None) -> float:
        """The smallest true difference that so many seeds and sessions would show with 80 % probability.

        Args:
            seeds: at least 2; None for those at hand.
            sessions: at least 2; None for those at hand.
        """
        seeds, sessions = seeds or self.seeds, sessions or self.sessions
        own = self.seed_sd**2 / seeds
        shared = self.session_variance * self.sessions / sessions
        if own + shared == 0:
            return 0.0
        # Satterthwaite's, of the sum of both terms, lie between these two (`bootstrap.difference`).
        freedom = min(seeds, sessions) - 1 if shared else seeds - 1
        return Contrast("", 0.0, float(np.sqrt(own + shared)), freedom).detectable(self.confidence, POWER)

    def seeds_for(self, effect: float) -> int | None:
        """The fewest seeds that show an effect on the sessions at hand; None where `MOST_SEEDS` do not."""
        counts = range(FEWEST_SEEDS, MOST_SEEDS + 1)
        return next((count for count in counts if self.detectable(seeds=count) <= effect), None)

    def seeds_and_sessions_for(self, effect: float) -> tuple[int, int] | None:
        """The fewest of `PLANNED` seeds that can show an effect, and how many sessions that takes.

        Sessions are counted in whole multiples of those at hand; None where `MOST_TIMES` do not suffice.
        """
        for seeds in (count for count in PLANNED if count >= self.seeds):
            for times in range(1, MOST_TIMES + 1):
                if self.detectable(seeds, times * self.sessions) <= effect:
                    return seeds, times * self.sessions
        return None


def precision_of(pair: Mapping[str, Any], confidence: float) -> Precision | None:
    """The precision of one row of comparisons.tsv.

    Args:
        pair: `low` and `high` (these runs on new sessions), `seed_sd`, `seeds`, `sessions`.
        confidence: of the intervals.

    Returns:
        None where there is but one seed or one session.
    """
    from scipy.stats import t

    if np.isnan([pair["low"], pair["high"], pair["seed_sd"]]).any():
        return None
    half = (pair["high"] - pair["low"]) / 2
    error = half / float(t.ppf((1 + confidence) / 2, pair["sessions"] - 1))
    return Precision(int(pair["seeds"]), int(pair["sessions"]), float(pair["seed_sd"]), float(error**2), confidence)
