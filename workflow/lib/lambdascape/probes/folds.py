"""The converged probe on every fold in turn: the score under the official name, macro-F1 over folds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lambdascape.core.errors import InputError
from lambdascape.embeddings.splits import draw_validation, read_folds
from lambdascape.probes.logistic import choose_c, fit
from lambdascape.probes.scoring import Sheet

MEAN = "mean"
# The tables name folds in the column in which other probes name these splits.
TAKEN = (MEAN, "train", "validation", "test")


def fit_folds(
    embeddings_path: str | Path,
    settings: dict[str, Any],
    seeds: Sequence[int],
    scores_path: str | Path,
    counts_path: str | Path,
) -> None:
    """Hold out every fold in turn, fit the converged probe to the others, and average the folds' scores.

    On each fold the probe sees what `converged.fit_converged` would see there, C included. The embeddings are the same
    for all folds: a network that was trained on the audio of a fold, without its labels, embeds that fold, too. Only
    the study's own test fold is unheard.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        settings: see `converged.fit_converged`.
        seeds: of the samples of validation sessions, see `converged.fit_converged`.
        scores_path: table `scoring.SCORE_COLUMNS`: split is the name of a fold, with a draw for each seed, or `mean`
            with a draw for each fold and seed (seed by seed); units as of `converged.fit_converged`.
        counts_path: table `scoring.COUNT_COLUMNS` of the same splits. Both header only without labels.

    Raises:
        InputError: a fold has the name of a split or of the mean; see also `splits.read_labelled` and
            `splits.draw_validation`, for any fold.
    """
    spaces = read_folds(embeddings_path)
    taken = [fold for fold in spaces if fold in TAKEN]
    if taken:
        raise InputError(
            f"split.probe_folds: all must find folds with names of their own, not {', '.join(TAKEN)}, which name "
            f"splits in its tables; got {taken[0]!r}. Name the fold otherwise in the data set, or write "
            "probe_folds: held_out"
        )
    sheet = Sheet(None, "folds")
    for place, (fold, space) in enumerate(spaces.items()):
        if space is None:
            continue
        sheet.space = space
        for draw, seed in enumerate(seeds):
            validation = draw_validation(space, settings["validation_fraction"], seed)
            c, _ = choose_c(space, validation, settings["c_grid"])
            sheet.note(fold, "c", c, draw)
            posterior = fit(space, ~space.test, c).posterior(space.test)
            sheet.add(fold, space.test, posterior, draw, counted=True)
            sheet.add(MEAN, space.test, posterior, draw * len(spaces) + place, counted=True)
    sheet.write(scores_path, counts_path)
