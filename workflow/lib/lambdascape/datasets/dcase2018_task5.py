"""DCASE 2018 Task 5, development set, as it lies in its archives; the demo data set has the same layout."""

import re
from pathlib import Path

import pandas as pd

from lambdascape.datasets.index import ARCHIVE, META, meta_folder
from lambdascape.datasets.listing import CANDIDATE, Reject, inner_paths, natural, shown, unlisted
from lambdascape.errors import InputError

NAME = re.compile(r"DevNode(?P<node>[0-9]+)_(?P<moment>ex[0-9]+_[0-9]+)\.wav")


def read(root: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the data set offers.

    Args:
        root: the folder that holds `meta.txt`, or the one above it.

    Returns:
        A table with the columns `CANDIDATE`; moments are `ex<session>_<segment>`. And rejected rows: of names
        without node and segment, and of audio files that `meta.txt` does not list.

    Raises:
        InputError: `meta.txt` or a fold's file is absent or malformed; a clip is not in exactly one test
            fold; a fold trains on clips or sessions that it tests; the labels of a fold's files are not those
            of `meta.txt`.
    """
    base = meta_folder(root)
    if not (base / META).is_file():
        raise InputError(f"{root}: must hold {META}, or {ARCHIVE}/{META}; neither is there. Unpack the archives there.")
    meta = _rows(base / META, ["path", "label", "session"])
    meta["path"] = inner_paths(meta["path"], str(base / META))
    meta["fold"] = meta["path"].map(_test_folds(base, meta))
    parts = meta["path"].str.rsplit("/", n=1).str[-1].str.extract(f"^{NAME.pattern}$")
    clips = meta.join(parts).reindex(columns=list(CANDIDATE))
    misnamed = clips["node"].isna()
    rule, expected = "the name must give node, session and segment", "DevNode<n>_ex<session>_<segment>.wav"
    rejects = [Reject(path, rule, Path(path).name, expected) for path in clips.loc[misnamed, "path"]]
    rejects += unlisted(base, clips["path"], META)
    prefix = base.relative_to(root).as_posix()
    clips["path"] = [str(Path(prefix, path)) for path in clips["path"]]
    rejects = [reject._replace(path=str(Path(prefix, reject.path))) for reject in rejects]
    return clips[~misnamed].reset_index(drop=True), rejects


def _rows(path: Path, columns: list[str]) -> pd.DataFrame:
    """A tab-separated list without header; line ends, trailing tabs and blank lines do not count."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: must be a list in UTF-8; {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        values = line.rstrip("\r\t ").split("\t")
        if values != [""]:
            if len(values) != len(columns):
                raise InputError(
                    f"{path}, line {number}: must hold {', '.join(columns)}, tab-separated; got "
                    f"{len(values)} values: {shown(line)!r}"
                )
            rows.append(values)
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
