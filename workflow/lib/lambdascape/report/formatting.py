"""The tables of the report, as text ready to be set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.core.declarations import declared
from lambdascape.embeddings.held_out import UNCENTRED, UNKNOWN
from lambdascape.study.run_table import Sweep, text

NOTHING = "–"
SEGMENTS = (
    " Per clip: over all nodes of a moment together. Per segment: over one node in one moment, the official unit of "
    "DCASE 2018 Task 5; its published numbers, such as the baseline's 84.5 %, compare with this column alone."
)
MOST_ROWS = 50  # longer lists are cut; their files are named
MEASURES = {
    "effective_rank": ("Effective rank", "number of directions that the space uses"),
    "participation_ratio": ("Participation ratio", "directions among which the variance is shared"),
    "alignment": ("Alignment", "mean squared distance of neighbouring tiles; lower is closer"),
    "uniformity": ("Uniformity", "how evenly the sphere is covered; lower is more even"),
    "intrinsic_dimension": ("Intrinsic dimension (TwoNN)", "of the surface on which one tile of each session lies"),
    "norm_mean": ("Mean length of an embedding", "1 for trained spaces"),
    "norm_std": ("Spread of that length", "standard deviation"),
    "silhouette": ("Silhouette", "-1 to 1; higher is better separated"),
    "intra_inter_ratio": ("Spread inside by spread between", "1 if the groups do not differ, 0 if each is a point"),
    "centroid_distance": ("Distance of centroids", "mean over pairs of groups, points at length 1"),
    "kmeans_ami": ("AMI of k-means", "agreement with clusters; 0 by chance, 1 equal"),
    "kmeans_nmi": ("NMI of k-means", "not corrected for chance"),
    "precision_at_1": ("Retrieval: P@1", "share of tiles whose nearest tile is of the group"),
    "r_precision": ("Retrieval: R-precision", "share of the group among as many nearest tiles as it has"),
    "map_at_r": ("Retrieval: MAP@R", "the same, earlier ones counting more"),
    "retrieval_chance": ("Retrieval: chance", "P@1 and R-precision of a random order"),
    "retrieval_tiles": ("Retrieval: tiles", "that have others of their group to be found"),
    "retrieval_groups": ("Retrieval: groups", "of those tiles"),
    "separation_points": ("Points", "on which silhouette, spread, centroids and k-means are computed"),
    "separation_groups": ("Groups", "of those points"),
    "loss": ("Loss", "as minimised, without the penalty"),
    "loss_all": ("Loss, all triplets", "mean over all triplets"),
    "penalty": ("Penalty", "λ · Σw²"),
    "total": ("Total", "loss and penalty"),
    "d_neighbour": ("Distance to the neighbour", "mean squared"),
    "d_distant": ("Distance to the distant tile", "mean squared"),
}
# Split of the history to its triplets in words.
TRIPLETS = {
    "train": "training",
    "train_inference": "fixed training",
    "test": "held-out",
    "train_inference_recomputed": "fixed training, recomputed",
    "test_recomputed": "held-out, recomputed",
}
# Measures of each kind of group, and the kinds: ending of the measure's name, words, a note for the reader.
GROUPED = (
    *("separation_points", "separation_groups"),
    *("silhouette", "intra_inter_ratio", "centroid_distance", "kmeans_ami", "kmeans_nmi"),
    *("retrieval_tiles", "retrieval_groups"),
    *("precision_at_1", "r_precision", "map_at_r", "retrieval_chance"),
)
COUNTS = {"separation_points", "separation_groups", "retrieval_tiles", "retrieval_groups"}
CENTRED = (
    "Centred by the mean of the training tiles; in brackets the same without centring, where that makes a difference."
)
GROUPS = (
    (
        "",
        "Classes",
        (
            "Points are the means of sessions, of classes with two held-out sessions or more. Retrieval leaves out "
            "tiles of the same session. Higher is better, unless the next tables are high too."
        ),
    ),
    ("_session", "Sessions", "A nuisance: high values mean that the space separates rooms and occasions, not classes."),
    ("_node", "Nodes", "A nuisance: high values mean that the space separates recorders."),
)


@dataclass(frozen=True)
class Table:
    """A table of the report; its first column names the rows.

    Attributes:
        caption: what it shows.
        header: names of the columns.
        rows: the cells, as text.
        words: how many of the first columns are words; the others are numbers.
        strong: numbers of the rows to set strong.
        note: for the reader, below the table.
    """

    caption: str
    header: list[str]
    rows: list[list[str]]
    words: int = 1
    strong: list[int] = field(default_factory=list)
    note: str = ""


def number(value: Any, digits: int = 3) -> str:
    """A number with a fixed count of decimals, in scientific form where it is tiny; a dash for none."""
    if value is None or pd.isna(value):
        return NOTHING
    if value != 0 and abs(value) < 10**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def span(low: Any, high: Any) -> str:
    """A range, `low to high`."""
    return NOTHING if pd.isna(low) or pd.isna(high) else f"{number(low)} to {number(high)}"


def spaces(sweep: Sweep) -> list[tuple[str, list[str]]]:
    """Name and runs of every row of a summary: the trained arms in order of the axis, then the baselines.

    An arm that keeps moving averages has two rows, the second with the statistics of its weights.
    """
    arms = [
        (sweep.arms[str(arm)] + ending, [str(run) for run in rows["run"]])
        for table, ending in ((sweep.trained, ""), (sweep.recomputed, ", recomputed statistics"))
        for value in sweep.values
        for arm, rows in table[table["axis_value"] == value].groupby("arm", sort=False)
    ]
    references = [
        (words, [str(run) for run in sweep.references.loc[sweep.references["arm"] == kind, "run"]])
        for kind, words in sweep.kinds.items()
    ]
    return arms + [(words, runs) for words, runs in references if runs]


def pick(scores: pd.DataFrame, runs: Iterable[str], **wanted: str) -> pd.DataFrame:
    """Rows of some runs with the wanted text in the wanted columns; `class` is written `class_`."""
    kept = scores["run"].isin(list(runs))
    for column, value in wanted.items():
        kept &= scores[column.rstrip("_")] == value
    return scores[kept]


def converged(
    scores: pd.DataFrame, runs: Iterable[str], measure: str, unit: str = "clip", split: str = "test"
) -> pd.DataFrame:
    """Rows of one overall score of the converged probe."""
    return pick(scores, runs, probe="converged", split=split, unit=unit, measure=measure, class_="")


def segments_differ(scores: pd.DataFrame) -> bool:
    """Whether segments score differently from clips, as they do if several nodes recorded one moment."""
    rows = scores[(scores["probe"] == "converged") & (scores["split"] == "test") & (scores["measure"] == "macro_f1")]
    segment, clip = (rows[rows["unit"] == unit].set_index("run")["value"] for unit in ("segment", "clip"))
    return bool((segment != clip.reindex(segment.index)).any())


def ends_of_grid(scores: pd.DataFrame) -> tuple[int, int]:
    """In how many spaces the converged probe chose the smallest or largest C of several, and of how many.

    A space without a seed, which has a C for each seed of the study, counts where any of them is such an end.
    """
    rows = pick(scores, scores["run"].unique(), probe="converged", split="validation", measure="c_at_end")
    return int((rows["value"] > 0).sum()), len(rows)


def score_summary(sweep: Sweep, scores: pd.DataFrame, chosen: str) -> Table:
    """Scores of the converged probe, a row for each arm and each baseline; the row named `chosen` strong.

    There is a column for segments where they are not the clips.
    """
    rows, segments, (ends, of) = [], segments_differ(scores), ends_of_grid(scores)
    for name, runs in spaces(sweep):
        clip = converged(scores, runs, "macro_f1")
        rows.append(
            [
                name,
                number(clip["value"].mean()),
                span(clip["value"].min(), clip["value"].max()),
                span(clip["low"].min(), clip["high"].max()),
                *([number(converged(scores, runs, "macro_f1", "segment")["value"].mean())] if segments else []),
                number(converged(scores, runs, "macro_f1", "tile")["value"].mean()),
                number(converged(scores, runs, "accuracy")["value"].mean()),
                number(converged(scores, runs, "cross_entropy")["value"].mean()),
                number(converged(scores, runs, "macro_f1", split="validation")["value"].mean()),
            ]
        )
    return Table(
        "Scores of the converged probe on held-out sessions, means over seeds",
        [
            "Space",
            "Macro-F1 per clip",
            "Seeds",
            "Ends of the seeds’ intervals",
            *(["Macro-F1 per segment"] if segments else []),
            "Macro-F1 per tile",
            "Accuracy per clip",
            "Cross-entropy per clip",
            "Macro-F1, validation",
        ],
        rows,
        strong=[place for place, (name, _) in enumerate(spaces(sweep)) if name == chosen],
        note="Seeds: lowest to highest. Ends: lowest to highest end of the seeds’ own bootstrap intervals over "
        "sessions; for the interval of a mean see Comparisons. Validation: per clip, on training sessions kept "
        "apart to choose the probe's penalty; a space without a seed has those of every seed in turn. Bold: chosen on "
        "the validation sessions of all seeds." + (SEGMENTS if segments else "") + (_ends(ends, of) if ends else ""),
    )


def _ends(ends: int, of: int) -> str:
    """That the grid of C ends where validation chooses."""
    return (
        f" The inverse penalty C is at an end of its grid in {ends} of {of} spaces: the best may be beyond it. If the "
        "classes separate, the larger end is nearly no penalty."
    )


def _last(table: pd.DataFrame, runs: Iterable[str], split: str, measure: str) -> float:
    """Mean over runs of a measure after each run's last epoch."""
    rows = pick(table, runs, split=split, measure=measure)
    return float(rows.sort_values("epoch").groupby("run")["value"].last().mean()) if len(rows) else float("nan")


def measure_words(plugins: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Measures of geometry and training, those of every loss included, to their words and a note."""
    losses = declared("loss", plugins).values()
    return MEASURES | {name: words for one in losses for name, words in (one.options["measures"] or {}).items()}


def training_summary(sweep: Sweep, training: pd.DataFrame, plugins: Sequence[str] = ()) -> Table:
    """What the training ended with, a column for each arm."""
    arms = [(name, runs) for name, runs in spaces(sweep) if set(runs) & set(sweep.trained["run"])]
    rows = []
    words_of = measure_words(plugins)
    for measure in [m for m in words_of if (training["measure"] == m).any()]:
        for split, words in TRIPLETS.items():
            cells = [number(_last(training, runs, split, measure)) for _, runs in arms]
            if set(cells) != {NOTHING} and (split == "train" or measure not in ("penalty", "total")):
                rows.append([words_of[measure][0], words, *cells])
    return Table(
        "The training after its last epoch, means over seeds",
        ["Measure", "Triplets", *(n for n, _ in arms)],
        rows,
        words=2,
        note="Training: mean over the epoch, in training mode. Fixed: after it, with the weights as they are saved and "
        "in inference mode, as the held-out ones; the two differ by the generalisation gap. Recomputed: as if batch "
        "normalisation had used the statistics of these weights in place of moving averages, which trail behind them.",
    )


def class_scores(sweep: Sweep, scores: pd.DataFrame, clips: pd.DataFrame, test_fold: str) -> Table:
    """F1 of each class, a column for each arm and baseline."""
    shown = spaces(sweep)
    per_class = pick(
        scores,
        [run for _, runs in shown for run in runs],
        probe="converged",
        split="test",
        unit="clip",
        measure="f1",
    )
    held_out = clips[clips["fold"] == test_fold]
    rows = []
    for name in sorted(set(per_class["class"])):
        here = held_out[held_out["label"] == name]
        rows.append(
            [
                name,
                str(here["moment"].nunique()),
                str(here["session"].nunique()),
                *(number(pick(per_class, runs, class_=name)["value"].mean()) for _, runs in shown),
            ]
        )
    return Table(
        "F1 of each class per held-out clip, means over seeds",
        ["Class", "Clips", "Sessions", *(name for name, _ in shown)],
        rows,
        note="Clips: those of one moment, recorded by several nodes, count once. A class with few sessions has "
        "an uncertain score.",
    )


def geometry_summary(sweep: Sweep, geometry: pd.DataFrame) -> Table:
    """The shape of the spaces, a column for each arm and baseline."""
    grouped = {f"{measure}{ending}" for measure in GROUPED for ending, _, _ in GROUPS}
    shape = [m for m in dict.fromkeys(geometry["measure"]) if m.removesuffix(UNCENTRED) not in grouped]
    measures = [measure for measure in shape if not measure.endswith(UNCENTRED)]
    return Table(
        "Geometry of the spaces on held-out tiles, means over seeds",
        ["Measure", "Meaning", *(name for name, _ in spaces(sweep))],
        [_row(measure, measure, sweep, geometry) for measure in measures],
        words=2,
        note=" ".join(
            [
                "The same random sample of tiles for every space, each class with its share.",
                CENTRED,
                *_missing(geometry, {measure: measure for measure in measures}),
            ]
        ),
    )


def group_summaries(sweep: Sweep, geometry: pd.DataFrame) -> list[Table]:
    """What the spaces keep together: classes, and as nuisances sessions and nodes; none for groups that are unknown."""
    found = []
    for ending, words, note in GROUPS:
        names = {f"{measure}{ending}": measure for measure in GROUPED}
        here = geometry[geometry["measure"].str.removesuffix(UNCENTRED).isin(names)]
        why = here["reason"][here["reason"] != ""]
        if not here["value"].gt(0).any() and why.str.startswith(UNKNOWN).all():
            continue
        rows = [_row(name, measure, sweep, here) for name, measure in names.items()]
        header = ["Measure", "Meaning", *(name for name, _ in spaces(sweep))]
        notes = " ".join([note, CENTRED, *_missing(here, names)])
        found.append(Table(f"{words} in the spaces, means over seeds", header, rows, words=2, note=notes))
    return found


def _row(measure: str, words: str, sweep: Sweep, geometry: pd.DataFrame) -> list[str]:
    name, meaning = MEASURES.get(words, (words.replace("_", " "), ""))
    cells = []
    for _, runs in spaces(sweep):
        main, other = (
            number(pick(geometry, runs, measure=f"{measure}{ending}")["value"].mean(), 0 if words in COUNTS else 3)
            for ending in ("", UNCENTRED)
        )
        cells.append(main if other == NOTHING else f"{main} ({other})")
    return [name, meaning, *cells]


def _missing(geometry: pd.DataFrame, names: dict[str, str]) -> list[str]:
    """Sentences that say which measures are missing, and why; `names` gives the key of `MEASURES` for each."""
    rows = geometry[geometry["value"].isna() & (geometry["reason"] != "") & geometry["measure"].isin(names)]
    return [
        f"Missing: {', '.join(MEASURES[names[measure]][0] for measure in dict.fromkeys(found['measure']))}, because "
        f"{reason}."
        for reason, found in rows.groupby("reason", sort=False)
    ]


def clip_tables(clips: pd.DataFrame, test_fold: str) -> list[Table]:
    """The clips that were used, by fold and by class."""
    hours = clips["frames"].astype(float) / clips["rate"].astype(float) / 3600
    table = clips.assign(hours=hours, held=np.where(clips["fold"] == test_fold, "held out", "training"))
    folds = Table(
        "Folds",
        ["Fold", "Part", "Clips", "Moments", "Sessions", "Hours"],
        [[str(fold), str(rows["held"].iloc[0]), *_amounts(rows)] for fold, rows in table.groupby("fold")]
        + [["all", "", *_amounts(table)]],
        words=2,
    )
    if not clips["label"].ne("").any():
        return [folds]
    classes = Table(
        "Classes",
        ["Class", "Clips", "Moments", "Sessions", "Hours", "Held-out moments", "Held-out sessions"],
        [
            [
                str(label) or "no label",
                *_amounts(rows),
                str(held["moment"].nunique()),
                str(held["session"].nunique()),
            ]
            for label, rows in table.groupby("label")
            for held in [rows[rows["fold"] == test_fold]]
        ],
    )
    return [folds, classes]


def _amounts(rows: pd.DataFrame) -> list[str]:
    return [
        f"{len(rows):,}",
        f"{rows['moment'].nunique():,}",
        f"{rows['session'].nunique():,}",
        number(rows["hours"].sum(), 2),
    ]


def clip_facts(clips: pd.DataFrame) -> list[tuple[str, str]]:
    """Facts about the whole set of clips, in words."""
    nodes = sorted(set(clips["node"]) - {""})
    more = ", …" if len(nodes) > 12 else ""
    forms = (clips["rate"] + " Hz, " + clips["channels"] + " channels").str.replace(" 1 channels", " 1 channel")
    return [
        ("Clips", f"{len(clips):,} from {clips['session'].nunique():,} sessions"),
        ("Nodes", f"{len(nodes)} ({', '.join(nodes[:12])}{more})" if nodes else "none named"),
        ("Form", "; ".join(f"{count:,} clips of {form}" for form, count in forms.value_counts().items())),
    ]


def listing(caption: str, table: pd.DataFrame, header: list[str], path: str) -> Table | None:
    """The rows of a table as they are, cut after `MOST_ROWS`; None where there is none."""
    if table.empty:
        return None
    note = f"The first {MOST_ROWS} of {len(table):,}; all are in {path}." if len(table) > MOST_ROWS else ""
    return Table(caption, header, table.head(MOST_ROWS).to_numpy(str).tolist(), words=len(header), note=note)


def shown(value: Any) -> str:
    """A value of the config as in Table 1."""
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value)
    return NOTHING if value is None else text(value)
