"""DCASE 2018 Task 5, development or evaluation set, as they lie in their archives.

The demo data set has the layout of the development set.
"""

import re
from pathlib import Path

import pandas as pd

from lambdascape.core.declarations import adapter
from lambdascape.core.errors import InputError
from lambdascape.datasets.candidates import CANDIDATE, Reject, inner_paths, natural, shown, unlisted
from lambdascape.datasets.index import MAP, META

NAME = re.compile(r"[A-Za-z]*Node(?P<node>[0-9]+)_(?P<moment>ex(?P<session>[0-9]+)_[0-9]+)\.wav")
LABELS = ("evaluation_setup/evaluate.txt", "evaluation_setup/evaluation.txt")  # of the evaluation set


@adapter(
    "demo",
    archives=["DCASE2018-task5-dev", "DCASE2018-task5-eval"],
    index=["meta.txt", "evaluation_setup/map.txt"],
    lists="evaluation_setup/*.txt",
)
@adapter(
    "dcase2018_task5",
    archives=["DCASE2018-task5-dev", "DCASE2018-task5-eval"],
    index=["meta.txt", "evaluation_setup/map.txt"],
    lists="evaluation_setup/*.txt",
)
def read(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the data set offers; moments are `ex<session>_<segment>`.

    The development set has `meta.txt`, and file names that give node, session and segment. The evaluation set
    has `evaluation_setup/map.txt`: its files have mere numbers, and the map gives the name that each had before.
    It brings no folds, and labels only where `evaluate.txt` (or `evaluation.txt`) lies beside the map.

    Args:
        base: the folder that holds either file.

    Returns:
        A table with the columns `CANDIDATE`. And rejected rows: of names without node, session and segment, and
        of audio files that the set does not list.

    Raises:
        InputError: a list is absent or malformed; two lists that must name the same clips do not; a clip is not
            in exactly one test fold; a fold trains on clips or sessions that it tests; the labels of a fold's
            files are not those of `meta.txt`.
    """
    return _evaluation_set(base) if (base / MAP).is_file() else _development_set(base)


def _development_set(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    meta = _rows(base / META, ["path", "label", "session"])
    meta["path"] = inner_paths(meta["path"], str(base / META))
    meta["fold"] = meta["path"].map(_test_folds(base, meta))
    clips, misnamed = _with_nodes(meta, meta["path"])
    return clips, [*misnamed, *unlisted(base, meta["path"], META)]


def _evaluation_set(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    listed = _rows(base / MAP, ["original", "path"])
    listed["path"] = inner_paths(listed["path"], str(base / MAP))
    labels = _evaluation_labels(base, set(listed["path"]))
    listed["label"] = [labels.get(path, "") for path in listed["path"]]
    sessions = "s" + listed["original"].str.extract(NAME.pattern)["session"]
    clips, misnamed = _with_nodes(listed.assign(session=sessions, fold=""), listed["original"])
    return clips, [*misnamed, *unlisted(base, listed["path"], MAP)]


def _evaluation_labels(base: Path, paths: set[str]) -> dict[str, str]:
    """Label of each clip of the evaluation set; none where the set was published without them."""
    file = next((base / name for name in LABELS if (base / name).is_file()), None)
    if file is None:
        return {}
    rows = _rows(file, ["path", "label"], more=True)
    labels = dict(zip(inner_paths(rows["path"], str(file)), rows["label"], strict=True))
    odd = sorted(set(labels) ^ paths)
    if odd:
        raise InputError(
            f"{file}: must list the clips of {MAP}; they differ in {len(odd)}, the first is {shown(odd[0])}"
        )
    return labels


def _with_nodes(clips: pd.DataFrame, names: pd.Series) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips with node and moment as their names tell; those whose names do not are rejected."""
    stems = names.str.rsplit("/", n=1).str[-1]
    clips = clips.join(stems.str.extract(f"^{NAME.pattern}$")[["node", "moment"]]).reindex(columns=list(CANDIDATE))
    bad = clips["node"].isna()
    rule, expected = "the name must give node, session and segment", "DevNode<n>_ex<session>_<segment>.wav"
    rejects = [
        Reject(path, rule, name, expected) for path, name in zip(clips.loc[bad, "path"], stems[bad], strict=True)
    ]
    return clips[~bad].reset_index(drop=True), rejects


def _rows(path: Path, columns: list[str], more: bool = False) -> pd.DataFrame:
    """A tab-separated list without header; line ends, trailing tabs, blank lines, `more` columns do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: must be a list in UTF-8; {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        values = line.rstrip("\r\t ").split("\t")
        if values != [""]:
            if len(values) < len(columns) or (len(values) > len(columns) and not more):
                raise InputError(
                    f"{path}, line {number}: must hold {', '.join(columns)}, tab-separated; got "
                    f"{len(values)} values: {shown(line)!r}"
                )
            rows.append(values[: len(columns)])
    if not rows:
        raise InputError(f"{path}: must list at least one clip; it is empty")
    return pd.DataFrame(rows, columns=columns, dtype=str)


def _test_folds(base: Path, meta: pd.DataFrame) -> dict[str, str]:
    """The one fold in whose test part each clip is; the folds' files are checked against each other."""
    tests = sorted((base / "evaluation_setup").glob("fold*_test.txt"), key=lambda path: natural(path.name))
    if len(tests) < 2:
        raise InputError(
            f"{base}: must hold evaluation_setup/fold<n>_test.txt of at least two folds; found {len(tests)}"
        )
    known = meta.set_index("path")
    folds: dict[str, str] = {}
    for file in tests:
        fold = file.name.removesuffix("_test.txt")
        tested = _rows(file, ["path"])["path"]
        for path in inner_paths(tested, str(file)):
            if path not in known.index:
                raise InputError(f"{file}: must list clips of {META}; {shown(path)!r} is not in it")
            if folds.setdefault(path, fold) != fold:
                raise InputError(f"{file}: every clip must be in one test fold; {path} is in {folds[path]} too")
    missing = [path for path in known.index if path not in folds]
    if missing:
        raise InputError(
            f"{base}: every clip must be in a test fold; {len(missing)} are in none, the first is {missing[0]}"
        )
    for fold in sorted(set(folds.values())):
        _check_fold(base / "evaluation_setup", fold, known, {path for path in folds if folds[path] == fold})
    return folds


def _check_fold(setup: Path, fold: str, meta: pd.DataFrame, tested: set[str]) -> None:
    """Stop unless a fold trains on all other clips, shares no session, and agrees with `meta`."""
    train = _rows(setup / f"{fold}_train.txt", ["path", "label", "session"]).set_index("path")
    evaluate = _rows(setup / f"{fold}_evaluate.txt", ["path", "label"]).set_index("path")
    sessions = set(meta.loc[sorted(tested), "session"])
    shared = sorted(sessions & set(meta.loc[~meta.index.isin(tested), "session"]) | sessions & set(train["session"]))
    if shared:
        raise InputError(f"{setup}: {fold} must not train on sessions that it tests; it shares {', '.join(shared)}")
    for name, listed, expected in (
        ("train", train, set(meta.index) - tested),
        ("evaluate", evaluate, tested),
    ):
        odd = sorted(set(listed.index) ^ expected)
        if odd:
            raise InputError(
                f"{setup}/{fold}_{name}.txt: must list the clips of {META} that {fold}_test.txt "
                f"{'lists' if name == 'evaluate' else 'does not list'}; they differ in {len(odd)}, the first "
                f"is {shown(odd[0])}"
            )
        columns = list(listed.columns)
        differ = (listed[columns] != meta.loc[listed.index, columns]).any(axis=1)
        if differ.any():
            raise InputError(
                f"{setup}/{fold}_{name}.txt: {' and '.join(columns)} must be those of {META}; "
                f"{differ.sum()} rows differ, the first is {differ.idxmax()}"
            )
