"""The model card of an exported embedder: what it is, its scores, what it must not be used for, its provenance."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from lambdascape import __version__
from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest, write_text
from lambdascape.core.tsv import read_table, read_text_table
from lambdascape.exports.saved_model import TOLERANCE_ONNX, read_about
from lambdascape.features.tile_grid import tile_frames
from lambdascape.jobs.provenance import git_state
from lambdascape.mechanism.judging import TEXT as MECHANISM_TEXT
from lambdascape.mechanism.rules import NOT_APPLICABLE, REFERENCE, RULES
from lambdascape.report.formatting import converged, number, segments_differ, span
from lambdascape.study.run_table import IDENTITY, Sweep, read_runs, read_sweep, text
from lambdascape.study.setting_names import in_words
from lambdascape.tables.flagged import MEANING, flagged

SCORES = ("run", "probe", "split", "unit", "measure", "class")
MEASURES = {"macro_f1": "macro-F1", "accuracy": "accuracy", "cross_entropy": "cross-entropy"}
SPLITS = ("train", "validation", "test")
NO_SETTING = (*IDENTITY, "tensorboard")
# Signs that would end a cell of a table, or start something else than text.
SIGNS = str.maketrans({"|": "¦", "<": "‹", ">": "›", "`": "'", "\n": " ", "\r": " "})


def write_card(
    output: str | Path,
    *,
    template: str | Path,
    model: str | Path,
    onnx: Sequence[str | Path],
    tables: dict[str, str | Path],
    synthetic: bool,
    confidence: float,
    checkout: str | Path,
) -> None:
    """Write the card of one exported embedder, in Markdown with the header that model hubs read.

    Args:
        output: the Markdown file.
        template: Jinja2 template of the card.
        model: a file of `saved_model.export_model`.
        onnx: the same network as ONNX, where there is one.
        tables: paths of runs, scores, training, mechanism and clips.
        synthetic: whether the audio was made by the workflow.
        confidence: of the intervals of the scores.
        checkout: folder of the code, for its git state.

    Raises:
        InputError: the run is none of the study.
    """
    about, sweep = read_about(model), read_sweep(tables["runs"])
    run, recipe = str(about["run"]), about["recipe"]
    if run not in set(sweep.trained["run"]):
        raise InputError(f"{tables['runs']}: must list the run of {model}; {run} is not in it")
    scores = read_table(tables["scores"], text=SCORES)
    training = read_table(tables["training"], text=("run", "split", "measure"))
    clips = read_text_table(tables["clips"])
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    written = environment.from_string(Path(template).read_text(encoding="utf-8")).render(
        study=_plain(about["study"]),
        run=_plain(run),
        symbol=sweep.symbol if sweep.key else "one setting",
        synthetic=synthetic,
        title=_plain(about["dataset"]["title"]),
        licence=_plain(about["dataset"]["licence"]),
        citation=_plain(about["dataset"].get("citation") or ""),
        tile_s=text(about["settings"]["triplets"]["tile_s"]),
        dim=about["settings"]["network"]["embedding_dim"],
        frames=tile_frames(about["settings"]["triplets"]["tile_s"], FeatureRecipe.of(recipe)),
        mels=recipe["n_mels"],
        recipe=", ".join(f"{key} {text(value)}" for key, value in recipe.items()),
        onnx=bool(onnx),
        onnx_tolerance=f"{TOLERANCE_ONNX:g}",
        settings=_settings(read_runs(tables["runs"]), run),
        **_data(clips, str(about["test_fold"])),
        confidence=f"{confidence:.0%}",
        scores=_scores(scores, run),
        beside=_beside(sweep, scores),
        mechanism=_mechanism(read_table(tables["mechanism"], text=MECHANISM_TEXT), run),
        seeds=_seeds(sweep, scores, run),
        flags=[MEANING[flag] for flag, runs in flagged(training).items() if run in runs],
        origin=_origin(about, model, onnx, checkout),
        version=__version__,
    )
    write_text(written, output)


def _plain(value: Any) -> str:
    """A text from outside, such as a label, as one line that means nothing in Markdown."""
    return str(value).translate(SIGNS)


def _settings(runs: pd.DataFrame, run: str) -> list[tuple[str, str]]:
    """Name and value, with its unit, of every hyperparameter of a run; its seed first."""
    row = runs[runs["run"] == run].iloc[0]
    found = [("seed", text(int(row["seed"])))]
    for column, value in row.items():
        if column not in NO_SETTING and not pd.isna(value):
            name, unit = in_words(str(column))
            found.append((name, _plain(f"{text(value)} {unit}".strip())))
    return found


def _data(clips: pd.DataFrame, test_fold: str) -> dict[str, str]:
    test = clips[clips["fold"] == test_fold]
    counts = clips.loc[clips["label"] != "", "label"].value_counts().sort_index()
    return {
        "clips": f"{len(clips):,} clips in {clips['session'].nunique():,} sessions",
        "test_fold": _plain(test_fold),
        "held_out": f"{len(test):,} clips in {test['session'].nunique():,} sessions",
        "classes": ", ".join(f"{_plain(label)} ({count:,} clips)" for label, count in counts.items()) or "none known",
    }


def _scores(scores: pd.DataFrame, run: str) -> list[list[str]]:
    """Split, unit, measure, value and interval of the converged probe."""
    rows = []
    for split in SPLITS:
        for unit in ("clip", *(["segment"] if segments_differ(scores) else []), "tile"):
            for measure, words in MEASURES.items():
                found = converged(scores, [run], measure, unit, split)
                if len(found):
                    row = found.iloc[0]
                    rows.append([split, unit, words, number(row["value"]), span(row["low"], row["high"])])
    return rows


def _beside(sweep: Sweep, scores: pd.DataFrame) -> Iterable[str]:
    """What spaces that cost no training score, as a sentence; none where they have no scores."""
    parts = []
    for kind, words in sweep.kinds.items():
        runs = sweep.references.loc[sweep.references["arm"] == kind, "run"]
        found = converged(scores, runs, "macro_f1")
        if len(found):
            parts.append(f"{_plain(words)} {number(found['value'].mean())}")
    return [f"Beside it, macro-F1 per clip on the test split: {', '.join(parts)}."] if parts else []


def _mechanism(judged: pd.DataFrame, run: str) -> str:
    row = judged[judged["run"] == run].iloc[0]
    if row["verdict"] == NOT_APPLICABLE:
        return "λ does not vary in this study, so how it acted is unknown."
    if row["verdict"] == REFERENCE:
        return "This run has the smallest λ of its seed: the others are compared with it."
    words = next((rule.words for rule in RULES if (rule.verdict, rule.name) == (row["verdict"], row["rule"])), "")
    return f"Verdict: **{row['verdict']}** ({row['rule']}), compared with `{row['reference']}`. {words}".strip()


def _seeds(sweep: Sweep, scores: pd.DataFrame, run: str) -> str:
    """The possible effect of chance: the scores of the same settings with other seeds."""
    arm = sweep.trained.loc[sweep.trained["run"] == run, "arm"].item()
    same = sweep.trained[sweep.trained["arm"] == arm]
    if len(same) < 2:
        return "It is the only seed of its settings, so the effect of chance is unknown."
    found = converged(scores, same["run"], "macro_f1")["value"]
    known = (
        f"; their macro-F1 per clip on the test split goes from {span(found.min(), found.max())}" if len(found) else ""
    )
    return f"It is one of {len(same)} networks that differ in the seed alone{known}."


def _origin(
    about: dict[str, Any], model: str | Path, onnx: Sequence[str | Path], checkout: str | Path
) -> list[tuple[str, str]]:
    files = [(f"SHA-256 of `{Path(path).name}`", f"`{file_digest(path)}`") for path in (model, *onnx)]
    return [
        *files,
        ("SHA-256 of the weights that the workflow trained", f"`{about['weights_sha256']}`"),
        ("code of the card", _plain(git_state(checkout))),
        ("versions of the export", ", ".join(f"{name} {version}" for name, version in about["versions"].items())),
    ]
