import numpy as np
import pandas as pd
import pytest

from lambdascape.claims import CLAIMS, judge_claims
from lambdascape.errors import InputError
from lambdascape.files import read_table, read_text_table, write_table

GRID = (1.0, 0.1, 0.01)
EPOCHS = np.arange(1, 21)
SCORES = ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"]
JITTER = {1: -0.001, 2: 0.0, 3: 0.001}  # what the seed adds to every value


def falling(last, rate=0.05):
    """A curve over 20 epochs that ends at `last`, still falling when the rate is small."""
    return last * (1 + 0.5 * (np.exp(-rate * EPOCHS) - np.exp(-rate * EPOCHS[-1])))


class Study:
    """Tables of a study in which all claims hold but that of little difference and of an inner optimum."""

    def __init__(self, grid=GRID, seeds=(1, 2)):
        order = range(len(grid))
        self.names = {(l2, seed): f"l2~{l2:g}_seed~{seed}" for l2 in grid for seed in seeds}
        self.hyper = {run: {"kind": "trained", "seed": s, "l2": l2} for (l2, s), run in self.names.items()}
        self.loss = {l2: falling(0.3 - 0.05 * place) for place, l2 in enumerate(grid)}
        self.f1 = {l2: np.linspace(0.3, 0.5 + 0.05 * place, 20) for place, l2 in enumerate(grid)}
        self.entropy = {l2: falling(1.5, rate=0.05 if place else 0.9) for place, l2 in zip(order, grid, strict=True)}
        self.jitter = JITTER
        self.f1_jitter = -1  # the seed with the lower loss has the better probe

    def judge(self, folder, labelled=True):
        runs = pd.DataFrame([{"run": run, **values} for run, values in self.hyper.items()])
        runs.loc[len(runs)] = {"run": "mean_logmel", "kind": "mean_logmel"}
        training, probes, scores = [], [], []
        for (l2, seed), run in self.names.items():
            extra = self.jitter[seed]
            for e, value in enumerate(self.loss[l2], start=1):
                training += [(run, e, split, "triplet_loss", value + extra) for split in ("train", "test")]
                training.append((run, e, "train", "penalty", 99.0))
            curves = {
                "macro_f1": self.f1[l2] + self.f1_jitter * extra,
                "cross_entropy": self.entropy[l2] + extra,
            }
            for measure, curve in curves.items():
                probes += [(run, e, "test", measure, value) for e, value in enumerate(curve, start=1)]
                probes += [(run, e, "train", measure, 0.5) for e in range(1, len(curve) + 1)]
            for unit in ("tile", "clip"):
                score = self.f1[l2][-1] + 0.2
                scores += [(run, "converged", "test", unit, "macro_f1", "", score, None, None)]
        if not labelled:
            probes, scores = [], []
        columns = ["run", "epoch", "split", "measure", "value"]
        tables = {
            "runs": runs,
            "training": pd.DataFrame(training, columns=columns),
            "probe_epochs": pd.DataFrame(probes, columns=columns),
            "scores": pd.DataFrame(scores, columns=SCORES),
        }
        for name, table in tables.items():
            write_table(table, folder / f"{name}.tsv")
        judge_claims(*[folder / f"{name}.tsv" for name in tables], folder / "claims.tsv")
        ledger = read_table(folder / "claims.tsv", ("statement", "verdict", "evidence", "rule")).set_index("claim")
        assert ledger.index.tolist() == list(range(1, 11))
        assert set(ledger["verdict"]) <= {"holds", "does not hold", "undecided"}
        assert (ledger[["statement", "evidence", "rule"]] != "").all(axis=None)
        return ledger


@pytest.fixture
def study():
    return Study()


def reverse(curves):
    """Give the curve of the largest λ to the smallest and so on."""
    return dict(zip(curves, list(curves.values())[::-1], strict=True))


def test_verdicts_of_the_built_study(study, tmp_path):
    verdicts = study.judge(tmp_path)["verdict"].to_dict()
    against = {7: "does not hold", 10: "does not hold"}
    assert verdicts == dict.fromkeys(range(1, 11), "holds") | against


def test_every_comparison_fails_in_the_opposite_study(study, tmp_path):
    study.loss, study.entropy, study.f1_jitter = reverse(study.loss), reverse(study.entropy), 1
    verdicts = study.judge(tmp_path)["verdict"]
    assert {claim: verdicts[claim] for claim in (1, 2, 3, 5, 9)} == dict.fromkeys((1, 2, 3, 5, 9), "does not hold")
    study.f1 = reverse(study.f1)
    assert study.judge(tmp_path)["verdict"][4] == "does not hold"


def test_differences_within_the_noise_are_undecided(study, tmp_path):
    study.jitter = {1: -0.2, 2: 0.2}
    verdicts = study.judge(tmp_path)["verdict"]
    assert {claim: verdicts[claim] for claim in (1, 2, 3, 4, 7, 10)} == dict.fromkeys((1, 2, 3, 4, 7, 10), "undecided")


def test_one_seed_leaves_every_comparison_undecided_with_its_numbers(tmp_path):
    ledger = Study(seeds=(1,)).judge(tmp_path)
    assert set(ledger["verdict"]) == {"undecided"}
    assert "λ=1: 0.299, λ=0.1: 0.249, λ=0.01: 0.199" in ledger["evidence"][1]
    assert "one seed" in ledger["evidence"][1]
    assert "still falling at epoch 20" in ledger["evidence"][8]
    assert "there are 3" in ledger["evidence"][9]


def test_evidence_gives_means_and_ranges_of_both_splits_and_probes(study, tmp_path):
    ledger = study.judge(tmp_path)
    assert "last epoch, mean and range over 2 seeds: λ=1: 0.2995 (0.299 to 0.3)" in ledger["evidence"][1]
    assert "On held-out triplets: λ=1: 0.2995" in ledger["evidence"][1]
    assert "by-epoch probe, last epoch" in ledger["evidence"][4]
    assert "Converged probe, per clip: λ=1: 0.7 (0.7 to 0.7), λ=0.1: 0.75" in ledger["evidence"][4]
    assert "converged at epoch" in ledger["evidence"][5]
    assert "over 6 runs" in ledger["evidence"][9]


def test_statements_name_the_grid_at_hand(tmp_path):
    statements = Study(grid=(0.5, 0.02, 0.001, 0.0)).judge(tmp_path)["statement"]
    assert statements[1] == "The triplet loss is highest with λ=0.5."
    assert statements[3] == "The triplet loss is lowest with λ=0."
    assert statements[7] == "F1 and triplet loss differ very little between λ=0.001 and λ=0."


def test_a_middle_arm_within_the_noise_leaves_the_order_undecided(study, tmp_path):
    study.loss[0.1] = study.loss[0.01]
    verdicts = study.judge(tmp_path)["verdict"]
    assert {claim: verdicts[claim] for claim in (1, 2, 3)} == {1: "holds", 2: "undecided", 3: "undecided"}


def test_convergence_claims_when_every_curve_has_converged(study, tmp_path):
    study.entropy = {1.0: falling(1.5, 0.9), 0.1: falling(1.5, 0.6), 0.01: falling(1.5, 0.9)}
    study.loss[0.01] = falling(0.2, 0.9)
    verdicts = study.judge(tmp_path)["verdict"]
    assert {claim: verdicts[claim] for claim in (5, 6, 8)} == {
        5: "undecided",
        6: "does not hold",
        8: "does not hold",
    }


def test_curves_too_rough_to_tell_their_slope_are_undecided(study, tmp_path):
    noise = 0.1 * (-1.0) ** EPOCHS
    study.entropy[0.1] = study.entropy[0.1] + noise
    study.loss[0.01] = study.loss[0.01] + noise
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][6] == ledger["verdict"][8] == "undecided"
    assert "unclear at epoch 20" in ledger["evidence"][6]


def test_probe_curves_are_compared_over_the_epochs_they_share(study, tmp_path):
    study.entropy[1.0] = study.entropy[1.0][:12]
    assert "still falling at epoch 12" in study.judge(tmp_path)["evidence"][5]
    study.entropy[1.0] = study.entropy[1.0][:7]
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][5] == ledger["verdict"][6] == "undecided"
    assert "share 7 epochs" in ledger["evidence"][5]


def test_short_training_cannot_be_judged_on_its_end(study, tmp_path):
    study.loss = {l2: curve[:5] for l2, curve in study.loss.items()}
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][8] == "undecided"
    assert "5 epochs were trained" in ledger["evidence"][8]


def test_nearly_equal_arms_differ_little(study, tmp_path):
    study.f1[0.1], study.loss[0.1] = 1.01 * study.f1[0.01], 1.01 * study.loss[0.01]
    assert study.judge(tmp_path)["verdict"][7] == "holds"
    study.f1[0.1] = 1.2 * study.f1[0.01]
    assert study.judge(tmp_path)["verdict"][7] == "does not hold"


def test_an_optimum_inside_the_grid(study, tmp_path):
    study.f1[0.1] = np.linspace(0.3, 0.9, 20)
    assert study.judge(tmp_path)["verdict"][10] == "holds"
    study.f1[0.1] = study.f1[0.01]
    assert study.judge(tmp_path)["verdict"][10] == "undecided"


def test_loss_and_score_without_relation_are_undecided(tmp_path):
    study = Study(grid=(1.0, 0.3, 0.1, 0.03, 0.01), seeds=(1,))
    for l2, last in zip(study.f1, (0.5, 0.7, 0.4, 0.6, 0.55), strict=True):
        study.f1[l2] = np.linspace(0.3, last, 20)
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][9] == "undecided"
    assert "over 5 runs" in ledger["evidence"][9]


def test_a_loss_that_is_missing_leaves_its_claims_undecided(study, tmp_path):
    study.loss[0.01] = np.append(study.loss[0.01][:-1], np.nan)
    verdicts = study.judge(tmp_path)["verdict"]
    assert {claim: verdicts[claim] for claim in (2, 3, 8, 9)} == dict.fromkeys((2, 3, 8, 9), "undecided")


def test_without_labels_the_claims_on_the_probe_are_not_tested(study, tmp_path):
    ledger = study.judge(tmp_path, labelled=False)
    for claim in (4, 5, 6, 7, 9, 10):
        assert ledger["verdict"][claim] == "undecided"
        assert ledger["evidence"][claim].startswith("not tested: there are no probe scores")
    assert ledger["verdict"][[1, 2, 3, 8]].eq("holds").all()


def test_one_lambda_tests_nothing_about_lambda(tmp_path):
    ledger = Study(grid=(0.1,), seeds=(1, 2, 3)).judge(tmp_path)
    assert set(ledger["verdict"]) == {"undecided"}
    assert ledger["evidence"].str.startswith("not tested").all()
    assert "this study has 0.1" in ledger["evidence"][1]
    assert ledger["statement"][1] == "The triplet loss is highest with the largest λ."


def test_two_lambdas_have_no_inside(tmp_path):
    ledger = Study(grid=(1.0, 0.1)).judge(tmp_path)
    assert ledger["evidence"][10].startswith("not tested: the claim compares at least 3 values of λ")
    assert ledger["verdict"][1] == "holds"


def test_only_seeds_with_every_lambda_are_compared(tmp_path):
    study = Study(seeds=(1, 2, 3))
    del study.names[0.1, 3], study.hyper["l2~0.1_seed~3"]
    assert "over 2 seeds" in study.judge(tmp_path)["evidence"][1]
    for l2, seed in ((1.0, 2), (0.01, 1)):
        del study.names[l2, seed], study.hyper[f"l2~{l2:g}_seed~{seed}"]
    ledger = study.judge(tmp_path)
    assert ledger["evidence"][1].startswith("not tested: no seed was run with every λ")


def test_a_second_thing_that_varies_is_told_or_stops_the_comparison(study, tmp_path):
    for values in study.hyper.values():
        values["epochs"] = 30 if values["l2"] == 0.01 else 50
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][1] == "holds"
    assert ledger["evidence"][1].endswith("Not λ alone differs between the runs, but also epochs.")
    for (l2, seed), run in list(study.names.items()):
        study.hyper[run]["l2"] = 1.0 if l2 == 0.1 else l2
        assert study.hyper[run]["seed"] == seed
    assert "is about λ alone" in study.judge(tmp_path)["evidence"][1]


def test_losses_of_another_margin_are_not_correlated_with_scores(study, tmp_path):
    for values in study.hyper.values():
        values["margin"] = 0.5 if values["seed"] == 1 else 1.0
    assert "another margin" in study.judge(tmp_path)["evidence"][9]


def test_a_trained_run_without_a_history_is_refused(study, tmp_path):
    study.hyper["l2~0.01_seed~9"] = {"kind": "trained", "seed": 9, "l2": 0.01}
    with pytest.raises(InputError, match=r"l2~0\.01_seed~9 missing"):
        study.judge(tmp_path)


def test_the_ledger_is_plain_text(study, tmp_path):
    study.judge(tmp_path)
    ledger = read_text_table(tmp_path / "claims.tsv")
    assert ledger.columns.tolist() == ["claim", "statement", "verdict", "evidence", "rule"]
    assert ledger["rule"].tolist() == [claim.rule for claim in CLAIMS]
    assert not ledger["statement"].str.contains("[{}]").any()
