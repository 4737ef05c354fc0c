"""The hyperparameters of a study as Table 1 of the report shows them: with published values and reasons to depart.

Those of the config are made of its fields, see `settings`; the rest are rows of the published table that are no setting
here.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdascape.config.keys import (
    AUDIO,
    COMPUTING,
    DATA_AND_MODEL,
    JUDGING,
    PROBES,
    REPRESENTATION,
    TRAINING,
    Reason,
    always,
    key_of,
)
from lambdascape.config.settings import Block, Config, block_of, leaves
from lambdascape.study.config_model import config_model

OWN_CHOICE = "The study’s own choice; no reason is on record."
GROUPS = (DATA_AND_MODEL, TRAINING, COMPUTING, AUDIO, REPRESENTATION, PROBES, JUDGING)


@dataclass(frozen=True)
class Hyperparameter:
    """One row of Table 1.

    Attributes:
        key: where its value is in the config, such as `training.margin`.
        name: the name in words.
        unit: the unit, empty for a pure number.
        published: value in the published study, a list for several; None where it is not reported.
        why: reasons to depart from it; the first that holds is reported.
        note: what is done here, for a row of the published table that is no setting here.
    """

    key: str
    name: str
    unit: str = ""
    published: Any = None
    why: tuple[Reason, ...] = ()
    note: str = ""


# Rows of the published table that are no setting here, behind the others of their group.
NO_SETTINGS = {
    TRAINING: (
        Hyperparameter(
            "training.optimizer",
            "Optimizer",
            published="Adam",
            why=(always("Adam decides, unless decoupled weight decay is asked for."),),
            note="Adam; AdamW with weight decay",
        ),
        Hyperparameter(
            "training.shuffle",
            "Shuffle data set",
            published="True",
            why=(
                always(
                    "The order follows from seed and epoch alone, so that a killed run goes on as if nothing had "
                    "happened."
                ),
            ),
            note="whole data set, each epoch, from (seed, epoch)",
        ),
        Hyperparameter(
            "training.buffer",
            "Random selection buffer",
            "clips",
            64,
            why=(
                always(
                    "A buffer of 64 clips leaves neighbours in the file near each other; a permutation of all does not."
                ),
            ),
            note="none: the whole data set",
        ),
        Hyperparameter(
            "training.prefetch",
            "Prefetch batches",
            published="automatic (-1)",
            why=(always("Tiles are read from a mapped file by one thread beside the step."),),
            note="not a setting",
        ),
    ),
    COMPUTING: (
        Hyperparameter(
            "threads.generators",
            "Number of generators",
            published=16,
            why=(always("Features are computed once and stored, so that no generator is needed."),),
            note="not a setting",
        ),
        Hyperparameter(
            "threads.calls",
            "Number of parallel calls",
            published=16,
            why=(always("How many threads a job has changes its time, not its task."),),
            note="given by Snakemake",
        ),
    ),
}


@cache
def table_1_rows(model: type[Config] | None = None) -> dict[str, tuple[Hyperparameter, ...]]:
    """The hyperparameters in the groups of Table 1 of the published study, then what that table leaves out.

    Values that the table does not print (conv biases, dropout, mel range, reduction, …) were read from its author's
    public code.

    Args:
        model: the model of the config; None takes that without plugins.
    """
    rows: dict[str, list[Hyperparameter]] = {group: [] for group in GROUPS}
    for path, field, _ in leaves(model or config_model()):
        about = key_of(field)
        if about.label:
            one = Hyperparameter(path, about.label, about.shown_unit, about.published, about.why)
            rows.setdefault(about.group, []).append(one)
    return {group: (*found, *NO_SETTINGS.get(group, ())) for group, found in rows.items()}


def is_reported(path: str, model: type[Block] | None = None) -> bool:
    """Whether Table 1 shows a key: not where it decides no number, or the report shows it elsewhere.

    Args:
        path: where the key is in the config, such as `training.margin`; of keys that the model does not know, the block
            decides.
        model: the model of the config, or of the block in which `path` begins; None takes that without plugins.
    """
    name, _, inner = path.partition(".")
    field = (model or config_model()).model_fields.get(name)
    if field is None:
        return True
    block = block_of(field)
    if not key_of(field).reported:
        return False
    return block is None or (bool(inner) and is_reported(inner, block))  # a block that is left out has no value


def reason(one: Hyperparameter, value: Any) -> str:
    """Why a value differs from the published one, in a sentence.

    Args:
        one: the hyperparameter.
        value: as it was run, a list where it was swept; None where it is no setting here.
    """
    for why in one.why:
        try:
            if why.holds(value, one.published):
                return why.words
        except TypeError:  # such as a text, which is neither more nor less than a number
            continue
    return OWN_CHOICE


PROTOCOLS = {
    "free": "none: the runs may differ in what the study likes, and the number of seeds is its own",
    "as_published": "as published: each arm has its own budget and schedule, and the published probe is scored per "
    "tile, on triplets that are drawn anew in every epoch",
    "strict": "strict: one schedule and one budget for all runs, several seeds",
}
