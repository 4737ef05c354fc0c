"""The leakage checklist says what the manifest, the settings and the receipts show, and never more."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from lambdascape.config.settings import Config
from lambdascape.core.files import write_text
from lambdascape.jobs.receipts import write_receipt
from lambdascape.report.leakage import Check, Facts, checklist
from support.studies import FakeStudy

CONFIG: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


class Run:
    """A finished run in which nothing leaks, to be changed in one place."""

    def __init__(self, folder: Path) -> None:
        study = FakeStudy(folder)
        self.clips = study._clips()
        self.config = copy.deepcopy(CONFIG)
        self.spaces = {space["run"]: space["kind"] for space in study.spaces}
        scores, choices = study.frame("scores"), (("converged", "c"), ("knn", "k"))
        chosen = [
            (run, probe, "validation", "clip", name, "", 1.0, None, None)
            for run in self.spaces
            for probe, name in choices
        ]
        self.scores = pd.concat([scores, pd.DataFrame(chosen, columns=scores.columns)])
        self.receipts = folder / "receipts"
        for run, kind in self.spaces.items():
            for probe in ("by_epoch", "converged", "knn", "few_shot"):
                self.told(f"probes/{run}/{probe}", "fold1")
            if kind == "trained":
                self.told(f"models/{run}", "fold1")
            if kind == "untrained":
                self.told(f"embeddings/{run}", "fold1")

    def told(self, job: str, fold: str) -> None:
        write_receipt(self.receipts / f"{job}.json", [], params={"test_fold": fold})

    def checks(self) -> dict[str, Check]:
        facts = Facts(self.clips, Config.of(self.config), self.scores, self.spaces, self.receipts)
        return {check.number: check for check in checklist(facts)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_run_in_which_nothing_leaks(run: Run) -> None:
    # The fake sessions hold two moments each, one in either fold: mend that first.
    run.clips["session"] = run.clips["fold"] + "_" + (run.clips.groupby("fold").cumcount() // 4).astype(str)
    found = run.checks()
    assert list(found) == ["L1.1", "L1.2", "L1.3", "L1.4", "L2", "L3.1", "L3.2", "L3.3"]
    statuses = {number: check.status for number, check in found.items()}
    expected = dict.fromkeys(found, "verified") | {"L3.1": "not applicable", "L3.3": "not verified"}
    assert statuses == expected
    assert "24 of 48 clips are held out (fold1); the receipts of all 6 trainings" in found["L1.1"].words
    assert "all 36 fits of probes (by_epoch, converged, knn, few_shot)" in found["L1.2"].words
    assert "in all 9 spaces" in found["L1.3"].words
    assert "but the trained networks were trained on their audio" in found["L1.3"].words
    assert "48 files were compared" in found["L1.4"].words
    assert "6 sessions are held out, 6 are not, and none is on both sides. 2 recording devices" in found["L3.2"].words
    assert "All 3 classes are on both sides" in found["L3.3"].words


def told(job: str, fold: str = "fold2") -> Callable[[Run], Any]:
    return lambda run: run.told(job, fold)


def untold(run: Run) -> None:
    run.told("models/l2~0.1_seed~2", "fold2")
    (run.receipts / "models/l2~1.0_seed~1.json").unlink()


def copied(run: Run) -> None:
    run.clips["content"] = run.clips.groupby("fold")["content"].transform("first")


def copied_across(run: Run) -> None:
    copied(run)
    run.clips.loc[run.clips["clip"].isin(["n1_c0", "n2_c1"]), "content"] = "same"


def one_label(run: Run) -> None:
    run.clips.loc[run.clips["fold"] == "fold1", "label"] = "cooking"


def no_choice(run: Run) -> None:
    run.scores = run.scores[(run.scores["measure"] != "c") | (run.scores["run"] != "mean_logmel")]


VIOLATED, OPEN = "violated", "not verified"
# Number of the check, what leaks or is unknown, and what the check says of it. In the fake clips as they are, each
# session is in both folds.
CHANGES: list[tuple[str, Callable[[Run], Any], str, str]] = [
    ("L1.1", untold, OPEN, "^No receipt says that these were trained without fold1: l2~1.0_seed~1, l2~0.1_seed~2.$"),
    ("L1.1", lambda run: run.config["split"].update(test_fold="fold9"), VIOLATED, "^Of 48 clips 0 are held out.$"),
    ("L1.2", told("probes/mean_logmel/knn"), OPEN, r"fitted without fold1: mean_logmel \(knn\).$"),
    ("L1.2", told("embeddings/untrained_seed~2"), OPEN,
        "the batch statistics of these spaces leave out fold1: untrained_seed~2"),
    ("L1.2", lambda run: run.config["features"].update(normalise="mean"), OPEN, "normalise"),
    ("L1.3", no_choice, OPEN, "mean_logmel"),
    ("L1.4", copied, "verified", "46 are copies on one side"),
    ("L1.4", copied_across, VIOLATED, "^Held-out clips have the bytes of others: n1_c0.wav, n2_c1.wav.$"),
    ("L2", lambda run: run.config["network"].update(input="logmel_and_time"), OPEN, ""),
    ("L3.1", lambda run: None, VIOLATED, ""),
    ("L3.1", lambda run: run.clips.__setitem__("session", run.clips["moment"]), OPEN, ""),
    ("L3.2", lambda run: run.clips.__setitem__("session", run.clips["moment"]), OPEN, ""),
    ("L3.2", lambda run: None, VIOLATED, "^On both sides: session s0, s1, s10, s11, s2 and 7 more.$"),
    ("L3.2", lambda run: run.clips.update({"session": run.clips["clip"], "moment": "c0"}), VIOLATED,
        "^On both sides: moment c0.$"),
    ("L3.3", one_label, VIOLATED, r"cost of \$5 & \$6"),
]  # fmt: skip


@pytest.mark.finding("A1")
@pytest.mark.parametrize(("number", "change", "status", "words"), CHANGES)
def test_what_leaks_or_is_unknown(run: Run, number: str, change: Callable[[Run], Any], status: str, words: str) -> None:
    change(run)
    check = run.checks()[number]
    assert check.status == status
    assert re.search(words, check.words)


def test_without_labels_what_needs_them_is_not_claimed(run: Run) -> None:
    run.clips["label"], run.scores = "", run.scores.head(0)
    found = run.checks()
    assert found["L1.3"].status == "not applicable"
    assert found["L3.3"].status == "not verified"
    assert "probe" not in found["L1.2"].words


def test_a_broken_receipt_is_named(run: Run) -> None:
    write_text("{", run.receipts / "models/l2~1.0_seed~1.json")
    with pytest.raises(Exception, match=r"l2~1\.0_seed~1\.json: must be a receipt"):
        run.checks()
