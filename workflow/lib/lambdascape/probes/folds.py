"""The converged probe on every fold in turn: the score under the official name, macro-F1 over folds."""

from collections.abc import Sequence

from lambdascape.config.settings import Converged
from lambdascape.core.declarations import probe
from lambdascape.core.errors import InputError
from lambdascape.embeddings.splits import draw_validation
from lambdascape.probes.logistic import choose_c, fit
from lambdascape.probes.scoring import ProbeInput, ScoreTable

MEAN = "mean"
# The tables name folds in the column in which other probes name these splits.
TAKEN = (MEAN, "train", "validation", "test")


@probe("folds", label="Every fold in turn")
def fit_folds(given: ProbeInput, settings: Converged, seeds: Sequence[int]) -> ScoreTable:
    """Hold out every fold in turn, fit the converged probe to the others, and average the folds' scores.

    On each fold the probe sees what `converged.fit_converged` would see there, C included. The embeddings are the same
    for all folds: a network that was trained on the audio of a fold, without its labels, embeds that fold, too. Only
    the study's own test fold is unheard.

    Args:
        given: the space; its test split is scored.
        settings: see `converged.fit_converged`.
        seeds: of the samples of validation sessions, see `converged.fit_converged`.

    Returns:
        Scores: split is the name of a fold, with a draw for each seed, or `mean`
            with a draw for each fold and seed (seed by seed); units as of `converged.fit_converged`.
        Counts of the same splits. Both are empty without labels.

    Raises:
        InputError: a fold has the name of a split or of the mean; see also `splits.read_labelled` and
            `splits.draw_validation`, for any fold.
    """
    spaces = given.folds()
    taken = [fold for fold in spaces if fold in TAKEN]
    if taken:
        raise InputError(
            f"split.probe_folds: all must find folds with names of their own, not {', '.join(TAKEN)}, which name "
            f"splits in its tables; got {taken[0]!r}. Name the fold otherwise in the data set, or write "
            "probe_folds: held_out"
        )
    table = ScoreTable(None, "folds")
    for place, (fold, space) in enumerate(spaces.items()):
        if space is None:
            continue
        table.space = space
        for draw, seed in enumerate(seeds):
            validation = draw_validation(space, settings.validation_fraction, seed)
            c, _ = choose_c(space, validation, settings.c_grid)
            table.note(fold, "c", c, draw)
            posterior = fit(space, ~space.test, c).posterior(space.test)
            table.add(fold, space.test, posterior, draw, counted=True)
            table.add(MEAN, space.test, posterior, draw * len(spaces) + place, counted=True)
    return table
