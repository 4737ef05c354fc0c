"""Which tiles train a probe and which test it: splits never share a session."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lambdascape.core.errors import InputError
from lambdascape.embeddings.space_file import read_coded_embeddings

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.intp]
Coded = tuple[Integers, list[str]]


@dataclass(frozen=True)
class LabelledSpace:
    """The labelled tiles of one space.

    Attributes:
        embedding: shape (tile, dim), float32.
        label: shape (tile,), index into `classes`.
        classes: names of the classes of the training split, sorted, then those that only the test split has, so that
            the labels of the test split change nothing that a probe is fitted on.
        n_known: how many classes the training split has.
        session: shape (tile,), index into `sessions`.
        sessions: names of the sessions, sorted.
        moment: shape (tile,), a number; the tiles of one moment, whatever their node, form one clip to be scored.
        segment: shape (tile,), a number; the tiles that one node heard in one moment, in whatever channel.
        test: shape (tile,); True in the test split, False in the training split.
        row: shape (tile,), the tile's row in the file of embeddings, which has unlabelled tiles too.
    """

    embedding: npt.NDArray[np.float32]
    label: Integers
    classes: list[str]
    n_known: int
    session: Integers
    sessions: list[str]
    moment: Integers
    segment: Integers
    test: Mask
    row: Integers


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
    _check_fold(test_fold, sorted(set(tiles["fold"])))
    return (tiles["fold"] == test_fold).to_numpy(bool)


def _check_fold(test_fold: str, folds: list[str]) -> None:
    if test_fold not in folds:
        there = ", ".join(folds) or "none"
        raise InputError(f"split.test_fold must be a fold that has tiles ({there}); got {test_fold!r}")


def read_labelled(embeddings_path: str | Path, test_fold: str) -> LabelledSpace | None:
    """Read the labelled tiles of one space and check that a probe can be trained and tested on them.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        test_fold: fold whose tiles are the test split; all others train.

    Returns:
        The labelled tiles, or None when no tile has a label.

    Raises:
        InputError: the fold is unknown; a split has no labelled tile; the training split has one class only;
            the splits share no class; a session is in both splits; the tiles of a moment differ in label or
            session.
    """
    return read_folds(embeddings_path, [test_fold])[test_fold]


def read_folds(embeddings_path: str | Path, folds: list[str] | None = None) -> dict[str, LabelledSpace | None]:
    """Read the labelled tiles of one space once for several test folds; they share the embedding in memory.

    Args:
        embeddings_path: a file of `space_file.write_embeddings`.
        folds: names of the folds that are the test split in turn; None for all.

    Returns:
        For each fold the labelled tiles, see `read_labelled`.

    Raises:
        InputError: see `read_labelled`.
    """
    embedding, columns = read_coded_embeddings(embeddings_path, ("label", "session", "moment", "node", "fold"))
    fold, names = columns["fold"]
    for name in folds or []:
        _check_fold(name, names)
    label, labels = columns["label"]
    labelled = label != labels.index("") if "" in labels else np.ones(len(label), bool)
    if not labelled.any():
        return dict.fromkeys(folds or names)
    if not labelled.all():
        embedding, fold = embedding[labelled], fold[labelled]
        columns = {column: (codes[labelled], texts) for column, (codes, texts) in columns.items()}
    _check_moments(columns)
    row = np.flatnonzero(labelled)
    return {name: _split(embedding, columns, fold == names.index(name), row, name) for name in folds or names}


def _split(
    embedding: npt.NDArray[np.float32], columns: dict[str, Coded], test: Mask, row: Integers, test_fold: str
) -> LabelledSpace:
    label, labels = columns["label"]
    session, sessions = columns["session"]
    known, tested = np.unique(label[~test]), np.unique(label[test])
    _check_classes([labels[k] for k in known], [labels[k] for k in tested], test_fold)
    in_training, in_test = (set(np.unique(session[rows])) for rows in (~test, test))
    check_disjoint({"training": in_training, "test": in_test}, sessions)
    order = [*known, *np.setdiff1d(tested, known)]
    place = np.zeros(len(labels), np.intp)
    place[order] = np.arange(len(order))
    (moment, _), (node, nodes) = columns["moment"], columns["node"]
    return LabelledSpace(
        embedding=embedding,
        label=place[label],
        classes=[labels[k] for k in order],
        n_known=len(known),
        session=session,
        sessions=sessions,
        moment=moment,
        segment=moment * len(nodes) + node,
        test=test,
        row=row,
    )


def _check_moments(columns: dict[str, Coded]) -> None:
    moment, moments = columns["moment"]
    for column in ("label", "session"):
        codes, names = columns[column]
        first = np.zeros(len(moments), np.intp)
        first[moment] = codes
        differ = np.flatnonzero(first[moment] != codes)
        if len(differ):
            place = moment[differ].min()
            found = [names[k] for k in np.unique(codes[moment == place])]
            raise InputError(
                f"the clips of one moment must have one {column}; moment {moments[place]!r} has {', '.join(found)}"
            )


def _check_classes(train: list[str], test: list[str], test_fold: str) -> None:
    remedy = "Choose another split.test_fold, or label more clips."
    if not test:
        raise InputError(f"the test split needs labelled tiles; fold {test_fold!r} has none. {remedy}")
    if len(train) < 2:
        found = f"only {min(train)!r}" if train else "none"
        raise InputError(f"the training split needs labelled tiles of at least two classes; got {found}. {remedy}")
    if not set(train) & set(test):
        raise InputError(
            "the test split must share a class with the training split; "
            f"training has {', '.join(train)}, test has {', '.join(test)}. {remedy}"
        )


def check_disjoint(splits: dict[str, set[int]], sessions: list[str]) -> None:
    """Stop when a session is in two splits.

    Args:
        splits: for each split the numbers of its sessions.
        sessions: names of the sessions by number.

    Raises:
        InputError: two splits share a session; clips of one session are not independent, so the scores would
            be too good.
    """
    for (first, one), (second, other) in combinations(splits.items(), 2):
        if one & other:
            names = [sessions[k] for k in sorted(one & other)]
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise InputError(
                f"no session may be in two splits; {len(names)} in both {first} and {second}: {shown}. "
                "Give all clips of a session the same fold."
            )


def sessions_by_class(space: LabelledSpace) -> tuple[Integers, npt.NDArray[np.int64]]:
    """Count the training tiles of each class in each session.

    Returns:
        Numbers of the sessions of the training split, ascending, shape (session,); counts of shape (session, class).
    """
    session, rows = np.unique(space.session[~space.test], return_inverse=True)
    counts = np.bincount(rows * space.n_known + space.label[~space.test], minlength=len(session) * space.n_known)
    return session, counts.reshape(len(session), space.n_known)


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
    session, counts = sessions_by_class(space)
    if len(session) < 2:
        raise InputError(
            "a probe needs at least two labelled sessions in the training split, one to choose its settings "
            f"on; got {len(session)}. Choose another split.test_fold, or add sessions."
        )
    holds = counts > 0
    main = counts.argmax(axis=1)  # (session,)
    quota = {k: max(1, round(fraction * np.count_nonzero(main == k))) for k in np.unique(main)}
    left = holds.sum(axis=0)  # (class,) sessions that still hold it
    drawn: list[int] = []
    for row in np.random.default_rng([seed]).permutation(len(session)):
        spare = (left[holds[row]] > 1).all()
        if spare and quota[main[row]] > 0 and len(drawn) < max(1, len(session) // 2):
            drawn.append(int(session[row]))
            left -= holds[row]
            quota[main[row]] -= 1
    if not drawn:
        raise InputError(
            "a probe needs at least one class with two sessions in the training split, one to "
            "choose its settings on; every class has one. Choose another split.test_fold, or add sessions."
        )
    validation = np.isin(space.session, drawn) & ~space.test
    check_splits(space, {"training": ~space.test & ~validation, "validation": validation, "test": space.test})
    return validation


def check_splits(space: LabelledSpace, splits: dict[str, Mask]) -> None:
    """Stop when two splits, given as masks of shape (tile,), share a session."""
    check_disjoint({name: set(np.unique(space.session[rows])) for name, rows in splits.items()}, space.sessions)
