"""How λ acted in each run, as the report says it."""

from typing import Any

import pandas as pd

from lambdascape.mechanism.rules import NOT_APPLICABLE, REFERENCE, RULES, UNDECIDED
from lambdascape.report.formatting import NOTHING, number, spaces
from lambdascape.study.run_table import GROUPS, Sweep

ALL_RULES = [(rule.verdict, rule.name, rule.words) for rule in RULES]
WORDS = {rule.name: rule.words for rule in RULES}


def mechanism_sentence(sweep: Sweep, judged: pd.DataFrame) -> str:
    """How λ acted at each of its values, with the number of runs; empty where it does not vary."""
    if (judged["verdict"] == NOT_APPLICABLE).all():
        return ""
    parts = []
    for name, runs in spaces(sweep):
        rows = judged[judged["run"].isin(runs) & (judged["verdict"] != REFERENCE)]
        if len(rows):
            why = " (" + rows["rule"] + ")"
            counts = (rows["verdict"] + why.where(rows["verdict"] == UNDECIDED, "")).value_counts(sort=False)
            found = ", ".join(f"{verdict} in {count} of {len(rows)}" for verdict, count in counts.items())
            parts.append(f"at {name}: {found}")
    references = list(judged.loc[judged["verdict"] == REFERENCE, "run"])
    against = (
        f", each run compared with {' and '.join(_labels(sweep, references))} with the same seed" if references else ""
    )
    return f"How did λ act{against}? By the rules below, {'; '.join(parts)}.{_unseen(sweep, references)}"


def _unseen(sweep: Sweep, references: list[str]) -> str:
    """What no run shows if the smallest λ is not 0."""
    least = [label for label in _labels(sweep, references) if label != sweep.label(0.0)]
    return f" The effect of {' and '.join(least)} itself is unknown: no run has λ = 0." if least else ""


def _labels(sweep: Sweep, runs: list[str]) -> list[str]:
    settings = set(sweep.trained.loc[sweep.trained["run"].isin(runs), "axis_value"])
    return [sweep.label(value) for value in sweep.values if value in settings]


CARD_NOTE = (
    "Medians over the last quarter of the epochs, at least three, that the run and its reference run have in common; "
    "dead kernels after the last epoch. ×: ratio to the reference run’s, in the stage in which weights are "
    "shortest and turn furthest. Losses are means over all triplets; gap: held-out loss less that of fixed training "
    "triplets, both in inference mode with the same weights; changes are shares of the reference run’s held-out loss. "
    "Losses of one run vary by chance: do not rely on what only one seed shows."
)


def mechanism_cards(judged: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """The details of each run, name and text: its verdict and the evidence; none if λ does not vary.

    Args:
        judged: mechanism.tsv.
    """
    rows = [{str(key): value for key, value in row.items()} for row in judged.to_dict("records")]
    return {str(row["run"]): _card(row) for row in rows if row["verdict"] != NOT_APPLICABLE}


def _card(row: dict[str, Any]) -> list[tuple[str, str]]:
    held_against = [("Compared with", row["reference"])] if row["reference"] not in ("", row["run"]) else []
    dead = _in_stage(row, "dead_kernels", "dead_stage") if row["dead_kernels"] > 0 else number(row["dead_kernels"], 2)
    return [
        ("How λ acted", f"{row['verdict']}: {WORDS[row['rule']]}"),
        *held_against,
        ("Variance/ε, lowest", _in_stage(row, "variance_over_epsilon", "variance_stage")),
        ("Turn of a step", _in_stage(row, "angular_update_ratio", "turned_stage", "×")),
        ("Length of weights", _factor(row["weight_norm_ratio"])),
        ("Effective learning rate", _factor(row["effective_learning_rate_ratio"])),
        ("‖∇penalty‖ / ‖∇triplet‖, highest", _in_stage(row, "gradient_ratio", "gradient_stage")),
        ("Dead kernels, most", dead),
        ("Held-out loss, all triplets", _changed(row["held_out_loss"], row["held_out_change"])),
        ("Gap to training triplets", _changed(row["gap"], row["gap_change"])),
    ]


def _changed(value: float, change: float) -> str:
    words = number(value)
    return words if pd.isna(change) else f"{words} ({_share(change)})"


def _in_stage(row: dict[str, Any], measure: str, stage: str, before: str = "") -> str:
    value = row[measure]
    words = GROUPS.get(row[stage], row[stage])
    return NOTHING if pd.isna(value) else f"{before}{number(value, 2)} ({words})"


def _factor(value: float) -> str:
    return NOTHING if pd.isna(value) else f"×{number(value, 2)}"


def _share(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{100 * value:+.0f} %"
