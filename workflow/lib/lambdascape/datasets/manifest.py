"""The manifest of a data set: an adapter's candidates become clips that are checked against leaks."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from lambdascape.config.settings import ReadingSettings
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest
from lambdascape.core.tsv import write_table
from lambdascape.datasets.candidates import CANDIDATE, Reject, natural, shown
from lambdascape.datasets.data_warnings import Warned, silent, unlike_the_others
from lambdascape.datasets.index import data_folder
from lambdascape.datasets.inspection import Header, inspect, inspected
from lambdascape.jobs.call import find

COLUMNS = ["clip", *CANDIDATE, "channel", *Header._fields]


def list_clips(
    root: str | Path,
    settings: ReadingSettings,
    clips_path: str | Path,
    rejected_path: str | Path,
    warnings_path: str | Path,
    threads: int = 2,
    looks: Sequence[str | Path] = (),
    reader: Mapping[str, str] | None = None,
) -> None:
    """Write the manifest, sorted by session and path, and the tables of what cannot be used and of what is odd.

    Args:
        root: the data set's folder.
        settings: keys of the block `dataset`, and the plugins.
        clips_path: table with the columns `COLUMNS`; `channel` counts from 1 and is empty for the mean.
        rejected_path: table with path, rule, found, expected.
        warnings_path: table of clips that are used all the same, with path, warning, found, expected.
        threads: files looked at in parallel.
        reader: task of the adapter; None for that of the package.
        looks: files of `inspection.write_looks`, where the audio itself is gone; none where it is there.

    Raises:
        InputError: there is no data set or no clip that can be used; the folds leak a session or a file's
            content; there is only one session, or only one label; or what the adapter raises.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(
            f"dataset.path: must be a folder; there is none at {root}. Put the audio there, or mend the path."
        )
    candidates, rejects = _candidates(root, settings, reader)
    if candidates.empty:
        raise InputError(
            f"{root}: must hold audio (wav, flac, ogg or mp3) or a clips.csv; {_reasons(rejects) or 'it holds neither'}"
        )
    clips, unusable = inspected(looks, candidates) if looks else inspect(root, candidates, threads)
    _tolerate(root, unusable, len(candidates), settings)
    originals = _copies(root, clips)
    same = dict(zip(clips.loc[originals.index, "path"], originals, strict=True))
    clips, copies, warned = _without_copies(clips, originals)
    rejects = [*rejects, *unusable, *copies]
    if clips.empty:
        raise InputError(
            f"{root}: needs a clip that can be used; all {len(rejects)} were rejected. {_reasons(rejects)}"
        )
    warned = [*warned, *silent(clips), *unlike_the_others(clips)]
    clips = _joined(_named(clips), same)
    _check(root, clips)
    clips = _by_channel(_with_folds(root, clips, settings), settings.channels)
    write_table(clips[COLUMNS], clips_path)
    _write_listing(rejects, Reject._fields, rejected_path)
    _write_listing(warned, Warned._fields, warnings_path)


def _candidates(
    root: Path, settings: ReadingSettings, reader: Mapping[str, str] | None
) -> tuple[pd.DataFrame, list[Reject]]:
    """What the adapter offers and rejects, its paths made relative to `root`."""
    base = data_folder(root, settings.adapter, settings.plugins)
    task = reader["name"] if reader else declared("adapter", settings.plugins)[settings.adapter].task
    clips, rejects = find(task)(base)
    prefix = PurePosixPath(base.relative_to(root))
    rejects = [reject._replace(path=str(prefix / reject.path)) for reject in rejects]
    return clips.assign(path=[str(prefix / path) for path in clips["path"]]), rejects


def _tolerate(root: Path, unusable: Sequence[Reject], candidates: int, settings: ReadingSettings) -> None:
    """Stop where more clips are bad than the study allows; the log then names all of them."""
    most = 0 if settings.on_bad_clip == "fail" else settings.max_rejected_fraction
    if len(unusable) <= most * candidates:
        return
    for reject in unusable:
        print("bad clip: " + "; ".join(map(shown, (reject.path, reject.rule, f"found {reject.found}"))))
    rule = "dataset.on_bad_clip is `fail`, so every clip must be usable"
    if most:
        rule = f"dataset.max_rejected_fraction allows {most:g} of the clips to be unusable"
    raise InputError(f"{root}: {rule}; {len(unusable)} of {candidates} are not, all in the log. {_reasons(unusable)}")


def _reasons(rejects: Sequence[Reject]) -> str:
    """The first few rejected files and why."""
    return "; ".join(f"{shown(r.path)}: {r.rule}, found {r.found}" for r in rejects[:3])


def _copies(root: Path, clips: pd.DataFrame) -> pd.Series:
    """For the rows of copies, the path of the first with the same bytes; copies in two folds stop the work."""
    alike = clips["content"].duplicated(keep=False)  # in size and in part of their bytes
    if "whole" in clips:
        whole = clips["whole"]
    else:
        whole = clips["content"].mask(alike, clips["path"][alike].map(lambda path: file_digest(root / path)))
    first = clips.groupby(whole, sort=False)[["path", "fold"]].transform("first")
    leak = clips["fold"] != first["fold"]
    if leak.any():
        one, two = first[leak].iloc[0], clips[leak].iloc[0]
        raise InputError(
            f"folds: no file may be in two folds; {one['path']} ({one['fold']}) and {two['path']} "
            f"({two['fold']}) hold the same bytes, as do {leak.sum() - 1} more. Remove one of each pair."
        )
    return first["path"][whole.duplicated()]


def _without_copies(clips: pd.DataFrame, copies: pd.Series) -> tuple[pd.DataFrame, list[Reject], list[Warned]]:
    """The clips, without copies where folds are yet to be made: those could part a copy from its original."""
    said = [
        (path, "no two files should hold the same bytes", f"those of {original}", "bytes of its own")
        for path, original in zip(clips.loc[copies.index, "path"], copies, strict=True)
    ]
    if (clips["fold"] != "").any():
        return clips, [], [Warned(*words) for words in said]
    return clips.drop(index=copies.index).reset_index(drop=True), [Reject(*words) for words in said], []


def _write_listing(rows: Sequence[Reject] | Sequence[Warned], columns: Sequence[str], path: str | Path) -> None:
    """Write rejected rows or warnings in the order of their paths."""
    safe = sorted((tuple(map(shown, row)) for row in rows), key=lambda row: natural(row[0]))
    write_table(pd.DataFrame(safe, columns=list(columns)), path)


def _named(clips: pd.DataFrame) -> pd.DataFrame:
    """The clips with ids, with a session and a moment of their own where none is known, in their order."""
    paths = [PurePosixPath(path) for path in clips["path"]]
    common = len(PurePosixPath(*_common([path.parent.parts for path in paths])).parts)
    short = [PurePosixPath(*path.parts[common:]) for path in paths]
    stems = [str(path.with_suffix("")) for path in short]
    names = pd.Series(stems if len(set(stems)) == len(stems) else [str(path) for path in short], dtype=str)
    clips = clips.assign(clip=names)
    for column in ("session", "moment"):
        clips[column] = clips[column].where(clips[column] != "", names)
    keys = [(natural(s), natural(p)) for s, p in zip(clips["session"], clips["path"], strict=True)]
    order = sorted(range(len(clips)), key=keys.__getitem__)
    return clips.iloc[order].reset_index(drop=True)


def _joined(clips: pd.DataFrame, same: dict[str, str]) -> pd.DataFrame:
    """The clips, with sessions that hold the same bytes made one, so that no split by session can part them.

    Silence is let be: it tells nothing, and would join half a data set.

    Args:
        clips: rows with path, session and silent.
        same: path of a copy to the path of its original.
    """
    session = clips["session"].copy()
    row = {path: place for place, path in enumerate(clips["path"])}
    for copy, original in same.items():
        if copy in row and not clips["silent"].iloc[row[copy]]:
            session[session == session.iloc[row[copy]]] = session.iloc[row[original]]
    return clips.assign(session=session)


def _common(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The leading parts that all have in common."""
    low, high = min(parts), max(parts)
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:same]


def _check(root: Path, clips: pd.DataFrame) -> None:
    """Stop at what no study can be made of."""
    sessions, labels = set(clips["session"]), set(clips["label"]) - {""}
    if len(sessions) < 2:
        raise InputError(
            f"{root}: must hold at least two sessions, so that training and test share none; all "
            f"{len(clips)} clips are of {min(sessions)!r}. Name the sessions in clips.csv, or add recordings."
        )
    if len(labels) == 1:
        raise InputError(
            f"{root}: labels must name at least two classes; a single class, {min(labels)!r}, was found. "
            "Leave the labels out to study the data without them."
        )
    for column in ("session", "label"):
        kinds = clips.groupby("moment")[column].nunique()
        if (kinds > 1).any():
            raise InputError(
                f"{root}: clips of one moment must share a {column}; those of moment {kinds.idxmax()!r} do not"
            )


def _with_folds(root: Path, clips: pd.DataFrame, settings: ReadingSettings) -> pd.DataFrame:
    """The clips with the folds that the data set brings, checked, or with folds made by session."""
    known = clips["fold"] != ""
    if not known.any():
        return clips.assign(fold=_made_folds(root, clips, settings.folds))
    if not known.all():
        raise InputError(
            f"{root}: either every clip or none must have a fold; {clips['path'][~known].iloc[0]} has none"
        )
    folds = clips.groupby("session")["fold"].unique()
    for session, found in folds[folds.map(len) > 1].items():
        raise InputError(
            f"{root}: a session must be in one fold; session {session!r} is in {' and '.join(sorted(found))}"
        )
    if clips["fold"].nunique() < 2:
        raise InputError(
            f"{root}: there must be at least two folds; all clips are in {clips['fold'][0]!r}. Leave the "
            "column fold out."
        )
    return clips


def _by_channel(clips: pd.DataFrame, channels: str) -> pd.DataFrame:
    """The clips with the channel that is heard; for `each`, as many rows as the file has microphones."""
    if channels != "each":
        return clips.assign(channel="1" if channels == "first" else "")
    rows = clips.loc[clips.index.repeat(clips["channels"])]
    channel = (rows.groupby(level=0).cumcount() + 1).astype(str)
    return rows.assign(channel=channel, clip=rows["clip"] + "#" + channel).reset_index(drop=True)


def _made_folds(root: Path, clips: pd.DataFrame, count: int) -> list[str]:
    """Folds that keep sessions whole and, as far as they allow, hold the same share of each label."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    sessions, labels = clips["session"].tolist(), clips["label"].tolist()
    if len(set(sessions)) < count:
        raise InputError(
            f"dataset.folds: must not exceed the number of sessions, {len(set(sessions))}, because folds "
            f"keep sessions whole; got {count}"
        )
    stratified = max(pd.Series(labels).value_counts()) >= count and any(labels)
    for splitter in [*([StratifiedGroupKFold(count)] if stratified else []), GroupKFold(count)]:
        folds = [""] * len(clips)
        for number, (_, test) in enumerate(splitter.split(clips, labels, sessions), start=1):
            for row in test:
                folds[row] = f"fold{number}"
        if len(set(folds)) == count:  # else a fold stayed empty: too few sessions for an even share of labels
            return folds
    raise AssertionError("GroupKFold leaves no fold empty")
