"""The ledger of claims: what the published study says about λ, judged on the runs at hand.

The ten statements are those of Gröger (2020), put in general terms: its λ of 1.0, 0.1 and 0.01 are the
largest, the second smallest and the smallest of whatever grid was run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lambdascape import judges
from lambdascape.errors import InputError
from lambdascape.files import read_table, write_table
from lambdascape.judges import Evidence, Judgement, number
from lambdascape.verdicts import CONFIDENCE, FEWEST_PAIRS, LITTLE, SHORTEST_END, SIGNIFICANCE

COLUMNS = ["claim", "statement", "verdict", "evidence", "rule"]

BEYOND_NOISE = (
    "for every seed and by a gap of the means larger than the spread, which is the largest difference "
    "between two seeds of one λ"
)
OTHERWISE = "otherwise, and with one seed, it is undecided."
OPPOSITE = f"it does not hold when the opposite is found in the same sense; {OTHERWISE}"
END_LINE = (
    f"a line through the last quarter of the epochs (at least {SHORTEST_END}), "
    f"over its whole {CONFIDENCE:.0%} interval,"
)
FALLING = f"A curve is still falling when {END_LINE} falls by more than {LITTLE:.0%} of the whole fall."


@dataclass(frozen=True)
class Claim:
    """A statement and how it is judged.

    Attributes:
        statement: the statement, with the places {largest}, {second} (smallest) and {smallest} for λ.
        judge: gives the verdict and the numbers in words.
        rule: how the verdict follows from the numbers.
        fewest: how many λ the claim compares; 0 when it compares runs, whatever their λ.
    """

    statement: str
    judge: Callable[[Evidence], Judgement]
    rule: str
    fewest: int = 2


def judge_claims(
    runs_path: str | Path,
    training_path: str | Path,
    probe_epochs_path: str | Path,
    scores_path: str | Path,
    output: str | Path,
) -> None:
    """Judge the ten claims of the published study on the runs of a study.

    Claims on training use the triplet loss of the training triplets as it was minimised, after the last
    epoch; claims on F1 and cross-entropy use the by-epoch probe on the tiles of the test split. Arms are
    compared seed by seed, over the seeds that were run with every λ. The rules are those of `verdicts`.

    Args:
        runs_path: runs.tsv of the study.
        training_path: training.tsv.
        probe_epochs_path: probe_epochs.tsv.
        scores_path: scores.tsv.
        output: table claim (1 to 10), statement, verdict (holds | does not hold | undecided), evidence, rule.

    Raises:
        InputError: a trained run of runs.tsv has no triplet loss in training.tsv.
    """
    runs = read_table(runs_path, text=("run", "kind"))
    evidence = Evidence(
        runs=runs[runs["kind"] == "trained"],
        training=read_table(training_path, text=("run", "split", "measure")),
        probe_epochs=read_table(probe_epochs_path, text=("run", "split", "measure")),
        scores=read_table(scores_path, text=("run", "probe", "split", "unit", "measure", "class")),
    )
    _check_complete(evidence, training_path)
    rows = [(place, *_row(claim, evidence)) for place, claim in enumerate(CLAIMS, start=1)]
    write_table(pd.DataFrame(rows, columns=COLUMNS), output)


def _check_complete(evidence: Evidence, training_path: str | Path) -> None:
    training = evidence.training
    known = training["run"][(training["split"] == "train") & (training["measure"] == "triplet_loss")]
    missing = sorted(set(evidence.runs["run"]) - set(known))
    if missing:
        raise InputError(f"{training_path}: needs the triplet loss of every trained run; {', '.join(missing)} missing")


def _row(claim: Claim, evidence: Evidence) -> tuple[str, str, str, str]:
    """Statement, verdict, evidence and rule."""
    grid = evidence.grid if len(evidence.grid) >= claim.fewest else []
    named = dict(zip(("smallest", "second"), (f"λ={number(l2)}" for l2 in reversed(grid)), strict=False))
    named |= {"largest": f"λ={number(grid[0])}"} if grid else {}
    unnamed = {"largest": "the largest λ", "second": "the second smallest", "smallest": "the smallest λ"}
    statement = claim.statement.format_map(unnamed | named)
    lack = _untestable(claim, evidence)
    if lack:
        return statement, "undecided", lack, claim.rule
    verdict, words = claim.judge(evidence)
    return statement, verdict, words + _confounded(claim, evidence), claim.rule


def _untestable(claim: Claim, evidence: Evidence) -> str:
    """Why the runs cannot bear on a claim that compares λ; empty when they can."""
    found = ", ".join(number(l2) for l2 in evidence.grid) or "none"
    if claim.fewest == 0:
        return ""
    if len(evidence.grid) < claim.fewest:
        return f"not tested: the claim compares at least {claim.fewest} values of λ; this study has {found}."
    if evidence.runs.duplicated(["l2", "seed"]).any():
        return "not tested: runs of one λ and seed differ in something else, and the claim is about λ alone."
    return "" if evidence.seeds else f"not tested: no seed was run with every λ ({found})."


def _confounded(claim: Claim, evidence: Evidence) -> str:
    """A warning when λ is not the only thing that differs between the arms."""
    others = evidence.runs.drop(columns=["run", "kind", "seed", "l2"])
    varied = [str(name) for name in others.columns if others[name].nunique(dropna=False) > 1]
    if not varied or claim.fewest == 0:
        return ""
    return f" Not λ alone differs between the runs, but also {', '.join(varied)}."


CLAIMS = (
    Claim(
        "The triplet loss is highest with {largest}.",
        judges.highest_loss,
        f"It holds when the largest λ ends above each other λ {BEYOND_NOISE}; {OPPOSITE}",
    ),
    Claim(
        "The lower λ, the faster the triplet loss falls.",
        judges.falls_faster,
        "A lower mean over the epochs that all runs share counts as a faster fall, since the runs of one "
        "seed start from the same network. It holds when each λ has a lower mean than the next larger one, "
        f"and the smallest than the largest, {BEYOND_NOISE}; {OPPOSITE}",
    ),
    Claim(
        "The triplet loss is lowest with {smallest}.",
        judges.lowest_loss,
        f"It holds when the smallest λ ends below each other λ {BEYOND_NOISE}; {OPPOSITE}",
    ),
    Claim(
        "F1 is highest with {smallest}.",
        judges.highest_f1,
        f"It holds when the smallest λ scores above each other λ {BEYOND_NOISE}; {OPPOSITE}",
    ),
    Claim(
        "The probe's cross-entropy converges with {largest} before it does with the others.",
        judges.converges_first,
        f"A curve has converged when {END_LINE} changes by at most {LITTLE:.0%} of the whole fall: at the "
        "epoch from which on it stays that near its final level, and after the last epoch if it is still "
        f"falling. It holds when the largest λ converges before each other λ {BEYOND_NOISE}; {OPPOSITE}",
    ),
    Claim(
        "The probe's cross-entropy has not converged with any λ below {largest}.",
        judges.others_not_converged,
        f"{FALLING} It holds when every seed of these λ is still falling; it does not hold when every seed "
        f"of one of them has converged; {OTHERWISE}",
    ),
    Claim(
        "F1 and triplet loss differ very little between {second} and {smallest}.",
        judges.differ_little,
        f"It holds when both measures differ by at most {LITTLE:.0%} of their mean for every seed; it does "
        f"not hold when one of them differs by more {BEYOND_NOISE}; {OTHERWISE}",
    ),
    Claim(
        "The triplet loss with {smallest} is still falling at the end.",
        judges.still_falling,
        f"{FALLING} It holds when every seed is still falling; it does not hold when every seed has "
        f"converged; {OTHERWISE}",
    ),
    Claim(
        "The lower the triplet loss, the better the probe.",
        judges.loss_tells_score,
        f"It holds when the rank correlation over at least {FEWEST_PAIRS} runs is negative and a permutation "
        f"test of the runs gives p below {SIGNIFICANCE:g}; it does not hold when it is positive with such a "
        "p; otherwise it is undecided. Runs of one λ resemble each other, so that p is rather too small.",
        fewest=0,
    ),
    Claim(
        "λ must be neither too big nor too small: too big underfits, too small overfits.",
        judges.optimum_inside,
        "Only the place of the best λ is tested. It holds when the best λ inside the grid scores above both "
        f"its ends {BEYOND_NOISE}; it does not hold when one end scores above every λ inside in the same "
        f"sense; {OTHERWISE}",
        fewest=3,
    ),
)
