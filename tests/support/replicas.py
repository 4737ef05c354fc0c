"""Small replicas of published data sets in their real layouts, with short noise for audio."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

# What the workflow says of every data set here; a replica may hold as many bad clips as a test likes.
TOLERANT = {"channels": "mean", "on_bad_clip": "reject", "max_rejected_fraction": 1, "plugins": []}


class Clip(NamedTuple):
    """One clip in words that every layout can write: `number` counts within the session, folds are 1, 2, …"""

    session: int
    number: int
    label: str
    fold: int
    node: str = "1"


def clips(sessions: Sequence[tuple[str, int]] = (), count: int = 2, nodes: Sequence[str] = ("1",)) -> list[Clip]:
    """So many clips on each node for every session, which is given as its label and fold."""
    chosen = sessions or [("dog", 1), ("rain", 1), ("dog", 2), ("rain", 2)]
    return [
        Clip(session, number, label, fold, node)
        for session, (label, fold) in enumerate(chosen, start=10)
        for number in range(count)
        for node in nodes
    ]


def sound(path: Path, seed: int, rate: int = 8000, channels: int = 1) -> None:
    """A short file of noise that no other seed makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng([21, seed]).uniform(-0.5, 0.5, (40, channels)), rate)


def table(path: Path, rows: Iterable[Sequence[object]], separator: str = "\t", end: str = "") -> None:
    """A list as the data sets have it: most of theirs lack the last line's end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows) + end)


def dcase_development(root: Path, listed: list[Clip]) -> None:
    names = {clip: f"audio/DevNode{clip.node}_ex{clip.session}_{clip.number}.wav" for clip in listed}
    table(root / "meta.txt", [(names[clip], clip.label, f"s{clip.session}") for clip in listed])
    for fold in sorted({clip.fold for clip in listed}):
        tested = [clip for clip in listed if clip.fold == fold]
        trained = [clip for clip in listed if clip.fold != fold]
        setup = root / "evaluation_setup"
        table(setup / f"fold{fold}_train.txt", [(names[c], c.label, f"s{c.session}") for c in trained])
        table(setup / f"fold{fold}_test.txt", [(names[c], "") for c in tested])  # a trailing tab, as in the real set
        table(setup / f"fold{fold}_evaluate.txt", [(names[c], c.label) for c in tested])
    for seed, name in enumerate(names.values()):
        sound(root / name, seed)


def dcase_evaluation(root: Path, listed: list[Clip]) -> None:
    """Numbered files in an order of their own; the map gives what each was called."""
    setup, order = root / "evaluation_setup", listed[::-1]
    names = {clip: f"audio/{number}.wav" for number, clip in enumerate(order, start=1)}
    table(setup / "map.txt", [(f"audio/EvalNode{c.node}_ex{c.session}_{c.number}.wav", names[c]) for c in order])
    table(setup / "test.txt", [(names[clip],) for clip in order])
    table(setup / "evaluate.txt", [(names[clip], clip.label, f"s{clip.session}") for clip in order])
    for seed, name in enumerate(names.values()):
        sound(root / name, seed)


def tau(root: Path, listed: list[Clip], pieces: bool = False) -> None:
    """Fold 1 is tested, all others train; `pieces` as in 2022: a segment of 10 s in files of 1 s."""
    piece = "-0" if pieces else ""
    names = {
        clip: f"audio/{clip.label}-lyon-{clip.session}-{clip.session}{clip.number:03}{piece}-{clip.node}.wav"
        for clip in listed
    }
    header = ("filename", "scene_label", "identifier", "source_label")
    rows = [(names[clip], clip.label, f"lyon-{clip.session}", clip.node) for clip in listed]
    table(root / "meta.csv", [header, *rows], end="\n")
    tested = [clip for clip in listed if clip.fold == 1]
    trained = [clip for clip in listed if clip.fold != 1]
    setup = root / "evaluation_setup"
    table(setup / "fold1_train.csv", [header[:2], *((names[clip], clip.label) for clip in trained)])
    table(setup / "fold1_test.csv", [header[:1], *((names[clip],) for clip in tested)], end="\n")
    table(setup / "fold1_evaluate.csv", [header[:2], *((names[clip], clip.label) for clip in tested)], end="\n")
    for seed, name in enumerate(names.values()):
        sound(root / name, seed)


def tau_pieces(root: Path, listed: list[Clip]) -> None:
    tau(root, listed, pieces=True)


def esc50(root: Path, listed: list[Clip]) -> None:
    """Clips of one recording are its takes A, B, …"""
    rows: list[Sequence[object]] = [("filename", "fold", "target", "category", "esc10", "src_file", "take")]
    targets = sorted({clip.label for clip in listed})
    for seed, clip in enumerate(listed):
        take, target = chr(ord("A") + clip.number), targets.index(clip.label)
        name = f"{clip.fold}-{clip.session}-{take}-{target}.wav"
        rows.append((name, clip.fold, target, clip.label, "True", clip.session, take))
        sound(root / "audio" / name, seed)
    table(root / "meta/esc50.csv", rows, ",", end="\n")


def urbansound8k(root: Path, listed: list[Clip]) -> None:
    header = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
    rows: list[Sequence[object]] = [header]
    classes = sorted({clip.label for clip in listed})
    for seed, clip in enumerate(listed):
        number = classes.index(clip.label)
        name = f"{clip.session}-{number}-0-{clip.number}.wav"
        rows.append((name, clip.session, clip.number / 2, clip.number / 2 + 4, 1, clip.fold, number, clip.label))
        sound(root / "audio" / f"fold{clip.fold}" / name, seed, rate=(8000, 44100)[seed % 2])
    table(root / "metadata/UrbanSound8K.csv", rows, ",", end="\n")


def folder(root: Path, listed: list[Clip]) -> None:
    rows = [(f"{c.session}_{c.number}_{c.node}.wav", c.label, c.session, c.fold) for c in listed]
    table(root / "clips.csv", [("path", "label", "session", "fold"), *rows], ",")
    for seed, row in enumerate(rows):
        sound(root / str(row[0]), seed)


class Replica(NamedTuple):
    """How a layout is made, which adapter reads it, and the folder that its archives make."""

    adapter: str
    build: Callable[[Path, list[Clip]], None]
    archive: str = ""


REPLICAS = {
    "demo": Replica("demo", dcase_development),
    "dcase development": Replica("dcase2018_task5", dcase_development, "DCASE2018-task5-dev"),
    "dcase evaluation": Replica("dcase2018_task5", dcase_evaluation, "DCASE2018-task5-eval"),
    "tau 2019": Replica("tau2019", tau, "TAU-urban-acoustic-scenes-2019-development"),
    "tau 2020": Replica("tau2020", tau, "TAU-urban-acoustic-scenes-2020-mobile-development"),
    "tau 2022": Replica("tau2022", tau_pieces, "TAU-urban-acoustic-scenes-2022-mobile-development"),
    "esc50": Replica("esc50", esc50, "ESC-50-33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"),
    "urbansound8k": Replica("urbansound8k", urbansound8k, "UrbanSound8K"),
    "folder": Replica("folder", folder),
}
