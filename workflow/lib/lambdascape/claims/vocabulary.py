"""What a claims file can measure: the measures of each table, and the columns by which rows are chosen.

Written out, because most modules that make these tables are slow to import, and a claims file is checked before any
job; `tests/claims/test_vocabulary.py` holds it to what they make.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lambdascape.core.declarations import declared
from lambdascape.statistics.metrics import FEW_SHOT
from lambdascape.study.choices import LOSS_MEANS
from lambdascape.study.messages import shown

BY_EPOCH = ("training", "probe_epochs")
# Two measures of one thing, by both of which a claim can be judged (`also`), in words.
IN_WORDS = {
    "loss": "the minimised mean",
    "loss_all": "the mean over all triplets",
    "loss_nonzero": "the mean over active triplets",
}
OF_GROUPS = (
    *("silhouette", "intra_inter_ratio", "centroid_distance", "kmeans_ami", "kmeans_nmi"),
    *("precision_at_1", "r_precision", "map_at_r"),
)
COUNTED = ("retrieval_chance", "retrieval_tiles", "retrieval_groups", "separation_points", "separation_groups")
CENTRED = ("effective_rank", "alignment", "uniformity")
KINDS = ("", "_session", "_node")
MEASURES = {
    "training": (
        *(*LOSS_MEANS, "penalty", "total", "d_neighbour", "d_distant", "learning_rate"),
        *("collapsed", "at_rest", "stale_statistics", "seconds"),
    ),
    "probe_epochs": ("macro_f1", "macro_f1_clip", "cross_entropy"),
    "scores": (
        *("macro_f1", "accuracy", "cross_entropy", "ece", "f1"),
        *("c", "c_at_end", "k", "layers", "learning_rate", "epochs", "sessions"),  # what a probe chose, or was given
    ),
    "geometry": (
        *(*CENTRED, *(f"{measure}_uncentred" for measure in CENTRED)),
        *("participation_ratio", "intrinsic_dimension", "norm_mean", "norm_std"),
        *(f"{measure}{of}" for of in KINDS for measure in (*OF_GROUPS, *COUNTED)),
        *(f"{measure}{of}_uncentred" for of in KINDS for measure in OF_GROUPS),
    ),
}


def probes(plugins: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of probes in the table of scores, but for those of few sessions."""
    known = [one for name, one in declared("probe", plugins).items() if name != "few_shot"]
    named = (name for one in known for name in (one.name, *(one.options["variants"] or {})))
    return ("by_epoch", "by_epoch_single", "by_epoch_double", *named)


def measures(table: str, plugins: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the measures of a table, those of every loss included."""
    losses = declared("loss", plugins).values() if table == "training" else ()
    return (*MEASURES[table], *(name for one in losses for name in one.options["measures"] or ()))


PROBES = probes()
# Figures of the published curves (`workflow/report/published_curves.csv`), in words.
PUBLISHED = {
    "triplet_loss": "published triplet loss",
    "classifier_f1": "published F1 of the classifier",
    "classifier_loss": "published cross-entropy of the classifier",
}
# Column to its values, by which rows of a table can be chosen; None where the data give them.
COLUMNS: dict[str, dict[str, tuple[str, ...] | None]] = {
    "training": {"split": ("train", "train_inference", "test")},
    "probe_epochs": {"split": ("train", "test")},
    "scores": {
        "probe": (*PROBES, f"{FEW_SHOT}<sessions>"),
        "split": ("train", "validation", "test"),
        "unit": ("tile", "clip", "segment"),
        "class": None,
    },
    "geometry": {"split": ("test",)},
}


def unknown(key: str, measure: dict[str, Any], plugins: Sequence[str] = ()) -> Iterator[str]:
    """Say which names of a measure the study's tables cannot have.

    Args:
        key: the measure's key in the claims file.
        measure: its entry, of the form that the schema asks for.
        plugins: files of the user, which may declare probes and losses.
    """
    table, where = measure["table"], measure.get("where", {})
    for name in ("measure", "also"):
        if name in measure:
            known = measures(table, plugins)
            yield from _not_of(f"{key}.{name}", measure[name], known, f"a measure of {table}")
    if "published" in measure:
        yield from _not_of(f"{key}.published", measure["published"], PUBLISHED, "a figure of the published curves")
    if measure.get("also") == measure["measure"]:
        yield f"{key}.also: must be another measure than measure; got {measure['measure']} twice"
    for column, value in where.items():
        if column not in COLUMNS[table]:
            yield f"{key}.where: must name columns of {table} ({', '.join(COLUMNS[table])}); got {column}"
            continue
        values = COLUMNS[table][column]
        of_folds = column == "split" and where.get("probe") == "folds"  # its splits are the folds of the data
        if column == "probe" and str(value) in probes(plugins):
            continue
        of_sessions = column == "probe" and re.fullmatch(rf"{FEW_SHOT}\d+", str(value))
        if values is not None and not of_folds and not of_sessions:
            yield from _not_of(f"{key}.where.{column}", value, values, f"a {column} of {table}")
    if measure["measure"] == "f1" and table == "scores" and "class" not in where:
        yield f"{key}.where: must have class for the measure f1, which each class has of its own; got none"


def _not_of(key: str, name: Any, known: Iterable[str], what: str) -> Iterator[str]:
    known = tuple(known)
    if name in known:
        return
    close = difflib.get_close_matches(str(name), known, 1)
    advice = f"; did you mean {close[0]}?" if close else ""
    yield f"{key}: must be {what} ({', '.join(known)}); got {shown(name)}{advice}"
