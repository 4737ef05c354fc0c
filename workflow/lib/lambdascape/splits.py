"""Which tiles train a probe and which test it: splits never share a session."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.errors import InputError
from lambdascape.store import read_embeddings

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledSpace:
    """The labelled tiles of one space.

    Attributes:
        embedding: shape (tile, dim).
        label: shape (tile,), index into `classes`.
        classes: names of all classes of the labelled tiles, sorted.
        session: shape (tile,), text.
        moment: shape (tile,), text; the tiles of one moment, whatever their node, form one clip to be scored.
        test: shape (tile,); True in the test split, False in the training split.
    """

    embedding: npt.NDArray[np.float64]
    label: npt.NDArray[np.intp]
    classes: list[str]
    session: npt.NDArray[np.object_]
    moment: npt.NDArray[np.object_]
    test: Mask


def in_test_split(tiles: pd.DataFrame, test_fold: str) -> Mask:
    """Say which tiles belong to the test split: those of the fold `test_fold`.

    Args:
        tiles: one row per tile, with the column `fold`.
        test_fold: name of a fold.

    Returns:
        Shape (tile,).

    Raises:
        InputError: no tile belongs to that fold.
    """
    test = (tiles["fold"] == test_fold).to_numpy(bool)
    if not test.any():
        folds = ", ".join(sorted(set(tiles["fold"]))) or "none"
        raise InputError(f"split.test_fold must be a fold that has tiles ({folds}); got {test_fold!r}")
    return test


def read_labelled(embeddings_path: str | Path, test_fold: str) -> LabelledSpace | None:
    """Read the labelled tiles of one space and check that a probe can be trained and tested on them.

    Args:
        embeddings_path: a file of `store.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.

    Returns:
        The labelled tiles, or None when no tile has a label.

    Raises:
        InputError: the fold is unknown; a split has no labelled tile; the training split has one class only;
            the splits share no class; a session is in both splits; the tiles of a moment differ in label or
            session.
    """
    embedding, tiles, _ = read_embeddings(embeddings_path)
    test = in_test_split(tiles, test_fold)
    labelled = (tiles["label"] != "").to_numpy(bool)
    if not labelled.any():
        return None
    tiles, test = tiles[labelled], test[labelled]
    _check_moments(tiles)
    _check_classes(set(tiles["label"][~test]), set(tiles["label"][test]), test_fold)
    classes, label = np.unique(tiles["label"].to_numpy(object), return_inverse=True)
    session = tiles["session"].to_numpy(object)
    check_disjoint({"training": set(session[~test]), "test": set(session[test])})
    return LabelledSpace(
        embedding=embedding[labelled].astype(np.float64),
        label=label,
        classes=classes.tolist(),
        session=session,
        moment=tiles["moment"].to_numpy(object),
        test=test,
    )


def _check_moments(tiles: pd.DataFrame) -> None:
    for column in ("label", "session"):
        differ = tiles.groupby("moment")[column].nunique() > 1
        if differ.any():
            moment = differ.idxmax()
            found = sorted(set(tiles.loc[tiles["moment"] == moment, column]))
            raise InputError(
                f"the clips of one moment must have one {column}; moment {moment!r} has {', '.join(found)}"
            )


def _check_classes(train: set[str], test: set[str], test_fold: str) -> None:
    remedy = "Choose another split.test_fold, or label more clips."
    if not test:
        raise InputError(f"the test split needs labelled tiles; fold {test_fold!r} has none. {remedy}")
    if len(train) < 2:
        found = f"only {min(train)!r}" if train else "none"
        raise InputError(f"the training split needs labelled tiles of at least two classes; got {found}. {remedy}")
    if not train & test:
        raise InputError(
            "the test split must share a class with the training split; "
            f"training has {', '.join(sorted(train))}, test has {', '.join(sorted(test))}. {remedy}"
        )


def check_disjoint(sessions: dict[str, set[str]]) -> None:
    """Stop when a session is in two splits.

    Args:
        sessions: for each split its sessions.

    Raises:
        InputError: two splits share a session; clips of one session are not independent, so the scores would
            be too good.
    """
    for (first, one), (second, other) in combinations(sessions.items(), 2):
        if one & other:
            names = sorted(one & other)
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise InputError(
                f"no session may be in two splits; {len(names)} in both {first} and {second}: {shown}. "
                "Give all clips of a session the same fold."
            )


def draw_validation(space: LabelledSpace, fraction: float, seed: int) -> Mask:
    """Draw whole sessions of the training split for validation, stratified by class as far as possible.

    A session counts to its most frequent class. Each class gives `fraction` of its sessions, rounded, but at
    least one; no more than half of all sessions are drawn, and never the last session that holds a class, so
    that what remains still has every class.

    Args:
        space: the labelled tiles.
        fraction: share of each class's sessions, above 0 and below 1.
        seed: seed of the order in which sessions are considered.

    Returns:
        Shape (tile,); True for the training tiles drawn for validation, False for the other training tiles
        and for test.

    Raises:
        InputError: the training split has fewer than two sessions, or every session is the last one of a
            class.
    """
    counts = pd.crosstab(space.session[~space.test], space.label[~space.test]).sort_index()  # session × class
    if len(counts) < 2:
        raise InputError(
            "the converged probe needs at least two labelled sessions in the training split, one to choose C "
            f"on; got {len(counts)}. Choose another split.test_fold, or add sessions."
        )
    holds = counts.to_numpy() > 0
    main = counts.to_numpy().argmax(axis=1)  # (session,)
    quota = {k: max(1, round(fraction * np.count_nonzero(main == k))) for k in np.unique(main)}
    left = holds.sum(axis=0)  # (class,) sessions that still hold it
    drawn: list[str] = []
    for row in np.random.default_rng([seed]).permutation(len(counts)):
        spare = (left[holds[row]] > 1).all()
        if spare and quota[main[row]] > 0 and len(drawn) < max(1, len(counts) // 2):
            drawn.append(str(counts.index[row]))
            left -= holds[row]
            quota[main[row]] -= 1
    if not drawn:
        raise InputError(
            "the converged probe needs at least one class with two sessions in the training split, one to "
            "choose C on; every class has one. Choose another split.test_fold, or add sessions."
        )
    validation = np.isin(space.session, drawn) & ~space.test
    rest = ~space.test & ~validation
    check_disjoint(
        {
            "training": set(space.session[rest]),
            "validation": set(space.session[validation]),
            "test": set(space.session[space.test]),
        }
    )
    return validation
