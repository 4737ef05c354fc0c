"""Logistic regression fitted to convergence: the probe whose scores count."""

from pathlib import Path
from typing import Any

from lambdascape.probes.logistic import choose_c, fit
from lambdascape.probes.scoring import Sheet
from lambdascape.splits import LabelledSpace, draw_validation, read_labelled


def fit_converged(
    embeddings_path: str | Path,
    test_fold: str,
    settings: dict[str, Any],
    seed: int,
    scores_path: str | Path,
    counts_path: str | Path,
) -> None:
    """Fit a logistic regression to convergence on standardised embeddings and score it per tile and per clip.

    The inverse penalty C is chosen by macro-F1 per clip on validation sessions drawn inside the training
    split (see `splits.draw_validation`), the smallest of equals; the model is then fitted again on the whole
    training split. Train and test scores are those of the second fit, validation scores those of the first at
    the chosen C. The scaler knows the rows of its fit only. Tiles without a label are left out.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.
        settings: `c_grid`, values of C above 0, and `validation_fraction`, above 0 and below 1.
        seed: seed of the draw of validation sessions.
        scores_path: table `scoring.SCORE_COLUMNS`: split (train | validation | test), unit (tile | clip), measure
            (macro_f1 | f1 | accuracy | cross_entropy | ece | c), class (of f1, otherwise empty), draw (0), value; the
            chosen C stands with validation and clip.
        counts_path: table `scoring.COUNT_COLUMNS` of the validation and the test split. Both header only
            without labels.

    Raises:
        InputError: see `splits.read_labelled` and `splits.draw_validation`.
    """
    space = read_labelled(embeddings_path, test_fold)
    sheet = Sheet(space, "converged")
    if space is not None:
        _score(sheet, space, settings, seed)
    sheet.write(scores_path, counts_path)


def _score(sheet: Sheet, space: LabelledSpace, settings: dict[str, Any], seed: int) -> None:
    validation = draw_validation(space, settings["validation_fraction"], seed)
    c, posterior = choose_c(space, validation, settings["c_grid"])
    sheet.note("validation", "c", c)
    sheet.add("validation", validation, posterior, counted=True)
    found = fit(space, ~space.test, c)
    sheet.add("train", ~space.test, found.posterior(~space.test))
    sheet.add("test", space.test, found.posterior(space.test), counted=True)
