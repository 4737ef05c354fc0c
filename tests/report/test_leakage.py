"""The leakage checklist says what the manifest, the settings and the receipts show, and never more."""

import copy
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


def as_row(choice: tuple[str, str]) -> tuple[str, ...]:
    """Probe, split, unit, measure and class of a row that tells what was chosen."""
    return (choice[0], "validation", "clip", choice[1], "")


class Run:
    """A finished run in which nothing leaks, to be changed in one place."""

    def __init__(self, folder: Path) -> None:
        study = FakeStudy(folder)
        self.clips = study._clips()
        self.config = copy.deepcopy(CONFIG)
        self.spaces = {space["run"]: space["kind"] for space in study.spaces}
        choices = (("converged", "c"), ("knn", "k"))
        chosen = [(run, *choice, 1.0, None, None) for run in self.spaces for choice in map(as_row, choices)]
        self.scores = pd.concat([study.frame("scores"), pd.DataFrame(chosen, columns=study.frame("scores").columns)])
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


@pytest.mark.finding("A1")
def test_batch_statistics_that_may_know_the_held_out_fold_are_not_verified(run: Run) -> None:
    run.told("embeddings/untrained_seed~2", "fold2")
    found = run.checks()["L1.2"]
    assert found.status == "not verified"
    assert "the batch statistics of these spaces leave out fold1: untrained_seed~2" in found.words


def test_a_shared_session_is_a_violation_and_named(run: Run) -> None:
    found = run.checks()  # of the fake clips, each session is in both folds
    assert found["L3.2"].status == found["L3.1"].status == "violated"
    assert found["L3.2"].words == "On both sides: session s0, s1, s10, s11, s2 and 7 more."


def test_clips_without_known_sessions_cannot_be_verified(run: Run) -> None:
    run.clips["session"] = run.clips["moment"]
    assert {run.checks()[number].status for number in ("L3.1", "L3.2")} == {"not verified"}


def test_a_shared_moment_is_a_violation(run: Run) -> None:
    run.clips["session"] = run.clips["clip"]
    run.clips["moment"] = "c0"
    assert run.checks()["L3.2"].words == "On both sides: moment c0."


def test_copies_on_both_sides_are_a_violation_and_on_one_side_a_number(run: Run) -> None:
    first = run.clips.groupby("fold")["content"].transform("first")
    run.clips["content"] = first
    check = run.checks()["L1.4"]
    assert check.status == "verified"
    assert "46 are copies on one side" in check.words
    run.clips.loc[run.clips["clip"].isin(["n1_c0", "n2_c1"]), "content"] = "same"
    check = run.checks()["L1.4"]
    assert check.status == "violated"
    assert check.words == "Held-out clips have the bytes of others: n1_c0.wav, n2_c1.wav."


def test_trainings_without_receipt_or_with_another_fold_are_not_verified(run: Run) -> None:
    run.told("models/l2~0.1_seed~2", "fold2")
    (run.receipts / "models/l2~1.0_seed~1.json").unlink()
    check = run.checks()["L1.1"]
    assert check.status == "not verified"
    assert check.words == "No receipt says that these were trained without fold1: l2~1.0_seed~1, l2~0.1_seed~2."


def test_probes_with_another_fold_are_not_verified(run: Run) -> None:
    run.told("probes/mean_logmel/knn", "fold2")
    check = run.checks()["L1.2"]
    assert check.status == "not verified"
    assert check.words.endswith("fitted without fold1: mean_logmel (knn).")


def test_a_new_setting_of_the_features_is_not_trusted(run: Run) -> None:
    run.config["features"]["normalise"] = "mean"
    assert run.checks()["L1.2"].status == "not verified"
    assert "normalise" in run.checks()["L1.2"].words


def test_a_penalty_that_was_chosen_elsewhere_is_not_verified(run: Run) -> None:
    run.scores = run.scores[(run.scores["measure"] != "c") | (run.scores["run"] != "mean_logmel")]
    check = run.checks()["L1.3"]
    assert check.status == "not verified"
    assert "mean_logmel" in check.words


def test_an_unknown_input_of_the_network_is_not_verified(run: Run) -> None:
    run.config["network"]["input"] = "logmel_and_time"
    assert run.checks()["L2"].status == "not verified"


def test_nothing_held_out_is_a_violation(run: Run) -> None:
    run.config["split"]["test_fold"] = "fold9"
    assert run.checks()["L1.1"].words == "Of 48 clips 0 are held out."
    assert run.checks()["L1.1"].status == "violated"


def test_a_class_on_one_side_only_is_a_violation(run: Run) -> None:
    run.clips.loc[run.clips["fold"] == "fold1", "label"] = "cooking"
    check = run.checks()["L3.3"]
    assert check.status == "violated"
    assert "cost of $5 & $6" in check.words


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
