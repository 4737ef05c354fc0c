"""One judge per claim of the published study: what it looks at, the verdict, and the numbers in words."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from lambdascape.verdicts import (
    FEWEST_PAIRS,
    SHORTEST_CURVE,
    SIGNIFICANCE,
    Floats,
    Verdict,
    all_or_opposite,
    compare,
    convergence_epoch,
    end_of_curve,
    nearly_equal,
    rank_correlation,
)

NO_LABELS = "not tested: there are no probe scores, because the data have no labels."

Arms = dict[float, Floats]  # for each λ one value per seed
Curves = dict[float, list[Floats]]  # for each λ one curve over the epochs per seed
Judgement = tuple[Verdict, str]


@dataclass(frozen=True)
class Evidence:
    """What the claims are judged on.

    Attributes:
        runs: the trained runs: columns run, kind, seed, l2, then the other hyperparameters.
        training: columns run, epoch, split, measure, value.
        probe_epochs: the same columns, of the by-epoch probe.
        scores: columns run, probe, split, unit, measure, class, value.
    """

    runs: pd.DataFrame
    training: pd.DataFrame
    probe_epochs: pd.DataFrame
    scores: pd.DataFrame

    @property
    def grid(self) -> list[float]:
        """The λ of the runs, largest first."""
        return sorted({float(l2) for l2 in self.runs["l2"]}, reverse=True)

    @property
    def seeds(self) -> list[int]:
        """The seeds that were run with every λ."""
        counts = self.runs.groupby("seed")["l2"].nunique()
        return [int(seed) for seed in counts.index[counts == len(self.grid)]]


def number(value: float) -> str:
    """A value of λ as text."""
    return f"{value:g}"


def _by_run(table: pd.DataFrame, split: str, measure: str) -> dict[str, Floats]:
    """For each run its curve, shape (epoch,)."""
    chosen = table[(table["split"] == split) & (table["measure"] == measure)].sort_values("epoch")
    return {str(run): part["value"].to_numpy(float) for run, part in chosen.groupby("run")}


def _curves(evidence: Evidence, table: pd.DataFrame, split: str, measure: str) -> Curves:
    """Curves of the seeds that have every λ; empty when one of these runs has no such measure."""
    by_run = _by_run(table, split, measure)
    common = evidence.runs[evidence.runs["seed"].isin(evidence.seeds)].sort_values("seed")
    if not set(common["run"]) <= set(by_run):
        return {}
    return {l2: [by_run[run] for run in common["run"][common["l2"] == l2]] for l2 in evidence.grid}


def _last(curves: Curves) -> Arms:
    return {l2: np.array([curve[-1] for curve in arms]) for l2, arms in curves.items()}


def _in_words(arms: Arms) -> str:
    """Means, with the range over the seeds: `λ=1: 0.381 (0.379 to 0.383), λ=0.1: …`."""
    words = []
    for l2, values in arms.items():
        spread = f" ({values.min():.4g} to {values.max():.4g})" if len(values) > 1 else ""
        words.append(f"λ={number(l2)}: {values.mean():.4g}{spread}")
    return ", ".join(words)


def _count(evidence: Evidence) -> str:
    seeds = len(evidence.seeds)
    return f"mean and range over {seeds} seeds" if seeds > 1 else "one seed, so that the noise is unknown"


def _losses(evidence: Evidence) -> tuple[Arms, str]:
    """Triplet loss of the training triplets after the last epoch, and in words with that of held-out ones."""
    values = _last(_curves(evidence, evidence.training, "train", "triplet_loss"))
    held_out = _last(_curves(evidence, evidence.training, "test", "triplet_loss"))
    words = f"Triplet loss of the training triplets, last epoch, {_count(evidence)}: {_in_words(values)}."
    return values, words + (f" On held-out triplets: {_in_words(held_out)}." if held_out else "")


def _f1(evidence: Evidence) -> tuple[Arms, str]:
    """Macro-F1 of the by-epoch probe after the last epoch, and in words with that of the converged probe."""
    values = _last(_curves(evidence, evidence.probe_epochs, "test", "macro_f1"))
    scores = evidence.scores
    converged = scores[(scores["probe"] == "converged") & (scores["unit"] == "clip")].assign(epoch=1)
    clips = _last(_curves(evidence, converged, "test", "macro_f1"))
    words = f"Macro-F1 per test tile, by-epoch probe, last epoch, {_count(evidence)}: {_in_words(values)}."
    return values, words + (f" Converged probe, per clip: {_in_words(clips)}." if clips else "")


def highest_loss(evidence: Evidence) -> Judgement:
    """Judge whether the largest λ ends with the highest triplet loss."""
    values, words = _losses(evidence)
    largest, *others = values.values()
    return all_or_opposite([compare(largest, other) for other in others]), words


def lowest_loss(evidence: Evidence) -> Judgement:
    """Judge whether the smallest λ ends with the lowest triplet loss."""
    values, words = _losses(evidence)
    *others, smallest = values.values()
    return all_or_opposite([compare(other, smallest) for other in others]), words


def falls_faster(evidence: Evidence) -> Judgement:
    """Judge whether the triplet loss falls the faster, the lower λ."""
    curves = _curves(evidence, evidence.training, "train", "triplet_loss")
    shared = _shared_epochs(curves)
    means = {l2: np.array([curve[:shared].mean() for curve in arms]) for l2, arms in curves.items()}
    arms = list(means.values())
    signs = [compare(larger, smaller) for larger, smaller in [*pairwise(arms), (arms[0], arms[-1])]]
    what = f"Mean triplet loss of the training triplets over epochs 1 to {shared}"
    return all_or_opposite(signs), f"{what}, {_count(evidence)}: {_in_words(means)}."


def _shared_epochs(curves: Curves) -> int:
    return min(len(curve) for arms in curves.values() for curve in arms)


def highest_f1(evidence: Evidence) -> Judgement:
    """Judge whether the smallest λ ends with the highest F1."""
    values, words = _f1(evidence)
    if not values:
        return "undecided", NO_LABELS
    *others, smallest = values.values()
    return all_or_opposite([compare(smallest, other) for other in others]), words


def _entropies(evidence: Evidence) -> tuple[Curves, str]:
    """Cross-entropy of the by-epoch probe over the epochs that all runs share, in words; or none, and why."""
    curves = _curves(evidence, evidence.probe_epochs, "test", "cross_entropy")
    if not curves:
        return {}, NO_LABELS
    shared = _shared_epochs(curves)
    if shared < SHORTEST_CURVE:
        return {}, f"not tested: the probes share {shared} epochs; the end of a curve needs {SHORTEST_CURVE}."
    curves = {l2: [curve[:shared] for curve in arms] for l2, arms in curves.items()}
    return (
        curves,
        f"Cross-entropy of the by-epoch probe on test tiles, seed by seed: {_ends_in_words(curves)}.",
    )


def _ends_in_words(curves: Curves) -> str:
    """How each curve ends: `λ=1: converged at epoch 9 (2.1 → 1.57); λ=0.1: …`."""
    return "; ".join(f"λ={number(l2)}: {', '.join(map(_end_in_words, arms))}" for l2, arms in curves.items())


def _end_in_words(curve: Floats) -> str:
    state = {
        "falling": f"still falling at epoch {len(curve)}",
        "converged": f"converged at epoch {convergence_epoch(curve):.0f}",
        "rising": f"rising at epoch {len(curve)}",
        "unclear": f"unclear at epoch {len(curve)}",
    }[end_of_curve(curve)]
    return f"{state} ({curve[0]:.4g} → {curve[-1]:.4g})"


def converges_first(evidence: Evidence) -> Judgement:
    """Judge whether the probe's cross-entropy of the largest λ converges before the others."""
    curves, words = _entropies(evidence)
    if not curves:
        return "undecided", words
    largest, *others = [np.array([convergence_epoch(curve) for curve in arms]) for arms in curves.values()]
    return all_or_opposite([compare(other, largest) for other in others]), words


def others_not_converged(evidence: Evidence) -> Judgement:
    """Judge whether the probe's cross-entropy of every λ but the largest is still falling."""
    curves, words = _entropies(evidence)
    return _all_falling(list(curves.values())[1:]) if curves else "undecided", words


def _all_falling(curves: list[list[Floats]]) -> Verdict:
    """Whether every seed of every arm is still falling, or every seed of one arm has converged."""
    ends = [{end_of_curve(curve) for curve in arms} for arms in curves]
    if min(len(arms) for arms in curves) < 2:
        return "undecided"
    if all(end == {"falling"} for end in ends):
        return "holds"
    return "does not hold" if {"converged"} in ends else "undecided"


def differ_little(evidence: Evidence) -> Judgement:
    """Judge whether the two smallest λ differ very little in F1 and in triplet loss."""
    losses, loss_words = _losses(evidence)
    scores, score_words = _f1(evidence)
    if not scores:
        return "undecided", f"{NO_LABELS} {loss_words}"
    signs = [nearly_equal(*[arms[l2] for l2 in evidence.grid[-2:]]) for arms in (scores, losses)]
    return all_or_opposite(signs), f"{score_words} {loss_words}"


def still_falling(evidence: Evidence) -> Judgement:
    """Judge whether the triplet loss of the smallest λ is still falling at the end."""
    smallest = evidence.grid[-1]
    curves = {smallest: _curves(evidence, evidence.training, "train", "triplet_loss")[smallest]}
    epochs = _shared_epochs(curves)
    if epochs < SHORTEST_CURVE:
        lack = f"not tested: {epochs} epochs were trained; the end of a curve needs {SHORTEST_CURVE}."
        return "undecided", lack
    words = f"Triplet loss of the training triplets, seed by seed: {_ends_in_words(curves)}."
    return _all_falling(list(curves.values())), words


def loss_tells_score(evidence: Evidence) -> Judgement:
    """Judge whether runs with a lower triplet loss have a better probe."""
    varied = [name for name in ("margin", "reduction") if name in evidence.runs]
    varied = [name for name in varied if evidence.runs[name].nunique() > 1]
    if varied:
        return (
            "undecided",
            f"not tested: triplet losses with another {' or '.join(varied)} cannot be compared.",
        )
    loss = _by_run(evidence.training, "train", "triplet_loss")
    f1 = _by_run(evidence.probe_epochs, "test", "macro_f1")
    if not f1:
        return "undecided", NO_LABELS
    pairs = np.array([(loss[run][-1], f1[run][-1]) for run in sorted(set(loss) & set(f1))])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < FEWEST_PAIRS:
        return (
            "undecided",
            f"not tested: a rank correlation needs {FEWEST_PAIRS} runs; there are {len(pairs)}.",
        )
    rho, p = rank_correlation(*pairs.T)
    words = (
        "Spearman's rank correlation of triplet loss (training triplets, last epoch) and macro-F1 (by-epoch "
        f"probe, test tiles, last epoch) over {len(pairs)} runs: {rho:.2f}, two-sided p = {p:.2g}."
    )
    if p >= SIGNIFICANCE:
        return "undecided", words
    return "holds" if rho < 0 else "does not hold", words


def optimum_inside(evidence: Evidence) -> Judgement:
    """Judge whether a λ inside the grid scores better than both ends."""
    values, words = _f1(evidence)
    if not values:
        return "undecided", NO_LABELS
    largest, *inner, smallest = values.values()
    best = max(inner, key=np.mean)
    if compare(best, largest) == compare(best, smallest) == 1:
        return "holds", words
    end_wins = any(all(compare(end, other) == 1 for other in inner) for end in (largest, smallest))
    return "does not hold" if end_wins else "undecided", words
