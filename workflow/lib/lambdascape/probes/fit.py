"""Fits every probe that the config asks for to one space."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lambdascape.config.settings import ByEpoch, Triplets
from lambdascape.core.errors import InputError
from lambdascape.jobs.call import find, typed
from lambdascape.probes.by_epoch import fit_by_epoch
from lambdascape.probes.scoring import ProbeInput, ScoreTable


def fit_probes(
    embeddings_path: str | Path,
    test_fold: str,
    by_epoch: ByEpoch,
    triplets: Triplets | None,
    seed: int,
    probes: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    epochs_path: str | Path,
    scores: Sequence[str | Path],
    counts: Sequence[str | Path],
) -> None:
    """Fit the published probe, epoch by epoch, and every other probe.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.
        by_epoch: settings of the published probe, see `by_epoch.fit_by_epoch`.
        triplets: see there.
        seed: of the published probe.
        probes: for each other probe its `task` and its `settings` as plain values, of which the block is made that the
            function of the probe names, see `declarations.probe`.
        seeds: of the samples of validation sessions. A run and an untrained network have their own seed alone. A space
            without a seed has all seeds of the study, and so as many fits, each with the validation sessions of one
            seed: its mean then rests on as many samples as that of an arm.
        epochs_path: table of `by_epoch.fit_by_epoch`.
        scores: for each other probe a table `scoring.SCORE_COLUMNS`; header only without labels.
        counts: for each other probe a table `scoring.COUNT_COLUMNS`; header only without labels.

    Raises:
        InputError: see `splits.read_labelled`; what a probe raises; or a probe gives something else than its scores.
    """
    given = ProbeInput(embeddings_path, test_fold)
    fit_by_epoch(given, by_epoch, triplets, seed, epochs_path)
    for probe, scores_path, counts_path in zip(probes, scores, counts, strict=True):
        fit = find(probe["task"]["name"])
        settings = typed(fit, {"settings": probe["settings"]})["settings"]
        table = fit(given, settings, seeds)
        _check(table, probe["name"], probe["task"]["name"])
        table.write(scores_path, counts_path)


def _check(table: Any, name: str, task: str) -> None:
    """Stop where a probe gives something else than its own scores."""
    if not isinstance(table, ScoreTable):
        raise InputError(f"{task}: must return a probes.scoring.ScoreTable; got {type(table).__name__}")
    others = {row[0] for row in table.scores if row[0] != name and not row[0].startswith(f"{name}_")}
    if others:
        raise InputError(f"{task}: its scores must have its name, {name}, or begin with {name}_; got {min(others)}")
    if table.scores and not table.counts:
        raise InputError(f"{task}: must add the test tiles with counted=True, from which intervals are drawn")
