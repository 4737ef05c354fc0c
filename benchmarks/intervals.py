"""How often the intervals hold the truth: studies are simulated whose truth is known, with few sessions and with many.

make bench-coverage
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import t

from lambdascape.statistics.bootstrap import difference, paired_session_bootstrap, session_bootstrap, session_times
from lambdascape.statistics.metrics import f1_per_class, macro_f1

Floats = npt.NDArray[np.float64]

CONFIDENCE, RESAMPLES = 0.95, 400
MEAN, SESSION_SD, ARM_SD, RUN_SD = 1.0, 1.2, 0.4, 0.4  # of the logit of the share of a session's clips recognised
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


@dataclass(frozen=True)
class Design:
    """A study: classes, sessions (each of one class, the classes in turn), seeds, and how much runs differ.

    Attributes:
        seed_sd: standard deviation of a run's own effect on the logit, over all sessions.
    """

    classes: int
    sessions: int
    seeds: int
    seed_sd: float


def simulate(rng: np.random.Generator, design: Design) -> tuple[npt.NDArray[np.int64], Floats]:
    """Confusion counts of two equal arms, shape (arm, seed, session, class, class), and each run's true macro-F1.

    A session of 5 to 30 clips has a difficulty of its own, which all runs share; arms and runs differ on it, too. What
    is not recognised is spread evenly over the other classes, so that the true macro-F1 of a run is the share of the
    clips that it recognises, in expectation over sessions. Shape (arm, seed).
    """
    clips = rng.integers(5, 31, design.sessions)
    effect = rng.normal(0, design.seed_sd, (2, design.seeds, 1))
    own = rng.normal(0, SESSION_SD, design.sessions) + rng.normal(0, ARM_SD, (2, 1, design.sessions))
    logit = MEAN + effect + own + rng.normal(0, RUN_SD, (2, design.seeds, design.sessions))
    hits = rng.binomial(clips, expit(logit))
    missed = rng.multinomial(clips - hits, np.full(design.classes - 1, 1 / (design.classes - 1)))
    counts = np.zeros((*hits.shape, design.classes, design.classes), np.int64)
    for k in range(design.classes):
        held = np.flatnonzero(np.arange(design.sessions) % design.classes == k)
        others = [other for other in range(design.classes) if other != k]
        counts[:, :, held, k, k] = hits[:, :, held]
        for place, other in enumerate(others):
            counts[:, :, held, k, other] = missed[:, :, held, place]
    spread = np.sqrt(SESSION_SD**2 + ARM_SD**2 + RUN_SD**2)
    return counts, expit(MEAN + effect + spread * NODES) @ WEIGHTS / WEIGHTS.sum()


def percentile(confusions: npt.NDArray, seed: int) -> tuple[float, float]:
    """The percentile interval of macro-F1 over the same resamples of sessions."""
    times = session_times(len(confusions), RESAMPLES, seed)
    low, high = np.nanquantile(macro_f1(np.tensordot(times, confusions, 1)), [0.025, 0.975])
    return float(low), float(high)


def by_clip(confusions: npt.NDArray, seed: int) -> tuple[float, float]:
    """The percentile interval that draws clips, as if they were independent."""
    pooled = confusions.sum(axis=0)
    drawn = np.random.default_rng([seed]).multinomial(pooled.sum(), (pooled / pooled.sum()).ravel(), size=RESAMPLES)
    low, high = np.nanquantile(macro_f1(drawn.reshape(-1, *pooled.shape)), [0.025, 0.975])
    return float(low), float(high)


def one_class(confusions: npt.NDArray, seed: int) -> tuple[float, float]:
    """The interval of the F1 of the last class, which has the fewest sessions."""
    low, high = session_bootstrap(confusions, f1_per_class, RESAMPLES, CONFIDENCE, seed)
    return float(low[-1]), float(high[-1])


def held(ends: tuple[float, float], truth: float) -> bool:
    return ends[0] <= truth <= ends[1]


def study(rng: np.random.Generator, design: Design, seed: int) -> dict[str, bool]:
    """Whether each interval holds its truth in one study; that of new runs is 0, as the arms are equal."""
    counts, truth = simulate(rng, design)
    run, known = counts[0, 0], float(truth[0, 0])
    found: dict[str, bool] = {
        "score": held(_floats(session_bootstrap(run, macro_f1, RESAMPLES, CONFIDENCE, seed)), known),
        "score, percentiles": held(percentile(run, seed), known),
        "score, clips drawn": held(by_clip(run, seed), known),
        "F1 of one class": held(one_class(run, seed), known),
    }
    gap = difference(paired_session_bootstrap(counts, macro_f1, RESAMPLES, seed), 0, 1, CONFIDENCE)
    found["difference, these runs"] = held((gap.low, gap.high), float((truth[0] - truth[1]).mean()))
    found["difference, new runs, by the narrow interval"] = held((gap.low, gap.high), 0.0)
    if design.seeds > 1:
        found["difference, new runs"] = held((gap.wide_low, gap.wide_high), 0.0)
        by_seed = macro_f1(counts[0].sum(axis=1)) - macro_f1(counts[1].sum(axis=1))
        error = max(float(by_seed.std(ddof=1)) / design.seeds**0.5, np.finfo(float).tiny)
        far = abs(float(by_seed.mean())) / error
        found["difference, new runs, t over seeds"] = bool(2 * t.sf(far, design.seeds - 1) >= 1 - CONFIDENCE)
    return found


def _floats(ends: tuple[Floats, Floats]) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])


def coverage(design: Design, studies: int) -> dict[str, float]:
    """Share of simulated studies in which each interval holds its truth."""
    rng = np.random.default_rng([design.classes, design.sessions, design.seeds])
    outcomes = [study(rng, design, number) for number in range(studies)]
    return {name: float(np.mean([outcome[name] for outcome in outcomes])) for name in outcomes[0]}


def main(show: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies of each design")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks/coverage.json"))
    options = parser.parse_args()
    designs = [
        Design(classes, sessions, seeds, seed_sd)
        for classes in (2, 4, 10)
        for sessions in (8, 20, 60)
        for seeds, seed_sd in ((2, 0.3), (5, 0.05), (5, 0.3))
        if sessions >= 2 * classes  # a multiple of the classes: then the truth is known exactly
    ]
    rows: list[dict[str, Any]] = []
    for design in designs:
        rows.append(vars(design) | coverage(design, options.studies))
        show("  ".join(f"{name} {value:g}" for name, value in rows[-1].items()))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"studies": options.studies, "rows": rows}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
