"""A difference between two settings: its estimate, its interval, and the smallest effect that would have been seen."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import nct, t

Floats = npt.NDArray[np.float64]

POWER = 0.8  # probability with which an effect is seen


@dataclass(frozen=True)
class Contrast:
    """An estimate with its uncertainty, for new runs (and, of scores, on new sessions).

    Attributes:
        words: what is estimated.
        estimate: the mean over the seeds.
        error: its standard error; NaN where the data do not give it, as with one seed.
        freedom: degrees of freedom of the error.
        resolution: smallest half-width of an interval, for numbers that are counted.
        least: lowest value that it can have.
        most: highest value that it can have.
    """

    words: str
    estimate: float
    error: float
    freedom: float
    resolution: float = 0.0
    least: float = -np.inf
    most: float = np.inf

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's interval of the estimate, inside what is possible: low and high end, NaN where the error is.

        Args:
            confidence: above 0 and below 1.
        """
        width = max(self.resolution, float(t.ppf((1 + confidence) / 2, self.freedom) * self.error))
        if not self.known:
            return float("nan"), float("nan")
        return max(self.estimate - width, self.least), min(self.estimate + width, self.most)

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite([self.estimate, self.error]).all())

    def possible(self, effect: float) -> bool:
        """Whether there can be an effect of this size, of one sign or the other."""
        return effect < max(self.most, -self.least)

    def detectable(self, confidence: float, power: float = POWER) -> float:
        """The smallest true effect whose interval leaves 0 out with probability `power`, given this error.

        From the noncentral t distribution.

        Args:
            confidence: of the interval.
            power: above (1 - confidence) / 2 and below 1.

        Returns:
            At least 0, in the unit of the estimate; NaN where there is no interval.
        """
        if not self.known:
            return float("nan")
        critical = t.ppf((1 + confidence) / 2, self.freedom)
        needed = brentq(_lack_of_power, 0, 5 * critical + 10, args=(critical, self.freedom, power))
        return max(float(needed) * self.error, self.resolution)


def _lack_of_power(effect: float, critical: float, freedom: float, power: float) -> float:
    return float(nct.sf(critical, freedom, effect)) - power


def over_seeds(words: str, values: Floats, resolution: float = 0.0) -> Contrast:
    """A contrast whose value is known for each seed, shape (seed,); NaN in one of them leaves it unknown."""
    count = len(values)
    error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return Contrast(words, float(values.mean()), error, max(count - 1, 1), resolution)
