"""TAU urban acoustic scenes, development sets of 2019, 2020 (mobile) and 2022 (mobile), as their archives hold them.

`meta.csv` lists the clips, `evaluation_setup/fold1_*.csv` the only fold.
"""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from lambdascape.core.declarations import adapter
from lambdascape.core.errors import InputError
from lambdascape.datasets.candidates import CANDIDATE, Reject, inner_paths, read_csv, shown, unlisted
from lambdascape.datasets.index import TAU_META

TESTED, TRAINED = "fold1", "training"  # names of the two folds: what the official fold 1 tests, and trains on
# The 2022 set cuts the segments of 2020 into pieces of 1 s, which the name numbers.
NAME = re.compile(r"(?P<moment>[^-]+-[^-]+-[0-9]+-[0-9]+(-[0-9]+)?)-[^-]+\.wav")


@adapter(
    "tau2019",
    archives=["TAU-urban-acoustic-scenes-2019-development"],
    index=["meta.csv"],
    lists="evaluation_setup/fold1_*.csv",
)
@adapter(
    "tau2020",
    archives=["TAU-urban-acoustic-scenes-2020-mobile-development"],
    index=["meta.csv"],
    lists="evaluation_setup/fold1_*.csv",
)
@adapter(
    "tau2022",
    archives=["TAU-urban-acoustic-scenes-2022-mobile-development"],
    index=["meta.csv"],
    lists="evaluation_setup/fold1_*.csv",
)
def read(base: Path) -> tuple[pd.DataFrame, list[Reject]]:
    """The clips that the data set offers.

    A session is one recording location (`identifier`: city and number). A node is a device (`source_label`);
    clips whose names differ in it alone recorded, or simulate, the same moment. The official split is one of
    locations and leaves some clips out. Such a clip may come from a location that is tested, so that it must not
    train either: it becomes a rejected row.

    Args:
        base: the folder that holds `meta.csv`.

    Returns:
        A table with the columns `CANDIDATE`: the folds are `fold1`, its test part, and `training`. And rejected
        rows: of names without scene, city, location, segment and device, of clips that fold 1 leaves out, and of
        audio files that `meta.csv` does not list.

    Raises:
        InputError: a list is absent or malformed; fold 1 names clips that `meta.csv` does not, tests what it
            trains on, or gives another label.
    """
    rows = read_csv(base / TAU_META, ["filename", "scene_label", "identifier", "source_label"], "\t")
    paths = inner_paths((row["filename"] for row in rows), str(base / TAU_META))
    clips = pd.DataFrame(
        {
            "path": paths,
            "label": [row["scene_label"] for row in rows],
            "session": [row["identifier"] for row in rows],
            "node": [row["source_label"] for row in rows],
            "moment": [match["moment"] if (match := NAME.fullmatch(PurePosixPath(p).name)) else "" for p in paths],
        },
        dtype=str,
    )
    folds = _folds(base / "evaluation_setup", dict(zip(clips["path"], clips["label"], strict=True)))
    clips["fold"] = [folds.get(path, "") for path in paths]
    rejects = [*_rejects(clips), *unlisted(base, clips["path"], TAU_META)]
    used = (clips["moment"] != "") & (clips["fold"] != "")
    return clips.loc[used, list(CANDIDATE)].reset_index(drop=True), rejects


def _folds(setup: Path, labels: dict[str, str]) -> dict[str, str]:
    """Fold of each clip that fold 1 tests or trains on, from its three lists, checked against each other."""
    tested, trained = _listed(setup / "fold1_test.csv", labels), _listed(setup / "fold1_train.csv", labels)
    both = sorted(tested & trained)
    if both:
        raise InputError(f"{setup}: fold1 must not train on clips that it tests; it shares {len(both)}, {both[0]}")
    odd = sorted(_listed(setup / "fold1_evaluate.csv", labels) ^ tested)
    if odd:
        raise InputError(
            f"{setup}/fold1_evaluate.csv: must list the clips of fold1_test.csv; they differ in {len(odd)}, the "
            f"first is {odd[0]}"
        )
    return dict.fromkeys(sorted(tested), TESTED) | dict.fromkeys(sorted(trained), TRAINED)


def _listed(file: Path, labels: dict[str, str]) -> set[str]:
    """The clips of one list; those that come with a label must have that of `meta.csv`."""
    rows = read_csv(file, ["filename"], "\t")
    for path, row in zip(inner_paths((row["filename"] for row in rows), str(file)), rows, strict=True):
        if path not in labels:
            raise InputError(f"{file}: must list clips of {TAU_META}; {shown(path)!r} is not in it")
        label = row.get("scene_label", labels[path])
        if label != labels[path]:
            raise InputError(
                f"{file}: scene_label must be that of {TAU_META}, {labels[path]!r} for {path}; got {shown(label)!r}"
            )
    return {str(PurePosixPath(row["filename"])) for row in rows}


def _rejects(clips: pd.DataFrame) -> list[Reject]:
    """A rejected row for each misnamed clip, and for each that fold 1 leaves out."""
    expected = "<scene>-<city>-<location>-<segment>[-<piece>]-<device>.wav"
    misnamed = clips.loc[clips["moment"] == "", "path"]
    left_out = clips.loc[(clips["moment"] != "") & (clips["fold"] == ""), "path"]
    return [
        *(Reject(path, "the name must give its moment", PurePosixPath(path).name, expected) for path in misnamed),
        *(
            Reject(path, "the official fold must use the clip", "in neither part", "in its training or test list")
            for path in left_out
        ),
    ]
