"""The ledger: every test on made-up runs with a known answer, and what it says where the runs cannot tell."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import t, ttest_rel

from lambdascape.claims.evidence import Evidence
from lambdascape.claims.form import Claim, MeasuredQuantity, read_claims
from lambdascape.claims.ledger import COLUMNS, TABLES, judge_claims
from lambdascape.claims.published import on_published_curves, published_evidence
from lambdascape.claims.verdicts import JUDGES, Question
from lambdascape.config.settings import Statistics
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.statistics.contrasts import Contrast, over_seeds
from lambdascape.statistics.metrics import macro_f1
from support.studies import with_identity

ROOT = Path(__file__).parents[2]
REGULARISATION = ROOT / "workflow/claims/regularisation.yaml"
MARGIN = ROOT / "workflow/claims/margin.yaml"
PUBLISHED_CURVES = ROOT / "workflow/report/published_curves.csv"
GRID = (1.0, 0.1, 0.01)
SEEDS = (1, 2, 3, 4)
EPOCHS = np.arange(1, 21)
JITTER = dict(zip(SEEDS, (-0.001, 0.0004, -0.0002, 0.0008), strict=True))  # what the seed adds to every value
SESSIONS, ITEMS = 8, 500
VERDICTS = {"confirmed", "refuted", "undecided"}
TEXT = ("sentence", "verdict", "estimated", "power", "brief", "evidence", "published", "test", "refuted_when", "source")


def falling(last: float, rate: float = 0.05) -> np.ndarray:
    """A curve over 20 epochs that ends at `last`, still falling when the rate is small."""
    return last * (1 + 0.5 * (np.exp(-rate * EPOCHS) - np.exp(-rate * EPOCHS[-1])))


@cache
def counted(score: float, sessions: int) -> tuple[pd.DataFrame, float]:
    """Counts of two classes in so many sessions with about this macro-F1, and what it is; some are harder for all."""
    right = [round(ITEMS * np.clip(score + 0.02 * np.cos(session), 0, 1)) for session in range(sessions)]
    rows = [
        (f"s{session}", label, predicted, hits if label == predicted else ITEMS - hits)
        for session, hits in enumerate(right)
        for label in "ab"
        for predicted in "ab"
    ]
    table = pd.DataFrame(rows, columns=["session", "label", "predicted", "count"])
    table = pd.concat([table.assign(unit=unit, split="test") for unit in ("tile", "clip")], ignore_index=True)
    # What was counted on validation sessions has no say.
    ignored = table.head(1).assign(split="validation", label="b", count=10**6)
    hits, misses = sum(right), sum(ITEMS - one for one in right)
    return pd.concat([table, ignored], ignore_index=True), macro_f1(np.array([[hits, misses], [misses, hits]])).item()


class Study:
    """Tables of a study in which all claims are true but those of little difference and of an inner optimum."""

    def __init__(self, grid: tuple[Any, ...] = GRID, seeds: tuple[int, ...] = SEEDS, about: str = "l2") -> None:
        self.about = about
        self.names = {(value, seed): f"{about}~{value}_seed~{seed}" for value in grid for seed in seeds}
        self.hyper = {run: {"kind": "trained", "seed": s, about: v} for (v, s), run in self.names.items()}
        self.loss = {value: falling(0.3 - 0.05 * place) for place, value in enumerate(grid)}
        self.loss_all: dict[Any, np.ndarray] = {}  # the mean over all triplets where it is another than the minimised
        self.f1 = {value: 0.5 + 0.05 * place for place, value in enumerate(grid)}
        self.entropy = {value: falling(1.5, rate=0.05 if place else 0.9) for place, value in enumerate(grid)}
        self.jitter = JITTER
        self.f1_jitter = -4.0  # times that of the loss: the seed with the lower loss has the better probe
        self.sessions = SESSIONS

    def write(self, folder: Path, labelled: bool = True) -> None:
        runs = pd.DataFrame([{"run": run, **values} for run, values in self.hyper.items()])
        runs.loc[len(runs)] = {"run": "mean_logmel", "kind": "mean_logmel"}
        runs = with_identity(runs, self.about)
        training, probes, scores = [], [], []
        self.confusions = {}
        for (value, seed), run in self.names.items():
            extra = self.jitter[seed]
            for e, number in enumerate(self.loss[value], start=1):
                both = [("loss", number), ("loss_all", self.loss_all.get(value, self.loss[value])[e - 1])]
                training += [(run, e, split, name, n + extra) for split in ("train", "test") for name, n in both]
                training.append((run, e, "train", "penalty", 99.0))
            probes += [(run, e, "test", "cross_entropy", n + extra) for e, n in enumerate(self.entropy[value], start=1)]
            counts, f1 = counted(float(self.f1[value] + self.f1_jitter * extra), self.sessions)
            score = (f1, None, None)
            scores += [(run, "converged", "test", unit, "macro_f1", "", *score) for unit in ("tile", "clip")]
            self.confusions[run] = folder / "probes" / run / "confusion.tsv"
            write_table(counts if labelled else counts.head(0), self.confusions[run])
        if not labelled:
            probes, scores = [], []
        columns = ["run", "epoch", "split", "measure", "value"]
        self.tables = {
            "runs": runs,
            "training": pd.DataFrame(training, columns=columns),
            "probe_epochs": pd.DataFrame(probes, columns=columns),
            "scores": pd.DataFrame(scores, columns=[*TABLES["scores"], "value", "low", "high"]),
            "geometry": pd.DataFrame(
                {"run": self.names.values(), "split": "test", "measure": "effective_rank", "value": 5.0}
            ),
        }
        for name, table in self.tables.items():
            write_table(table, folder / f"{name}.tsv")

    def judge(
        self, folder: Path, claims: Path = REGULARISATION, labelled: bool = True, write: bool = True
    ) -> pd.DataFrame:
        if write:
            self.write(folder, labelled)
        tables = {name: folder / f"{name}.tsv" for name in self.tables}
        settings, path = Statistics(resamples=300, confidence=0.95), folder / "claims.tsv"
        judge_claims([claims], tables["runs"], tables, self.confusions, settings, 1, path, PUBLISHED_CURVES)
        ledger = read_table(path, TEXT).set_index("claim")
        assert [*ledger.reset_index().columns] == COLUMNS
        assert set(ledger["verdict"]) <= VERDICTS
        assert (ledger[["sentence", "evidence", "test", "refuted_when", "source"]] != "").all(axis=None)
        return ledger


@pytest.fixture
def study() -> Study:
    return Study()


def reverse(curves: dict[Any, Any]) -> dict[Any, Any]:
    return dict(zip(curves, list(curves.values())[::-1], strict=True))


def test_verdicts_of_the_built_study(study: Study, tmp_path: Path) -> None:
    ledger = study.judge(tmp_path)
    confirmed = dict.fromkeys((1, 2, 3, 4, 5, 6, 8), "confirmed")
    assert ledger["verdict"].to_dict() == confirmed | {7: "refuted", 9: "undecided", 10: "undecided"}
    assert ledger.index.tolist() == list(range(1, 11))
    assert "0.95" not in ledger["test"][1]
    assert "95 %" in ledger["test"][1]


def test_every_comparison_is_refuted_in_the_opposite_study(study: Study, tmp_path: Path) -> None:
    study.loss, study.entropy, study.f1 = reverse(study.loss), reverse(study.entropy), reverse(study.f1)
    verdicts = study.judge(tmp_path)["verdict"]
    assert {claim: verdicts[claim] for claim in range(1, 6)} == dict.fromkeys(range(1, 6), "refuted")


def test_differences_within_the_noise_are_undecided_with_what_would_be_seen(study: Study, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=0.05, size=len(study.names))
    study.jitter = dict.fromkeys(SEEDS, 0.0)
    study.loss = {value: falling(0.3) for value in GRID}
    study.write(tmp_path)
    training = study.tables["training"]
    for run, extra in zip(study.names.values(), noise, strict=True):
        training.loc[training["run"] == run, "value"] += extra
    runs = study.tables["runs"]
    evidence = Evidence("l2", runs[runs["kind"] == "trained"], study.tables, NO_COUNTS, 100, 1)
    finding = ask(evidence, "highest", "largest")
    assert finding.verdict == "undecided"
    assert "A difference of 0." in finding.power
    assert finding.low < 0 < finding.high


NO_COUNTS = pd.DataFrame(columns=["label", "predicted"])
LOSS = MeasuredQuantity("loss", "training", "loss", {"split": "train"}, "last")


def ask(evidence: Evidence, kind: str, given: Any, *measured: MeasuredQuantity, confidence: float = 0.95) -> Any:
    measures = measured or (LOSS,)
    claim = Claim(1, "It is so.", measures, kind, given, "It is not so.")
    return JUDGES[kind](Question(claim, measures[0], evidence, confidence))


def evidence_of(losses: dict[float, list[Any]], about: str = "l2") -> Evidence:
    """Evidence of the training loss: for each value one curve per seed, or one number, after one epoch."""
    named = [(f"{value}_{seed}", value, seed, one) for value, ones in losses.items() for seed, one in enumerate(ones)]
    runs = pd.DataFrame([(run, "trained", *point) for run, *point, _ in named], columns=["run", "kind", about, "seed"])
    rows = [(run, e, "train", "loss", n) for run, _, _, one in named for e, n in enumerate(np.atleast_1d(one), 1)]
    training = pd.DataFrame(rows, columns=["run", "epoch", "split", "measure", "value"])
    return Evidence(about, runs, {"training": training}, NO_COUNTS, 100, 1)


FIRST, LAST = ["smallest", "second_smallest"], ["smallest", "largest"]
LOW, MIDDLE, HIGH = [1.0, 1.1, 1.05, 0.95], [2.0, 2.1, 2.1, 1.9], [3.0, 3.1, 3.0, 2.95]
NOISY = [1.0, 3.5, 2.0, 0.5]


@pytest.mark.parametrize(
    ("kind", "given", "arms", "verdict"),
    [
        ("highest", "largest", (LOW, MIDDLE, HIGH), "confirmed"),
        ("highest", 0.1, (LOW, HIGH, MIDDLE), "confirmed"),
        ("highest", "largest", (LOW, HIGH, MIDDLE), "refuted"),
        ("highest", "largest", (LOW, NOISY, MIDDLE), "undecided"),
        ("lowest", "smallest", (LOW, MIDDLE, HIGH), "confirmed"),
        ("lowest", "smallest", (MIDDLE, LOW, HIGH), "refuted"),
        ("lowest", "smallest", (LOW, NOISY, HIGH), "undecided"),
        ("ordered", "rising", (LOW, MIDDLE, HIGH), "confirmed"),
        ("ordered", "falling", (HIGH, MIDDLE, LOW), "confirmed"),
        ("ordered", "rising", (LOW, HIGH, MIDDLE), "refuted"),
        ("ordered", "rising", (LOW, NOISY, HIGH), "undecided"),
        ("best_inside", "highest", (LOW, HIGH, MIDDLE), "confirmed"),
        ("best_inside", "lowest", (HIGH, LOW, MIDDLE), "confirmed"),
        ("best_inside", "highest", (LOW, NOISY, LOW), "undecided"),
        ("differs_at_most", {"places": FIRST, "margin": 0.2}, (LOW, [1.05, 1.1, 1.05, 1.0], HIGH), "confirmed"),
        ("differs_at_most", {"places": FIRST, "margin": 0.2}, (LOW, MIDDLE, HIGH), "refuted"),
        ("differs_at_most", {"places": FIRST[::-1], "margin": 0.2}, (LOW, MIDDLE, HIGH), "refuted"),
        ("differs_at_most", {"places": FIRST, "margin": 0.2}, (LOW, NOISY, HIGH), "undecided"),
        ("differs_at_most", {"places": LAST, "share": 0.5}, (LOW, HIGH, MIDDLE), "refuted"),
        ("differs_at_most", {"places": LAST, "share": 1.0}, (LOW, MIDDLE, MIDDLE), "confirmed"),
        ("at_least", {"place": "largest", "value": 2.5}, (LOW, MIDDLE, HIGH), "confirmed"),
        ("at_least", {"place": "largest", "value": 3.5}, (LOW, MIDDLE, HIGH), "refuted"),
        ("at_least", {"place": 0.1, "value": 1.5}, (LOW, NOISY, HIGH), "undecided"),
        ("at_most", {"place": "smallest", "value": 1.5}, (LOW, MIDDLE, HIGH), "confirmed"),
        ("at_most", {"place": "smallest", "value": 0.5}, (LOW, MIDDLE, HIGH), "refuted"),
        ("at_most", {"place": 0.1, "value": 2.0}, (LOW, NOISY, HIGH), "undecided"),
    ],
)  # fmt: skip
def test_each_comparison_on_runs_with_a_known_answer(kind: str, given: Any, arms: tuple, verdict: str) -> None:
    finding = ask(evidence_of(dict(zip((0.01, 0.1, 1.0), arms, strict=True))), kind, given)
    assert finding.verdict == verdict
    assert finding.low < finding.estimate < finding.high
    assert finding.evidence.startswith("Loss, mean and range over 4 seeds: λ = 0.01: ")
    assert "80 % probability" in finding.power


PUBLISHED_F1 = {1.0: 0.613, 0.1: 0.633, 0.01: 0.662}


def scores_of(means: dict[float, float]) -> Evidence:
    rng = np.random.default_rng(0)
    return evidence_of({value: (mean + rng.normal(0, 0.005, 5)).tolist() for value, mean in means.items()})


@pytest.mark.finding("A4")
def test_a_grid_that_ends_where_it_is_best_does_not_refute_that_the_best_lies_inside() -> None:
    finding = ask(scores_of(PUBLISHED_F1), "best_inside", "highest")
    assert finding.verdict == "undecided"
    assert finding.power == "The best value is an end of the grid, λ = 0.01: extend it, as the best may be below."
    assert (finding.estimated, finding.low > 0) == ("λ = 0.01 less λ = 0.1", True)
    assert "Only the place of the best is tested, not why it is the best." in finding.brief
    extended = PUBLISHED_F1 | {0.001: 0.67, 0.0001: 0.66, 0.0: 0.60}
    assert ask(scores_of(extended), "best_inside", "highest").verdict == "confirmed"
    above = ask(scores_of({0.1: 0.5, 1.0: 0.6, 10.0: 0.7}), "best_inside", "highest")
    assert (above.verdict, above.power.endswith("λ = 10: extend it, as the best may be above.")) == ("undecided", True)


@pytest.mark.finding("A4")
def test_an_end_of_the_hyperparameter_refutes_that_the_best_lies_inside(study: Study, tmp_path: Path) -> None:
    assert ask(scores_of(PUBLISHED_F1 | {0.0: 0.7}), "best_inside", "highest").verdict == "refuted"
    # The other end is no end of λ, until a claims file says so.
    study.f1 = reverse(study.f1)
    assert study.judge(tmp_path)["verdict"][10] == "undecided"
    claims = yaml.safe_load(REGULARISATION.read_text()) | {"ends": [1.0]}
    assert study.judge(tmp_path, written(claims, tmp_path))["verdict"][10] == "refuted"


LOSS_CLAIMS = (1, 2, 3, 8)


@pytest.mark.finding("B2")
def test_a_claim_on_the_loss_is_undecided_where_its_two_means_disagree(study: Study, tmp_path: Path) -> None:
    study.loss_all = reverse(study.loss) | {0.01: falling(0.3, 0.9)}
    ledger = study.judge(tmp_path)
    for claim in LOSS_CLAIMS:
        assert ledger["verdict"][claim] == "undecided"
        assert ledger["power"][claim].startswith(
            "The mean over all triplets and the minimised mean disagree, and a verdict needs both."
        )
    assert ledger["brief"][1] == (
        "By the mean over all triplets: refuted, λ = 1 less λ = 0.01: -0.1 (-0.1 to -0.1); "
        "by the minimised mean: confirmed, λ = 1 less λ = 0.1: 0.05 (0.05 to 0.05)."
    )
    assert "(the mean over all triplets), mean and range over 4 seeds: λ = 0.01: 0.3" in ledger["evidence"][3]
    assert "(the minimised mean), mean and range over 4 seeds: λ = 0.01: 0.2" in ledger["evidence"][3]
    assert ledger["verdict"][4] == "confirmed"  # the score has one reading


@pytest.mark.slow
@pytest.mark.finding("B2")
def test_a_claim_on_the_loss_has_a_verdict_where_its_two_means_agree(study: Study, tmp_path: Path) -> None:
    alike = study.judge(tmp_path)["verdict"]
    study.loss_all = {value: 0.5 * curve for value, curve in study.loss.items()}
    ledger = study.judge(tmp_path)
    assert ledger["verdict"].to_dict() == alike.to_dict()
    assert {ledger["verdict"][claim] for claim in LOSS_CLAIMS} == {"confirmed"}
    assert ledger["estimate"][1] == pytest.approx(0.025)  # of the mean over all triplets, which runs can be compared by
    study.loss_all = {value: np.full(20, 0.2) for value in study.loss}  # no mean differs: one alone decides nothing
    assert {study.judge(tmp_path)["verdict"][claim] for claim in (1, 2, 3)} == {"undecided"}


@pytest.mark.finding("B2")
def test_a_margin_stays_above_a_level_only_by_both_means(tmp_path: Path) -> None:
    study = Study(grid=(0.5, 1.0, 10.0), about="margin")
    study.loss = dict(zip((0.5, 1.0, 10.0), (falling(0.2), falling(0.4), falling(7.8)), strict=True))
    assert study.judge(tmp_path, MARGIN)["verdict"][3] == "confirmed"
    study.loss_all = study.loss | {10.0: falling(5.0)}
    ledger = study.judge(tmp_path, MARGIN)
    assert (ledger["verdict"][3], ledger["verdict"][4]) == ("undecided", "confirmed")


@pytest.mark.slow
@pytest.mark.finding("B2")
def test_the_relation_of_loss_and_score_is_asked_of_both_means(tmp_path: Path) -> None:
    study = Study(grid=(6.0, 5.0, 4.0, 3.0, 2.0, 1.0))
    study.loss = {value: falling(0.6 - 0.05 * place) for place, value in enumerate(study.loss)}
    study.f1 = {value: 0.4 + 0.05 * place for place, value in enumerate(study.loss)}
    assert study.judge(tmp_path)["verdict"][9] == "confirmed"
    study.loss_all = reverse(study.loss)
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][9] == "undecided"
    assert "by the minimised mean: confirmed, rank correlation" in ledger["brief"][9]


@pytest.mark.finding("B11")
def test_the_ledger_says_what_its_tests_find_in_the_published_curves(study: Study, tmp_path: Path) -> None:
    ledger = study.judge(tmp_path)
    published = ledger["published"]
    # The published text says of both that they have not converged.
    assert ledger["sentence"][6] == "The probe's cross-entropy has not converged with any λ below λ = 1."
    assert "λ = 0.01: converged at epoch 13 (2.033 → 1.54); λ = 0.1: converged at epoch 12 (2.006" in published[6]
    assert published[6].endswith("Not as claimed.")
    assert "λ = 1: unclear at epoch 11" in published[5]
    assert "no epoch of convergence" in published[5]
    assert "λ = 0.01: unclear at epoch 30" in published[8]
    assert "λ = 0.01: 0.3462, λ = 0.1: 0.3591, λ = 1: 0.3828. As claimed." in published[1]
    assert published[10].endswith("why it is the best. Not as claimed.")
    assert "over the means of each λ, -1.00, p = 0.33. As claimed." in published[9]
    assert published[7].count("counts as equal. As claimed.") == 2


@pytest.mark.finding("B11")
def test_published_curves_are_judged_only_where_they_show_the_measure(study: Study, tmp_path: Path) -> None:
    curves = pd.read_csv(PUBLISHED_CURVES)
    curves.loc[(curves["figure"] == "triplet_loss") & (curves["l2"] == 1.0), "value"] /= 2
    curves.to_csv(tmp_path / "other.csv", index=False)
    evidence = published_evidence(tmp_path / "other.csv")
    said = [on_published_curves(claim, evidence, 0.95) for claim in read_claims(REGULARISATION).claims]
    assert said[0].endswith("λ = 1: 0.1914. Not as claimed.")
    assert said[1].endswith("Not as claimed.")
    assert said[3].endswith("As claimed.")
    assert [on_published_curves(claim, evidence, 0.95) for claim in read_claims(MARGIN).claims] == [""] * 5
    beyond = with_claim({"sentence": "It is so.", "measured": ["loss"], "test": {"highest": 3.0}})
    (claim,) = read_claims(written(beyond, tmp_path)).claims
    assert on_published_curves(claim, evidence, 0.95).startswith("Not tested: the claim names λ = 3; this study has λ")


def test_interval_of_a_difference_is_that_of_the_paired_t_test() -> None:
    finding = ask(evidence_of({0.1: MIDDLE, 1.0: NOISY}), "highest", "largest")
    known = ttest_rel(NOISY, MIDDLE).confidence_interval(0.95)
    assert (finding.low, finding.high) == pytest.approx((known.low, known.high))
    assert finding.estimate == pytest.approx(np.mean(NOISY) - np.mean(MIDDLE))
    assert finding.estimated == "λ = 1 less λ = 0.1"


SHARE = MeasuredQuantity("share", "training", "active_fraction", {"split": "train"}, "last")


@pytest.mark.parametrize(
    ("kind", "given", "ends_at", "power"),
    [
        ("highest", "largest", (-1, 1), "With so few seeds no possible difference would have been detected with 80 %"),
        ("at_least", {"place": "largest", "value": 0.4}, (-0.4, 0.6), "With so few seeds no possible difference"),
        ("at_most", {"place": "largest", "value": 0.4}, (-0.6, 0.4), "With so few seeds no possible difference"),
        ("differs_at_most", {"places": ["smallest", "largest"], "margin": 0.1}, (-1, 1), "no possible margin"),
    ],
)
def test_no_impossible_difference_of_a_share_is_told(
    kind: str, given: Any, ends_at: tuple[float, float], power: str
) -> None:
    evidence = evidence_of({0.1: [0.5, 0.6], 1.0: [0.7, 0.4]})
    evidence.tables["training"]["measure"] = "active_fraction"
    finding = ask(evidence, kind, given, SHARE)
    assert finding.verdict == "undecided"
    assert (finding.low, finding.high) == pytest.approx(ends_at)
    assert power in finding.power
    sure = evidence_of({0.1: [0.5, 0.51], 1.0: [0.7, 0.72]})
    sure.tables["training"]["measure"] = "active_fraction"
    assert "difference of 0.0" in ask(sure, "highest", "largest", SHARE).power


def test_an_undecided_claim_shows_the_least_favourable_of_the_comparisons_that_fail() -> None:
    # The loss with 0.1 is lower than with 0.01, but what lies between 1 and 0.01 is known worse.
    arms = {0.01: [1.0, 1.1, 1.05, 0.95], 0.1: [0.95, 1.1, 1.0, 0.95], 1.0: [1.0, 3.5, 2.0, 0.5]}
    finding = ask(evidence_of(arms), "lowest", "smallest")
    assert (finding.verdict, finding.estimated) == ("undecided", "λ = 0.1 less λ = 0.01")
    assert finding.estimate == pytest.approx(-0.025)
    # Below 0 by its own interval, but not by that of one of two comparisons.
    finding = ask(evidence_of(arms | {0.1: [0.94, 1.0, 1.02, 0.91]}), "lowest", "smallest")
    assert (finding.verdict, finding.estimated) == ("undecided", "λ = 0.1 less λ = 0.01")
    assert finding.high < 0
    assert finding.power.endswith("One of 2 comparisons refutes only at a higher confidence (Bonferroni).")
    # A small difference that is sure does not hide a large one that is not.
    finding = ask(evidence_of(arms | {0.1: [1.1, 1.2, 1.151, 1.05]}), "lowest", "smallest")
    assert (finding.verdict, finding.estimated) == ("undecided", "λ = 1 less λ = 0.01")


@pytest.mark.slow
def test_where_nothing_differs_verdicts_are_rare() -> None:
    """Arms and seeds of pure noise: a claim is confirmed or refuted by chance in at most 5 % of the studies."""
    rng = np.random.default_rng(7)
    for kind, given in (("highest", "largest"), ("ordered", "rising"), ("best_inside", "highest")):
        studies = (dict(zip(GRID[::-1], rng.normal(size=(3, 4)).tolist(), strict=True)) for _ in range(100))
        found = [ask(evidence_of(one), kind, given).verdict for one in studies]
        for verdict in ("confirmed", "refuted"):
            assert found.count(verdict) <= 0.05 * len(found) + 3 * np.sqrt(0.05 * 0.95 * len(found))


@pytest.mark.slow
def test_a_difference_of_exactly_the_margin_is_rarely_called_little() -> None:
    rng = np.random.default_rng(8)
    given = {"places": ["smallest", "largest"], "margin": 1.0}
    found = [
        ask(evidence_of({0.1: one.tolist(), 1.0: (1 + other).tolist()}), "differs_at_most", given)
        for one, other in rng.normal(scale=1 / 3, size=(200, 2, 4))
    ]
    assert [one.verdict for one in found].count("confirmed") <= 0.025 * 200 + 3 * np.sqrt(0.025 * 200)


@pytest.mark.parametrize(("seeds", "power"), [(2, 0.8), (3, 0.8), (5, 0.8), (5, 0.9)])
def test_the_detectable_effect_is_detected_as_often_as_promised(seeds: int, power: float) -> None:
    effect = Contrast("", 0.0, 1 / np.sqrt(seeds), seeds - 1).detectable(0.95, power)
    values = np.random.default_rng(seeds).normal(effect, 1, size=(4000, seeds))
    critical = t.ppf(0.975, seeds - 1)
    seen = values.mean(axis=1) > critical * values.std(axis=1, ddof=1) / np.sqrt(seeds)
    assert seen.mean() == pytest.approx(power, abs=0.025)
    one = over_seeds("", values[0])
    assert one.interval(0.95)[0] > 0 or not seen[0]


def curves(shapes: dict[float, Any], noise: float = 0.0) -> Evidence:
    """Evidence of curves: for each value a curve, which each of three seeds has with a little noise of its own."""
    rng = np.random.default_rng(3)
    return evidence_of({v: [one + noise * rng.normal(size=len(one)) for _ in range(3)] for v, one in shapes.items()})


CURVE = MeasuredQuantity("loss", "training", "loss", {"split": "train"}, "curve")
RISING = np.concatenate([falling(1.0, 0.9)[:10], falling(1.0, 0.9)[9] + 0.1 * np.arange(1, 11)])


@pytest.mark.parametrize(
    ("kind", "places", "noise", "verdict"),
    [
        ("still_falling", ["smallest"], 1e-4, "confirmed"),
        ("still_falling", ["largest"], 1e-4, "refuted"),
        ("still_falling", ["second_largest"], 1e-4, "refuted"),  # it rises
        ("still_falling", ["all"], 1e-4, "refuted"),
        ("still_falling", ["smallest"], 0.3, "undecided"),
        ("has_converged", ["largest"], 1e-4, "confirmed"),
        ("has_converged", ["smallest"], 1e-4, "refuted"),
        ("has_converged", ["second_largest"], 1e-4, "refuted"),
        ("has_converged", ["largest"], 0.3, "undecided"),
    ],
)
def test_the_end_of_curves_is_judged_over_the_seeds(kind: str, places: list, noise: float, verdict: str) -> None:
    shapes = {1.0: falling(1.0, 0.9), 0.1: RISING, 0.01: falling(1.0)}
    finding = ask(curves(shapes, noise), kind, places, CURVE)
    assert finding.verdict == verdict
    assert finding.evidence.startswith("Loss, seed by seed: λ = ")


def test_convergence_epochs_are_compared_no_finer_than_an_epoch() -> None:
    at = MeasuredQuantity("epoch", "training", "loss", {"split": "train"}, "convergence")
    shapes = {1.0: falling(1.0, 0.9), 0.1: falling(1.0, 0.4), 0.01: falling(1.0)}
    assert ask(curves(shapes), "lowest", "largest", at).verdict == "confirmed"
    shapes[0.1] = falling(1.0, 0.8)
    finding = ask(curves(shapes), "lowest", "largest", at)
    assert finding.verdict == "undecided"  # a difference of one epoch at most
    assert finding.high - finding.low == pytest.approx(2.0)
    shapes[0.1] = RISING
    assert ask(curves(shapes), "lowest", "largest", at).power == (
        "A curve has an unclear or rising end and so no epoch of convergence; one such curve of one seed leaves the "
        "whole claim undecided."
    )


SCORE = MeasuredQuantity("score", "geometry", "rank", {"split": "test"})


def related(values: int, seeds: int, within: float, across: float, noise: float = 0.01) -> Evidence:
    """Evidence of a loss and a score that follow each other with these slopes, among seeds and from value to value."""
    rng = np.random.default_rng(values)
    grid = np.linspace(-1, 1, values)
    losses = {v: (v + 0.1 * rng.normal(size=seeds)).tolist() for v in grid}
    evidence = evidence_of(losses)
    loss = np.concatenate(list(losses.values()))
    mean = np.repeat([np.mean(ns) for ns in losses.values()], seeds)
    score = across * mean + within * (loss - mean) + noise * rng.normal(size=len(loss))
    geometry = pd.DataFrame({"run": evidence.runs["run"], "split": "test", "measure": "rank", "value": score})
    return Evidence("l2", evidence.runs, {**evidence.tables, "geometry": geometry}, evidence.counts, 100, 1)


@pytest.mark.parametrize(
    ("values", "seeds", "within", "across", "verdict"),
    [
        (6, 4, -1.0, -1.0, "confirmed"),
        (6, 4, 1.0, -1.0, "refuted"),  # among the seeds of one value it is the other way round
        (6, 4, -1.0, 1.0, "refuted"),
        (6, 4, 0.0, -1.0, "undecided"),
        (3, 4, -1.0, -1.0, "undecided"),  # three means cannot tell
        (6, 1, -1.0, -1.0, "undecided"),
    ],
)
def test_a_relation_has_to_be_there_within_and_across_values(
    values: int, seeds: int, within: float, across: float, verdict: str
) -> None:
    finding = ask(related(values, seeds, within, across), "correlates", "negative", LOSS, SCORE)
    assert finding.verdict == verdict
    assert f"over {values * seeds} runs: among the seeds of one λ" in finding.evidence
    if values == 3:
        assert finding.power == "There are too few: even a perfect order has p = 0.33."


@pytest.mark.parametrize(("slope", "verdict"), [(-1.0, "confirmed"), (1.0, "refuted")])
def test_epochs_of_which_both_measures_are_kept_count_too(slope: float, verdict: str) -> None:
    """Were spaces kept of every epoch, the relation over the epochs of a run could speak against those over runs."""
    evidence = related(6, 4, -1.0, -1.0)
    loss, last = evidence.tables["training"].assign(epoch=8), evidence.tables["geometry"].assign(epoch=8)
    earlier = range(1, 8)
    rng = np.random.default_rng(4)
    kept = [loss.assign(epoch=e, value=loss["value"] + (8 - e) + 0.1 * rng.normal(size=len(loss))) for e in earlier]
    scores = [last.assign(epoch=e, value=last["value"] + slope * (8 - e)) for e in earlier]
    tables = {"training": pd.concat([*kept, loss]), "geometry": pd.concat([*scores, last])}
    evidence = Evidence("l2", evidence.runs, tables, evidence.counts, 100, 1)
    every = MeasuredQuantity("loss", "training", "loss", {"split": "train"}, "every")
    finding = ask(evidence, "correlates", "negative", every, SCORE)
    assert finding.verdict == verdict
    assert "over 24 runs and 192 epochs of them: " in finding.evidence
    assert "over the epochs of a run, " in finding.evidence


def test_losses_in_other_units_are_not_related() -> None:
    evidence = related(6, 4, -1.0, -1.0)
    evidence.runs["margin"] = evidence.runs["seed"] + 1.0
    with pytest.raises(Exception, match="losses with another margin cannot be compared"):
        ask(evidence, "correlates", "negative", LOSS, SCORE)


def test_scores_are_compared_over_seeds_and_sessions(study: Study, tmp_path: Path) -> None:
    ledger = study.judge(tmp_path)
    study.sessions = 1
    alone = study.judge(tmp_path)
    assert np.isnan(alone["low"][4])
    assert alone["power"][4].startswith("One held-out session")
    assert ledger["low"][4] < ledger["estimate"][4] < ledger["high"][4]
    assert "λ = 0.01: 0.6" in ledger["evidence"][4]


def test_sessions_that_disagree_widen_the_interval_of_scores(study: Study, tmp_path: Path) -> None:
    before = study.judge(tmp_path)
    for (value, _), run in study.names.items():  # the smallest λ is better in one half of the sessions only
        if value == 0.01:
            counts = read_table(study.confusions[run], ("session", "label", "predicted", "unit", "split"))
            odd = counts["session"].str[1:].astype(int) % 2 == 1
            right = counts["label"] == counts["predicted"]
            counts.loc[odd, "count"] = np.where(right[odd], 225, 275)
            write_table(counts, study.confusions[run])
    after = study.judge(tmp_path, write=False)
    assert after["high"][4] - after["low"][4] > 2 * (before["high"][4] - before["low"][4])
    assert after["verdict"][4] == "undecided"


def test_one_seed_leaves_every_claim_undecided_with_its_numbers(tmp_path: Path) -> None:
    ledger = Study(seeds=(1,)).judge(tmp_path)
    assert set(ledger["verdict"]) == {"undecided"}
    assert "λ = 0.01: 0.199, λ = 0.1: 0.249, λ = 1: 0.299" in ledger["evidence"][1]
    assert "one seed, so the spread between seeds is unknown" in ledger["evidence"][1]
    assert ledger["power"][1].startswith("One seed: the spread between seeds is unknown")
    assert ledger["estimate"][1] == pytest.approx(0.05)
    assert np.isnan(ledger["low"][1])
    assert "still falling at epoch 20" in ledger["evidence"][8]


def test_sentences_name_the_grid_at_hand(tmp_path: Path) -> None:
    sentences = Study(grid=(0.5, 0.02, 0.001, 0.0)).judge(tmp_path)["sentence"]
    assert sentences[1] == "The triplet loss is highest with λ = 0.5."
    assert sentences[3] == "The triplet loss is lowest with λ = 0."
    assert sentences[7] == "F1 and triplet loss differ very little between λ = 0.001 and λ = 0."


def test_curves_are_compared_over_the_epochs_they_share(study: Study, tmp_path: Path) -> None:
    study.entropy[1.0] = study.entropy[1.0][:7]
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][5] == ledger["verdict"][6] == "undecided"
    assert "not tested: there are 7 epochs; the end of a curve needs 8" in ledger["evidence"][5]


def test_a_loss_that_is_missing_leaves_its_claims_undecided(study: Study, tmp_path: Path) -> None:
    study.loss[0.01] = np.append(study.loss[0.01][:-1], np.nan)
    ledger = study.judge(tmp_path)
    assert set(ledger["verdict"][[1, 2, 3, 8]]) == {"undecided"}
    assert ledger["power"][3] == "A run has no such value, so there is nothing to compare."
    assert "λ = 0.01: no value" in ledger["evidence"][3]


def test_a_run_without_a_loss_is_refused(study: Study, tmp_path: Path) -> None:
    study.write(tmp_path)
    training = study.tables["training"]
    write_table(training[training["run"] != "l2~0.1_seed~2"], tmp_path / "training.tsv")
    with pytest.raises(InputError, match=r"training\.tsv: needs the loss .*; l2~0\.1_seed~2 missing"):
        study.judge(tmp_path, write=False)


def test_without_labels_the_claims_on_the_probe_are_not_tested(study: Study, tmp_path: Path) -> None:
    ledger = study.judge(tmp_path, labelled=False)
    for claim in (4, 5, 6, 7, 9, 10):
        assert ledger["verdict"][claim] == "undecided"
        assert ledger["evidence"][claim].startswith("not tested: there are no probe scores")
    assert ledger["verdict"][[1, 2, 3, 8]].eq("confirmed").all()


def test_one_lambda_tests_nothing_about_lambda(tmp_path: Path) -> None:
    ledger = Study(grid=(0.1,)).judge(tmp_path)
    assert set(ledger["verdict"]) == {"undecided"}
    assert ledger["evidence"].drop(9).str.startswith("not tested").all()
    assert "this study has λ = 0.1" in ledger["evidence"][1]
    assert ledger["sentence"][1] == "The triplet loss is highest with the largest λ."


def test_two_lambdas_have_no_inside(tmp_path: Path) -> None:
    ledger = Study(grid=(1.0, 0.1)).judge(tmp_path)
    assert ledger["evidence"][10].startswith("not tested: a grid needs at least 3 values to have an inside")
    assert ledger["verdict"][1] == "confirmed"


def test_only_seeds_with_every_lambda_are_compared(tmp_path: Path) -> None:
    study = Study(seeds=(1, 2, 3))
    del study.names[0.1, 3], study.hyper["l2~0.1_seed~3"]
    assert "over 2 seeds" in study.judge(tmp_path)["evidence"][1]
    for value, seed in ((1.0, 2), (0.01, 1)):
        del study.names[value, seed], study.hyper[f"l2~{value}_seed~{seed}"]
    assert study.judge(tmp_path)["evidence"][1].startswith("not tested: no seed was run with every λ")


def test_a_second_thing_that_varies_is_told_or_stops_the_comparison(study: Study, tmp_path: Path) -> None:
    for values in study.hyper.values():
        values["epochs"] = 30 if values["l2"] == 0.01 else 50
    ledger = study.judge(tmp_path)
    assert ledger["verdict"][1] == "confirmed"
    assert ledger["evidence"][1].endswith("Not λ alone differs between the runs, but also epochs.")
    for (value, _), run in study.names.items():
        study.hyper[run]["l2"] = 1.0 if value == 0.1 else value
    assert "is about λ alone" in study.judge(tmp_path)["evidence"][1]


def test_no_claims_file_makes_an_empty_ledger(study: Study, tmp_path: Path) -> None:
    judge_claims([], tmp_path / "runs.tsv", {}, {}, Statistics(), 1, tmp_path / "claims.tsv")
    assert read_table(tmp_path / "claims.tsv").columns.tolist() == COLUMNS


def test_the_same_form_judges_a_study_of_the_margin(tmp_path: Path) -> None:
    margins = (0.5, 1.0, 10.0)
    study = Study(grid=margins, about="margin")
    study.f1 = dict(zip(margins, (0.5, 0.7, 0.4), strict=True))
    study.loss = dict(zip(margins, (falling(0.2), falling(0.4), falling(7.8)), strict=True))
    ledger = study.judge(tmp_path, MARGIN)
    assert ledger["verdict"].to_dict() == dict.fromkeys(range(1, 6), "confirmed")
    assert ledger["sentence"][5] == "The triplet loss with margin 10 is still falling at the end."
    assert ledger["estimated"][3] == "margin 10, less 6"
    study = Study(grid=(0.5, 2.0), about="margin")
    ledger = study.judge(tmp_path, MARGIN)
    assert "not tested: the claim names margin 1; this study has margin 0.5, margin 2" in ledger["evidence"][1]


def test_a_hyperparameter_in_words_can_be_judged(tmp_path: Path) -> None:
    claims = with_claim({"sentence": "MFCCs score lower.", "measured": ["f1"], "test": {"lowest": "mfcc"}})
    claims["about"] = "input"
    ledger = Study(grid=("mfcc", "logmel"), about="input").judge(tmp_path, written(claims, tmp_path))
    assert ledger["verdict"][1] == "confirmed"
    assert "feature extractor mfcc: 0.5" in ledger["evidence"][1]


def with_claim(claim: dict[str, Any]) -> dict[str, Any]:
    """The published claims with one in their place."""
    content: dict[str, Any] = yaml.safe_load(REGULARISATION.read_text())
    return content | {"claims": [{"refuted_when": "It is not so."} | claim]}


def written(content: dict[str, Any], folder: Path) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    return path


def test_a_measure_that_picks_no_row_or_several(study: Study, tmp_path: Path) -> None:
    claims = with_claim({"sentence": "It is so.", "measured": ["rank"], "test": {"highest": "largest"}})
    claims["measures"]["rank"] = {"name": "rank", "table": "geometry", "measure": "rank", "where": {"split": "test"}}
    ledger = study.judge(tmp_path, written(claims, tmp_path))
    assert ledger["evidence"][1] == "not tested: the table geometry has no rows of rank, split test."
    claims["measures"]["rank"] = {"name": "f1", "table": "scores", "measure": "macro_f1", "where": {"split": "test"}}
    with pytest.raises(InputError, match=r"mine\.yaml: `where` must leave one row of scores for each run.*in unit$"):
        study.judge(tmp_path, written(claims, tmp_path))
