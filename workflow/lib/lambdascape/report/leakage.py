"""The leakage checklist: the eight kinds of Kapoor & Narayanan, each with what this run shows about it.

Source: Kapoor & Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science, Patterns
4(9), 100804, table 1. Nothing here is taken for granted: sessions and copies are compared again in the manifest, and
what the jobs were told stands in their receipts.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd

from lambdascape.config.settings import Config
from lambdascape.core.declarations import declared
from lambdascape.jobs.receipts import read_receipt
from lambdascape.study.catalogue import RECOMPUTED

Status = Literal["verified", "violated", "not verified", "not applicable"]
# Settings of the features that use one clip only; a setting that is not listed may be fitted to many.
PER_CLIP = {
    "sr",
    "n_fft",
    "win_length",
    "hop_length",
    "n_mels",
    "fmin",
    "fmax",
    "htk",
    "filterbank",
    "log_offset",
    "n_shards",
}
FRAMES_ONLY = {"logmel": "log-mel frames", "mfcc": "MFCCs, made of the log-mel frames of its tile"}


@dataclass(frozen=True)
class Check:
    """One kind of leakage: its number in the source, what it is, the status, and what the status rests on."""

    number: str
    kind: str
    status: Status
    words: str


@dataclass(frozen=True)
class Facts:
    """What the checks use.

    Attributes:
        clips: the manifest, every column as text.
        config: the whole config.
        scores: scores.tsv.
        spaces: trained run and baseline to its kind.
        receipts: folder of the study's receipts.
    """

    clips: pd.DataFrame
    config: Config
    scores: pd.DataFrame
    spaces: dict[str, str]
    receipts: Path

    @property
    def fold(self) -> str:
        """The fold held out."""
        return str(self.config.split.test_fold)

    @cached_property
    def held_out(self) -> "pd.Series[bool]":
        """For each clip whether it is held out."""
        return self.clips["fold"] == self.fold

    @property
    def labelled(self) -> bool:
        """Whether any clip has a label."""
        return bool((self.clips["label"] != "").any())

    @property
    def sessions_known(self) -> bool:
        """Whether some session has several moments; otherwise sessions may be unknown, one for each clip."""
        return bool((self.clips.groupby("session")["moment"].nunique() > 1).any())

    def on_both_sides(self, column: str) -> list[str]:
        """Values of a column that held-out clips and the others share."""
        inside, outside = self.clips.loc[self.held_out, column], self.clips.loc[~self.held_out, column]
        return sorted((set(inside) & set(outside)) - {""})

    @cached_property
    def models(self) -> tuple[int, list[str]]:
        """How many trainings left receipts, and the runs whose receipt is missing or names another fold."""
        runs = [run for run, kind in self.spaces.items() if kind == "trained"]
        return self._told([(run, self.receipts / "models" / f"{run}.json") for run in runs])

    @cached_property
    def statistics(self) -> tuple[int, list[str]]:
        """The same of the spaces whose batch statistics were computed after the training, or without one."""
        spaces = [space for space, kind in self.spaces.items() if kind in ("untrained", RECOMPUTED)]
        return self._told([(space, self.receipts / "embeddings" / f"{space}.json") for space in spaces])

    @property
    def probes(self) -> list[str]:
        """Names of the probes that were fitted on the training split of every space."""
        return [name for name, options in self.config.probes.plain().items() if options is not None]

    @cached_property
    def fits(self) -> tuple[int, list[str]]:
        """The same of the probes."""
        jobs = [(space, name) for space in self.spaces for name in self.probes]
        folder = self.receipts / "probes"
        return self._told([(f"{space} ({name})", folder / space / f"{name}.json") for space, name in jobs])

    def _told(self, jobs: list[tuple[str, Path]]) -> tuple[int, list[str]]:
        found = [(name, read_receipt(path).params.get("test_fold")) for name, path in jobs if path.is_file()]
        missing = sorted({name for name, _ in jobs} - {name for name, _ in found})
        return len(found), [*missing, *(name for name, fold in found if fold != self.fold)]


def checklist(facts: Facts) -> list[Check]:
    """Fill in the eight kinds.

    Args:
        facts: of this run.

    Raises:
        InputError: a receipt cannot be read.
    """
    return [
        Check("L1.1", "No test set", *_test_set(facts)),
        Check("L1.2", "Preprocessing on training and test set", *_preprocessing(facts)),
        Check("L1.3", "Selection of features on training and test set", *_selection(facts)),
        Check("L1.4", "Duplicates", *_duplicates(facts)),
        Check("L2", "Features that are not legitimate", *_features(facts)),
        Check("L3.1", "Temporal leakage", *_time(facts)),
        Check("L3.2", "Training and test samples are not independent", *_independence(facts)),
        Check("L3.3", "Sampling bias in the test distribution", *_sampling(facts)),
    ]


def _test_set(facts: Facts) -> tuple[Status, str]:
    held_out, trained_on = int(facts.held_out.sum()), int((~facts.held_out).sum())
    if not held_out or not trained_on:
        return "violated", f"Of {len(facts.clips)} clips {held_out} are held out."
    count, odd = facts.models
    if odd:
        return "not verified", f"No receipt says that these were trained without {facts.fold}: {_named(odd)}."
    others = " Scores on other folds are of networks that were trained on their audio; the report marks them."
    return "verified", (
        f"{held_out} of {len(facts.clips)} clips are held out ({facts.fold}); the receipts of all {count} trainings "
        f"name that fold as the one left out.{others if facts.config.split.probe_folds == 'all' else ''}"
    )


def _preprocessing(facts: Facts) -> tuple[Status, str]:
    fitted = sorted(set(facts.config.features.plain()) - PER_CLIP)
    if fitted:
        return (
            "not verified",
            f"Whether these settings of the features use one clip only is unknown: {_named(fitted)}.",
        )
    frames = "No setting of the features is fitted to data: a clip's frames come from that clip alone."
    spaces, odd = facts.statistics
    if odd:
        why = f"No receipt says that the batch statistics of these spaces leave out {facts.fold}: {_named(odd)}."
        return "not verified", f"{frames} {why}"
    frames += (
        f" Batch statistics are those of training tiles, say the receipts of the trainings and of {spaces} spaces."
    )
    if not facts.labelled:
        return "verified", frames
    count, odd = facts.fits
    if odd:
        return (
            "not verified",
            f"{frames} No receipt says that these probes were fitted without {facts.fold}: {_named(odd)}.",
        )
    return "verified", (
        f"{frames} The receipts of all {count} fits of probes ({', '.join(facts.probes)}) name {facts.fold} as left "
        "out of the fit, and so of their standardisation; that the code does so is tested, but not measured here."
    )


def _selection(facts: Facts) -> tuple[Status, str]:
    if not facts.labelled:
        return "not applicable", "No feature is selected, and without labels nothing is fitted to the test set."
    chosen = facts.scores[facts.scores["split"] == "validation"]
    known = declared("probe", facts.config.plugins)
    choices = {name: one.options["chooses"] for name, one in known.items() if one.options["chooses"]}
    odd = [
        f"{measure} in {space} ({probe})"
        for probe, measure in choices.items()
        if probe in facts.probes
        for space in facts.spaces
        if not ((chosen["run"] == space) & (chosen["probe"] == probe) & (chosen["measure"] == measure)).any()
    ]
    if odd:
        return "not verified", f"No choice on validation sessions is recorded of {_named(odd)}."
    named = ", ".join(f"{measure} of {probe}" for probe, measure in choices.items() if probe in facts.probes)
    return "verified", (
        f"No feature is selected. What the probes choose ({named}) was chosen on validation sessions of the training "
        f"split in all {len(facts.spaces)} spaces, and so was the arm. Their labels were unseen there, but the trained "
        "networks were trained on their audio."
    )


def _duplicates(facts: Facts) -> tuple[Status, str]:
    both = facts.on_both_sides("content")
    files = facts.clips.drop_duplicates("path")
    if both:
        paths = facts.clips.loc[facts.clips["content"].isin(both), "path"]
        return "violated", f"Held-out clips have the bytes of others: {_named(sorted(set(paths)))}."
    copies = int(files["content"].duplicated().sum())
    return "verified", (
        f"{len(files)} files were compared by size and bytes, long ones by 48 KiB of them: none is on both sides, "
        f"{copies} are copies on one side. The same sound in another encoding would not be found."
    )


def _features(facts: Facts) -> tuple[Status, str]:
    inputs = facts.config.network.input
    if inputs not in FRAMES_ONLY:
        return "not verified", f"Whether the network's input ({inputs}) contains more than sound is unknown."
    return "verified", (
        f"The network sees {FRAMES_ONLY[inputs]}, the probe sees the embedding; neither sees a label, a session, a "
        "node or a time. No check can decide whether the sound itself reveals the class by something else, such as "
        "the room."
    )


def _time(facts: Facts) -> tuple[Status, str]:
    if not facts.sessions_known:
        return "not verified", "No session of several clips is known, so that neighbours in time may be on both sides."
    if facts.on_both_sides("session"):
        return "violated", "A session is on both sides, and with it clips that are near in time."
    return "not applicable", (
        "Nothing is forecast, and the data carry no date. Clips near in time share a session; none is on both sides."
    )


def _independence(facts: Facts) -> tuple[Status, str]:
    for column in ("session", "moment"):
        both = facts.on_both_sides(column)
        if both:
            return "violated", f"On both sides: {column} {_named(both)}."
    if not facts.sessions_known:
        return "not verified", "Every clip counts as a session of its own, since none is known."
    inside = facts.clips.loc[facts.held_out, "session"].nunique()
    outside = facts.clips["session"].nunique() - inside
    nodes = facts.on_both_sides("node")
    recorders = f" {len(nodes)} recording devices are on both sides." if nodes else ""
    return "verified", (f"{inside} sessions are held out, {outside} are not, and none is on both sides.{recorders}")


def _sampling(facts: Facts) -> tuple[Status, str]:
    if not facts.labelled:
        return "not verified", "Without labels the contents of the held-out clips are unknown."
    clips = facts.clips[facts.clips["label"] != ""].drop_duplicates("moment")
    shares = pd.crosstab(clips["label"], clips["fold"] == facts.fold, normalize="columns")
    shares = shares.reindex(columns=[False, True], fill_value=0.0)
    lacking = sorted(shares.index[(shares[True] == 0) | (shares[False] == 0)])
    if lacking:
        return "violated", f"Classes that are on one side only: {_named(lacking)}."
    apart = (shares[True] - shares[False]).abs()
    return "not verified", (
        f"All {len(shares)} classes are on both sides; the share that differs most is that of {apart.idxmax()}, by "
        f"{100 * apart.max():.1f} % of the clips. These data cannot show whether the held-out sessions "
        "represent future ones."
    )


def _named(names: list[str]) -> str:
    """The first few of a list."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
