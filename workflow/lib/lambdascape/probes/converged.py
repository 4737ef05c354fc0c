"""Logistic regression fitted to convergence: the probe whose scores count."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lambdascape.embeddings.splits import LabelledSpace, draw_validation, read_labelled
from lambdascape.probes.logistic import choose_c, ends_grid, fit
from lambdascape.probes.scoring import Sheet


def fit_converged(
    embeddings_path: str | Path,
    test_fold: str,
    settings: dict[str, Any],
    seeds: Sequence[int],
    scores_path: str | Path,
    counts_path: str | Path,
) -> None:
    """Fit a logistic regression to convergence on standardised embeddings and score it in each of `scoring.UNITS`.

    The inverse penalty C is chosen by macro-F1 per clip on validation sessions drawn inside the training
    split (see `splits.draw_validation`), the smallest of equals; the model is then fitted again on the whole
    training split. Train and test scores are those of the second fit, validation scores those of the first at
    the chosen C. The scaler knows the rows of its fit only. Tiles without a label are left out.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.
        settings: `c_grid`, values of C above 0, and `validation_fraction`, above 0 and below 1.
        seeds: of the samples of validation sessions. A run and an untrained network have their own seed alone. A
            space without a seed has all seeds of the study, and so as many fits, each with the validation sessions of
            one seed: its mean then rests on as many samples as that of an arm.
        scores_path: table `scoring.SCORE_COLUMNS`: split (train | validation | test), unit (tile | segment | clip),
            measure (macro_f1 | f1 | accuracy | cross_entropy | ece | c | c_at_end), class (of f1, otherwise empty),
            draw (position in `seeds`), value; the chosen C and c_at_end (1 where it is the smallest or the largest of
            several, otherwise 0) stand with validation and clip.
        counts_path: table `scoring.COUNT_COLUMNS` of the validation and the test split. Both header only
            without labels.

    Raises:
        InputError: see `splits.read_labelled`, `splits.draw_validation` and `logistic.fit_path`.
    """
    space = read_labelled(embeddings_path, test_fold)
    sheet = Sheet(space, "converged")
    if space is not None:
        for draw, seed in enumerate(seeds):
            _score(sheet, space, settings, seed, draw)
    sheet.write(scores_path, counts_path)


def _score(sheet: Sheet, space: LabelledSpace, settings: dict[str, Any], seed: int, draw: int) -> None:
    validation = draw_validation(space, settings["validation_fraction"], seed)
    c, posterior = choose_c(space, validation, settings["c_grid"])
    sheet.note("validation", "c", c, draw)
    sheet.note("validation", "c_at_end", float(ends_grid(c, settings["c_grid"])), draw)
    sheet.add("validation", validation, posterior, draw, counted=True)
    found = fit(space, ~space.test, c)
    sheet.add("train", ~space.test, found.posterior(~space.test), draw)
    sheet.add("test", space.test, found.posterior(space.test), draw, counted=True)
