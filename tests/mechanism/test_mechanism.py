"""The mechanism card: each rule where it holds and where it just does not, and the evidence against plain loops."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lambdascape.core.tsv import read_table, write_table
from lambdascape.figures.mechanism_stages import WITHOUT, mechanism_figure, short
from lambdascape.mechanism.judging import COLUMNS, TEXT, judge_mechanisms, mechanisms
from lambdascape.mechanism.rules import RULES, RuleEvidence, decide
from lambdascape.mechanism.stages import by_stage, references_of
from lambdascape.report.mechanism_section import mechanism_cards, mechanism_sentence
from lambdascape.study.run_table import read_sweep
from support.studies import with_identity

EPOCHS = 8
NORMALISED = ("stem", "stage1", "stage4")
Size = Callable[[str, int, str, str], float]
PLAIN = {"weight_norm": 4.0, "angular_update": 0.001, "effective_learning_rate": 1e-4, "gradient_ratio": 0.1,
    "variance_over_epsilon": 200.0, "dead_kernels": 0.0}  # fmt: skip


class Runs:
    """A study of a few runs: like one another, but for what a test changes."""

    def __init__(self, *values: float, seeds: tuple[int, ...] = (1,), epochs: int = EPOCHS, **settings: Any) -> None:
        self.runs = [
            {"run": f"l2~{l2:g}_seed~{seed}", "kind": "trained", "replicate": f"seed{seed}", "seed": seed}
            | {"l2": l2, "epochs": epochs, **settings}
            for l2 in values
            for seed in seeds
        ]
        self.changes: dict[tuple[str, str, str], float] = {}
        self.losses: dict[str, tuple[float, float]] = {}  # run: training, held out
        self.ill: set[str] = set()
        self.missing: set[str] = set()  # measures

    def set(self, run: str, group: str, **sizes: float) -> "Runs":
        self.changes |= {(run, group, measure): value for measure, value in sizes.items()}
        return self

    def lose(self, run: str, train: float, test: float) -> "Runs":
        self.losses[run] = (train, test)
        return self

    def size(self, run: str, epoch: int, group: str, measure: str) -> float:
        """For two epochs as in every run, so that only later ones show what a test changes."""
        if group == "head" and measure == "variance_over_epsilon":
            return math.nan
        value = self.changes.get((run, group, measure), PLAIN[measure])
        return PLAIN[measure] if epoch <= 2 else value

    def layers(self) -> pd.DataFrame:
        rows = [
            (row["run"], epoch, group, measure, self.size(row["run"], epoch, group, measure))
            for row in self.runs
            for epoch in range(1, row["epochs"] + 1)
            for group in (*NORMALISED, "head")
            for measure in PLAIN
            if measure not in self.missing
        ]
        return pd.DataFrame(rows, columns=["run", "epoch", "group", "measure", "value"])

    def training(self) -> pd.DataFrame:
        rows = []
        for run, epochs in ((row["run"], row["epochs"]) for row in self.runs):
            losses = zip(("train_inference", "test"), self.losses.get(run, (0.3, 0.5)), strict=True)
            for (split, loss), epoch in product(losses, range(1, epochs + 1)):
                ill = run in self.ill and (epoch, split) == (epochs, "test")
                rows += [(run, epoch, split, "loss_all", loss), (run, epoch, split, "collapsed", float(ill))]
        table = pd.DataFrame(rows, columns=["run", "epoch", "split", "measure", "value"])
        return table[~table["measure"].isin(self.missing)]

    def table(self, training: pd.DataFrame | None = None, layers: pd.DataFrame | None = None) -> pd.DataFrame:
        """The verdicts, run by run, from the study's tables or from others."""
        tables = (self.training() if training is None else training, self.layers() if layers is None else layers)
        return mechanisms(pd.DataFrame(self.runs), *tables).set_index("run", drop=False)

    def verdicts(self) -> dict[str, tuple[str, str]]:
        return {row["run"]: (row["verdict"], row["rule"]) for row in self.table().to_dict("records")}


RUN, REFERENCE = "l2~1_seed~1", "l2~0_seed~1"
UNDECIDED = "undecided"
# A run in which nothing has moved; each case changes what its rule looks at.
STILL = RuleEvidence(
    reference=REFERENCE, epochs=8, dead_kernels=0.0, variance_over_epsilon=200.0, variance_ratio=1.0,
    angular_update_ratio=1.0, weight_norm_ratio=1.0, gradient_ratio=0.1, held_out_change=0.0, reference_gap=0.2,
    gap_change=0.0, gap=0.2, held_out_loss=0.5,
)  # fmt: skip
TURNED = {"angular_update_ratio": 1.5, "weight_norm_ratio": 1 / 1.5}
SHRUNK = {"gap_change": -0.1}
NO_LOSS = {"held_out_change": math.nan, "gap_change": math.nan}


@pytest.mark.parametrize(
    ("changes", "rule", "verdict"),
    [
        ({}, "nothing moved", "little effect"),
        ({"varies": False, "reference": ""}, "one λ", "not applicable"),
        ({"is_reference": True, "collapsed": True}, "reference", "reference"),
        ({"reference": ""}, "no reference", UNDECIDED),
        ({"reference_collapsed": True, "collapsed": True}, "reference collapsed", UNDECIDED),
        ({"collapsed": True, "epochs": 1}, "space collapsed", "collapse"),
        ({"dead_kernels": 0.51}, "dead kernels", "collapse"),
        ({"dead_kernels": 0.5}, "nothing moved", "little effect"),
        ({"head_only": True, **TURNED}, "head only", UNDECIDED),
        ({"epochs": 5, **TURNED}, "few epochs", UNDECIDED),
        ({"epochs": 6, **TURNED}, "turned further", "shorter weights, larger steps"),
        ({"variance_over_epsilon": 0.99, "variance_ratio": 0.49}, "faded stage", "attenuation"),
        ({"variance_over_epsilon": 0.99, "variance_ratio": 0.5}, "nothing moved", "little effect"),
        ({"variance_over_epsilon": 1.0, "variance_ratio": 0.01}, "nothing moved", "little effect"),
        ({"variance_over_epsilon": 0.5, "variance_ratio": 0.01, **TURNED}, "faded stage", "attenuation"),
        ({"variance_over_epsilon": 10.0, **TURNED}, "turned further", "shorter weights, larger steps"),
        ({"variance_over_epsilon": 9.9, **TURNED}, "turned and weakened", UNDECIDED),
        (TURNED | SHRUNK, "turned further", "shorter weights, larger steps"),
        (TURNED | {"angular_update_ratio": 1.49}, "nothing moved", "little effect"),
        (TURNED | {"weight_norm_ratio": 0.67}, "nothing moved", "little effect"),
        ({"angular_update_ratio": 5.0}, "nothing moved", "little effect"),  # as by chance: the weights are as long
        ({"gradient_ratio": math.nan}, "missing numbers", UNDECIDED),
        ({"variance_over_epsilon": math.nan, **TURNED}, "missing numbers", UNDECIDED),
        (NO_LOSS | TURNED, "turned further", "shorter weights, larger steps"),
        (NO_LOSS, "missing numbers", UNDECIDED),
        (SHRUNK, "smaller gap", "regulariser"),
        (SHRUNK | {"held_out_change": 0.001}, "smaller gap, no gain", UNDECIDED),
        (SHRUNK | {"gradient_ratio": 1.0}, "smaller gap, no gain", UNDECIDED),
        (SHRUNK | {"reference_gap": -0.1}, "unexplained", UNDECIDED),
        ({"gap_change": -0.099}, "nothing moved", "little effect"),
        ({"gap_change": 0.099, "held_out_change": 0.099}, "nothing moved", "little effect"),
        ({"gap_change": 0.1}, "unexplained", UNDECIDED),
        ({"held_out_change": -0.1}, "unexplained", UNDECIDED),
    ],
)
def test_each_rule_decides_where_it_is_the_first_to_hold(changes: dict[str, Any], rule: str, verdict: str) -> None:
    found = decide(replace(STILL, **changes))
    assert (found.name, found.verdict) == (rule, verdict)


def test_every_rule_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.words.endswith(".") and "nan" not in rule.words for rule in RULES)


def test_a_run_of_nothing_known_is_undecided_and_breaks_nothing() -> None:
    assert decide(RuleEvidence(reference=REFERENCE, epochs=99)).name == "missing numbers"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda s: s.set(RUN, "stage4", dead_kernels=0.6), ("collapse", "dead kernels")),
        (lambda s: s.ill.add(RUN) or s, ("collapse", "space collapsed")),
        (lambda s: s.set(RUN, "stage1", variance_over_epsilon=0.4), ("attenuation", "faded stage")),
        (
            lambda s: s.set(RUN, "stage4", weight_norm=2.0, angular_update=0.002),
            ("shorter weights, larger steps", "turned further"),
        ),
        (
            lambda s: s.set(RUN, "stage4", weight_norm=2.0).set(RUN, "stage1", angular_update=0.002),
            ("little effect", "nothing moved"),  # shorter in one stage, turned further in another
        ),
        (lambda s: s.set(RUN, "head", weight_norm=1.0, angular_update=0.01), ("little effect", "nothing moved")),
        (lambda s: s.lose(RUN, 0.4, 0.45), ("regulariser", "smaller gap")),
        (lambda s: s.lose(RUN, 0.5, 0.55), (UNDECIDED, "smaller gap, no gain")),
        (lambda s: s.lose(REFERENCE, 0.0, 0.0), (UNDECIDED, "missing numbers")),
        (lambda s: s.missing.add("loss_all") or s, (UNDECIDED, "few epochs")),
        (lambda s: s.missing.add("gradient_ratio") or s, (UNDECIDED, "missing numbers")),
        (lambda s: s.missing.add("variance_over_epsilon") or s, (UNDECIDED, "missing numbers")),
        (lambda s: s, ("little effect", "nothing moved")),
    ],
)
def test_tables_lead_to_the_verdict(change: Callable[[Runs], Runs], verdict: tuple[str, str]) -> None:
    found = change(Runs(1.0, 0.0)).verdicts()
    assert found == {RUN: verdict, REFERENCE: ("reference", "reference")}


def test_a_collapse_that_the_reference_shares_is_not_laid_to_l2() -> None:
    study = Runs(1.0, 0.1, 0.0)
    study.ill = {RUN, REFERENCE}
    rules = {run: rule for run, (_, rule) in study.verdicts().items()}
    assert rules == {RUN: "reference collapsed", "l2~0.1_seed~1": "reference collapsed", REFERENCE: "reference"}
    assert study.table().loc[REFERENCE, "collapsed"] == 1


def test_each_run_is_held_against_the_smallest_l2_with_its_seed() -> None:
    table = Runs(1.0, 0.01, 0.1, seeds=(1, 2)).table()
    assert dict(zip(table["run"], table["reference"], strict=True)) == {
        f"l2~{l2}_seed~{seed}": f"l2~0.01_seed~{seed}" for l2 in ("1", "0.01", "0.1") for seed in (1, 2)
    }


def test_a_reference_differs_in_l2_alone() -> None:
    rows = []
    for margin, values in ((0.5, (1.0, 0.1)), (2.0, (1.0, 0.0)), (9.0, (0.1,))):
        rows += [row | {"run": f"margin~{margin:g}_{row['run']}"} for row in Runs(*values, margin=margin).runs]
    assert list(references_of(pd.DataFrame(rows)).values()) == [
        "margin~0.5_l2~0.1_seed~1", "margin~0.5_l2~0.1_seed~1", "margin~2_l2~0_seed~1", "margin~2_l2~0_seed~1", ""
    ]  # fmt: skip


def test_the_epochs_of_training_and_probe_may_differ_but_not_under_a_cosine() -> None:
    for schedule, expected in (("constant", [REFERENCE, REFERENCE]), ("cosine", ["", ""])):
        rows = [*Runs(1.0, epochs=12, lr_schedule=schedule).runs, *Runs(0.0, epochs=8, lr_schedule=schedule).runs]
        assert list(references_of(pd.DataFrame(rows)).values()) == expected
    longer = [{**Runs(0.0, epochs=e).runs[0], "run": f"zero{e}"} for e in (4, 10, 30)]
    assert references_of(pd.DataFrame([*Runs(1.0, epochs=12).runs, *longer]))[RUN] == "zero10"
    rows = [*Runs(1.0, probe_epochs=12).runs, *Runs(0.0, probe_epochs=20).runs]
    assert list(references_of(pd.DataFrame(rows)).values()) == [REFERENCE, REFERENCE]


def test_runs_of_unlike_length_are_compared_over_the_epochs_of_both() -> None:
    """After epoch 8, which the reference does not have, all of the run's numbers turn bad."""
    study = Runs(1.0, 0.0)
    study.runs[0]["epochs"] = 20
    layers, training = study.layers(), study.training()
    for table in (layers, training):
        late = (table["run"] == RUN) & (table["epoch"] > EPOCHS) & ~table["measure"].isin(["collapsed", "dead_kernels"])
        table.loc[late, "value"] = 1e-9
    row = study.table(training, layers).loc[RUN]
    assert (row["rule"], row["epochs"], row["held_out_loss"]) == ("nothing moved", EPOCHS, 0.5)


def test_the_head_alone_and_a_study_without_l2_are_said_to_be_so() -> None:
    assert Runs(1.0, 0.0, l2_scope="head").verdicts()[RUN] == (UNDECIDED, "head only")
    for study in (Runs(0.1, seeds=(1, 2)), Runs(0.1)):
        assert set(study.verdicts().values()) == {("not applicable", "one λ")}
    runs = pd.DataFrame(Runs(0.1).runs).drop(columns="l2")
    assert mechanisms(runs, Runs(0.1).training(), Runs(0.1).layers())["verdict"].tolist() == ["not applicable"]


def test_a_run_without_any_row_of_layers_or_losses_is_undecided() -> None:
    study = Runs(1.0, 0.0)
    layers, training = study.layers(), study.training()
    for lacking in (RUN, REFERENCE):
        table = study.table(*(table[table["run"] != lacking] for table in (training, layers)))
        assert table["verdict"].to_dict() == {RUN: UNDECIDED, REFERENCE: "reference"}


def test_the_evidence_is_what_plain_loops_find() -> None:
    generator = np.random.default_rng(5)
    study = Runs(1.0, 0.0, epochs=17)
    layers, training = study.layers(), study.training()
    layers["value"] *= generator.uniform(0.2, 5, len(layers))
    training["value"] *= generator.uniform(0.5, 2, len(training))
    row = study.table(training, layers).loc[RUN]
    late = range(13, 18)  # a quarter of 17, rounded up

    def middle(table: pd.DataFrame, **wanted: str) -> float:
        rows = [r for r in table.to_dict("records") if r["epoch"] in late and wanted.items() <= r.items()]
        return float(sorted(r["value"] for r in rows)[len(rows) // 2])

    def size(run: str, group: str, measure: str) -> float:
        return middle(layers, run=run, group=group, measure=measure)

    def ratio(group: str, measure: str) -> float:
        return size(RUN, group, measure) / size(REFERENCE, group, measure)

    lowest = min(NORMALISED, key=lambda g: size(RUN, g, "variance_over_epsilon"))
    turned = max(NORMALISED, key=lambda g: min(ratio(g, "angular_update"), 1 / ratio(g, "weight_norm")))
    leading = max((*NORMALISED, "head"), key=lambda g: size(RUN, g, "gradient_ratio"))
    assert (row["variance_stage"], row["turned_stage"], row["gradient_stage"]) == (lowest, turned, leading)
    assert row["variance_over_epsilon"] == size(RUN, lowest, "variance_over_epsilon")
    assert row["variance_ratio"] == pytest.approx(ratio(lowest, "variance_over_epsilon"))
    for measure in ("angular_update", "weight_norm", "effective_learning_rate"):
        assert row[f"{measure}_ratio"] == pytest.approx(ratio(turned, measure))
    assert row["gradient_ratio"] == size(RUN, leading, "gradient_ratio")
    held_out, unit, *learned = (
        middle(training, run=run, split=split, measure="loss_all")
        for split in ("test", "train_inference")
        for run in (RUN, REFERENCE)
    )
    gap, reference_gap = held_out - learned[0], unit - learned[1]
    assert row["held_out_change"] == pytest.approx((held_out - unit) / unit)
    assert (row["gap"], row["reference_gap"]) == (pytest.approx(gap), pytest.approx(reference_gap))
    assert row["gap_change"] == pytest.approx((gap - reference_gap) / unit)


@pytest.mark.finding("B10")
def test_the_gap_is_between_losses_of_one_mode_and_not_to_the_mean_over_the_epoch() -> None:
    """What training mode gives, with dropout, batch statistics and moving weights, is not looked at."""
    study = Runs(1.0, 0.0)
    training = study.training()
    losses = training[training["measure"] == "loss_all"]
    learned = losses[losses["split"] == "train_inference"].assign(split="train", value=9.0)
    row = study.table(pd.concat([training, learned])).loc[RUN]
    assert (row["gap"], row["rule"]) == (pytest.approx(0.2), "nothing moved")


@pytest.mark.finding("B10")
def test_losses_under_statistics_that_do_not_fit_the_weights_decide_nothing() -> None:
    study = Runs(1.0, 0.0)
    for run in (RUN, REFERENCE):
        row = (run, EPOCHS, "test", "stale_statistics", 1.0)
        stale = pd.DataFrame([row], columns=["run", "epoch", "split", "measure", "value"])
        found = study.table(pd.concat([study.training(), stale])).loc[RUN]
        assert found[["held_out_loss", "gap", "gap_change"]].isna().all()
        assert (found["verdict"], found["rule"]) == (UNDECIDED, "missing numbers")


def test_the_stage_that_faded_is_shown_even_where_another_one_is_lower_by_nature() -> None:
    study = Runs(1.0, 0.0).set(RUN, "stem", variance_over_epsilon=0.1).set(REFERENCE, "stem", variance_over_epsilon=0.1)
    assert study.verdicts()[RUN][1] == "nothing moved"
    row = study.set(RUN, "stage4", variance_over_epsilon=0.5).table().loc[RUN]
    assert (row["verdict"], row["variance_stage"], row["variance_over_epsilon"]) == ("attenuation", "stage4", 0.5)


def test_one_odd_step_among_the_late_ones_changes_nothing() -> None:
    study = Runs(1.0, 0.0)
    layers = study.layers()
    odd = (layers["epoch"] == EPOCHS) & (layers["run"] == RUN) & (layers["measure"] != "dead_kernels")
    layers.loc[odd, "value"] = 0.01
    assert study.table(layers=layers)["rule"].tolist() == ["nothing moved", "reference"]


def written(study: Runs, folder: Path) -> tuple[Any, pd.DataFrame]:
    """The tables as the jobs write and read them: the sweep, and the verdicts."""
    tables = {"runs": with_identity(pd.DataFrame(study.runs)), "training": study.training(), "layers": study.layers()}
    for name, table in tables.items():
        write_table(table, folder / f"{name}.tsv")
    judge_mechanisms(*(folder / f"{name}.tsv" for name in tables), folder / "mechanism.tsv")
    return read_sweep(folder / "runs.tsv"), read_table(folder / "mechanism.tsv", text=TEXT)


def test_the_table_is_the_same_when_written_and_read(tmp_path: Path) -> None:
    study = Runs(1.0, 0.1, 0.0, seeds=(1, 2)).set(RUN, "stage4", weight_norm=2.0, angular_update=0.002)
    _, judged = written(study, tmp_path)
    assert judged.columns.tolist() == COLUMNS
    pd.testing.assert_frame_equal(judged, study.table().reset_index(drop=True), check_dtype=False)


def test_the_report_counts_the_verdicts_and_shows_the_evidence_of_each_run(tmp_path: Path) -> None:
    study = Runs(1.0, 0.0, seeds=(1, 2)).set(RUN, "stage4", weight_norm=2.0, angular_update=0.002)
    sweep, judged = written(study.lose(RUN, 0.4, 0.45), tmp_path)
    assert mechanism_sentence(sweep, judged) == (
        "How did λ act, each run compared with λ = 0 with the same seed? By the rules below, at λ = 1: shorter "
        "weights, larger steps in 1 of 2, little effect in 1 of 2."
    )
    card = dict(mechanism_cards(judged)[RUN])
    acted = card.pop("How λ acted")
    assert acted.startswith("shorter weights, larger steps: In a normalised stage the weights are shorter")
    assert card == {
        "Compared with": "l2~0_seed~1",
        "Variance/ε, lowest": "200.00 (stem)",
        "Turn of a step": "×2.00 (stage 4)",
        "Length of weights": "×0.50",
        "Effective learning rate": "×1.00",
        "‖∇penalty‖ / ‖∇triplet‖, highest": "0.10 (stem)",
        "Dead kernels, most": "0.00",
        "Held-out loss, all triplets": "0.450 (-10 %)",
        "Gap to training triplets": "0.050 (-30 %)",
    }
    assert list(mechanism_cards(judged)) == list(judged["run"])
    sweep, judged = written(Runs(1.0, 0.01), tmp_path)
    assert mechanism_sentence(sweep, judged).endswith(
        "at λ = 1: little effect in 1 of 1. The effect of λ = 0.01 itself is unknown: no run has λ = 0."
    )
    sweep, judged = written(Runs(0.1), tmp_path)
    assert (mechanism_sentence(sweep, judged), mechanism_cards(judged)) == ("", {})


def test_every_normalised_stage_is_a_point_at_its_numbers(tmp_path: Path) -> None:
    study = Runs(1.0, 0.0).set(RUN, "stage4", weight_norm=2.0, angular_update=0.003, variance_over_epsilon=20.0)
    sweep, judged = written(study, tmp_path)
    figure = mechanism_figure(sweep, study.layers(), judged)
    points = {
        line.get_label(): (line.get_xdata()[0], line.get_ydata()[0])
        for line in figure.axes[0].lines
        if not str(line.get_label()).startswith("_")
    }
    stages = by_stage({RUN: REFERENCE, REFERENCE: REFERENCE}, study.layers()).set_index(["run", "group"])
    assert set(points) == {f"{run}:{group}" for run in (RUN, REFERENCE) for group in NORMALISED}
    assert points[f"{RUN}:stage4"] == pytest.approx((20.0, 3.0))
    for label, point in points.items():
        row = stages.loc[tuple(label.split(":"))]
        assert point == pytest.approx((row["variance_over_epsilon"], row["angular_update_ratio"]))
        assert figure.axes[0].get_xlim()[0] < point[0] < figure.axes[0].get_xlim()[1]
        assert figure.axes[0].get_ylim()[0] < point[1] < figure.axes[0].get_ylim()[1]
    words = "\n".join(text.get_text() for text in figure.texts)
    assert "shorter weights, larger steps (1 of 1)" in words
    assert "variance/ε 20, turn ×3, weights ×0.5, held-out loss +0%, gap +0%" in words


def test_a_sentence_stands_for_the_figure_where_l2_does_not_vary_and_gaps_are_no_obstacle(tmp_path: Path) -> None:
    sweep, judged = written(Runs(0.1), tmp_path)
    figure = mechanism_figure(sweep, Runs(0.1).layers(), judged)
    assert not figure.axes
    assert [text.get_text() for text in figure.texts] == [WITHOUT]
    alone = Runs(1.0, 0.0)
    alone.runs[0]["margin"], alone.runs[1]["margin"] = 1.0, 2.0
    sweep, judged = written(alone, tmp_path)
    assert set(judged["rule"]) == {"no reference"}
    figure = mechanism_figure(sweep, alone.layers(), judged)
    assert "no run can be compared with another" in [text.get_text() for text in figure.axes[0].texts]
    assert mechanism_sentence(sweep, judged) == (
        "How did λ act? By the rules below, at λ = 0, margin 2: undecided (no reference) in 1 of 1; "
        "at λ = 1, margin 1: undecided (no reference) in 1 of 1."
    )
    figure.canvas.draw()


@pytest.mark.parametrize(("value", "expected"), [(123.4, "120"), (0.0917, "0.092"), (2.0, "2"), (1.26, "1.3")])
def test_numbers_beside_the_squares_have_two_digits(value: float, expected: str) -> None:
    assert short(value) == expected
