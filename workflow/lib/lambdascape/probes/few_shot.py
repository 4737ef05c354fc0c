"""A probe fitted on few sessions of each class: how many labels a space needs."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lambdascape.config.settings import FewShot
from lambdascape.core.declarations import probe
from lambdascape.core.errors import InputError
from lambdascape.embeddings.splits import LabelledSpace, Mask, check_splits, sessions_by_class
from lambdascape.probes.logistic import fit
from lambdascape.probes.scoring import ProbeInput, ScoreTable
from lambdascape.statistics.metrics import FEW_SHOT


@probe("few_shot", label="Few labelled sessions")
def fit_few_shot(given: ProbeInput, settings: FewShot, seeds: Sequence[int]) -> ScoreTable:
    """Fit a logistic regression on k sessions of each class, several draws of them for each k, and score it.

    The unit of a shot is the session, for its clips are not independent. A session counts to its most frequent class
    and brings all its labelled tiles. A class with fewer than k sessions gives all that it has; numbers above the first
    that takes all sessions of every class are left out, because nothing is added. Each draw takes the first k of an
    order of the session names that hangs on `seed`, the draw and the class alone, so that every space of a study is
    judged on the same sessions, and more sessions include the fewer. C is fixed: a single session leaves none to choose
    on. The scaler knows the drawn tiles only.

    Args:
        given: the space; its test split is scored.
        settings: `sessions` are the numbers k.
        seeds: not used; the sessions are the same for every space.

    Returns:
        Scores: probe (`few_shot_<k>`), split (test; of the measure sessions, the
            mean number of sessions drawn from a class, train), unit, measure, class, draw (from 0), value.
        Counts of the test split. Both are empty without labels.

    Raises:
        InputError: see `splits.read_labelled`.
    """
    space = given.space
    table = ScoreTable(space, "few_shot")
    if space is not None:
        for k, draw, rows in draws(space, settings):
            check_splits(space, {"training": rows, "test": space.test})
            table.probe = f"{FEW_SHOT}{k}"
            held = len(np.unique(space.session[rows])) / len(np.unique(_main_classes(space)[1]))
            table.note("train", "sessions", held, draw)
            table.add("test", space.test, fit(space, rows, settings.c).posterior(space.test), draw, counted=True)
    return table


def draws(space: LabelledSpace, settings: FewShot) -> Iterator[tuple[int, int, Mask]]:
    """Yield k, the number of the draw, and the drawn tiles, shape (tile,).

    Args:
        space: the labelled tiles.
        settings: see `fit_few_shot`.
    """
    session, main = _main_classes(space)
    most = np.bincount(main).max()
    enough = [k for k in sorted(settings.sessions) if k >= most][:1]
    for k in [k for k in sorted(settings.sessions) if k < most] + enough:
        for draw in range(1 if k >= most else settings.draws):
            orders = [
                np.random.default_rng([settings.seed, draw, one]).permutation(session[main == one])
                for one in np.unique(main)
            ]
            drawn = np.isin(space.session, np.concatenate([order[:k] for order in orders])) & ~space.test
            if len(np.unique(space.label[drawn])) < 2:
                raise InputError(
                    f"the few-shot probe needs sessions of at least two classes; {k} of each main class hold one. "
                    "Set probes.few_shot: null, or label more sessions"
                )
            yield k, draw, drawn


def _main_classes(space: LabelledSpace) -> tuple[Any, Any]:
    """Numbers of the training sessions, and the most frequent class of each: shape (session,)."""
    session, counts = sessions_by_class(space)
    return session, counts.argmax(axis=1)
