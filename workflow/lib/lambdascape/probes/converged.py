"""Logistic regression fitted to convergence: the probe whose scores count."""

from collections.abc import Sequence

from lambdascape.config.settings import Converged
from lambdascape.core.declarations import probe
from lambdascape.embeddings.splits import LabelledSpace, draw_validation
from lambdascape.probes.logistic import choose_c, ends_grid, fit
from lambdascape.probes.scoring import ProbeInput, ScoreTable


@probe("converged", label="Converged", chooses="c")
def fit_converged(given: ProbeInput, settings: Converged, seeds: Sequence[int]) -> ScoreTable:
    """Fit a logistic regression to convergence on standardised embeddings and score it in each of `scoring.UNITS`.

    The inverse penalty C is chosen by macro-F1 per clip on validation sessions drawn inside the training
    split (see `splits.draw_validation`), the smallest of equals; the model is then fitted again on the whole
    training split. Train and test scores are those of the second fit, validation scores those of the first at
    the chosen C. The scaler knows the rows of its fit only. Tiles without a label are left out.

    Args:
        given: the space; its test split is scored.
        settings: among which C to choose, on what fraction of the training sessions.
        seeds: of the samples of validation sessions. A run and an untrained network have their own seed alone. A
            space without a seed has all seeds of the study, and so as many fits, each with the validation sessions of
            one seed: its mean then rests on as many samples as that of an arm.

    Returns:
        Scores: split (train | validation | test), unit (tile | segment | clip),
            measure (macro_f1 | f1 | accuracy | cross_entropy | ece | c | c_at_end), class (of f1, otherwise empty),
            draw (position in `seeds`), value; the chosen C and c_at_end (1 where it is the smallest or the largest of
            several, otherwise 0) stand with validation and clip.
        Counts of the validation and the test split. Both are empty
        without labels.

    Raises:
        InputError: see `splits.read_labelled`, `splits.draw_validation` and `logistic.fit_path`.
    """
    space = given.space
    table = ScoreTable(space, "converged")
    if space is not None:
        for draw, seed in enumerate(seeds):
            _score(table, space, settings, seed, draw)
    return table


def _score(table: ScoreTable, space: LabelledSpace, settings: Converged, seed: int, draw: int) -> None:
    validation = draw_validation(space, settings.validation_fraction, seed)
    c, posterior = choose_c(space, validation, settings.c_grid)
    table.note("validation", "c", c, draw)
    table.note("validation", "c_at_end", float(ends_grid(c, settings.c_grid)), draw)
    table.add("validation", validation, posterior, draw, counted=True)
    found = fit(space, ~space.test, c)
    table.add("train", ~space.test, found.posterior(~space.test), draw)
    table.add("test", space.test, found.posterior(space.test), draw, counted=True)
