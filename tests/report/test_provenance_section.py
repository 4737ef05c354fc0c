"""What the report says of where a study comes from: time and device, refused files, what is not as published."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from lambdascape.config.settings import Config
from lambdascape.core.errors import InputError
from lambdascape.core.files import write_text
from lambdascape.report.provenance_section import citations, duration, rejects, times
from lambdascape.report.settings_section import DIFFERENT, differences, table_1
from lambdascape.study.hyperparameters import OWN_CHOICE, Hyperparameter, reason, table_1_rows
from support.studies import FakeStudy

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def test_a_stage_has_the_sum_of_its_times_and_the_devices_of_its_jobs(tmp_path: Path) -> None:
    jobs = (("a", "Card A", "30.0"), ("b", "Card B", "31.4"), ("c", "Card A", "-"), ("d", None, "30.0"))
    for k, (name, device, seconds) in enumerate(jobs):
        write_text(f"s\tmax_rss\n{seconds}\t10{k}.0\n", tmp_path / "benchmarks/demo/models" / f"{name}.tsv")
        if device:  # what lasted only for a while leaves no receipt
            about = {"params": {}, "inputs": {}, "outputs": {}, "device": device}
            write_text(json.dumps(about), tmp_path / "receipts/demo/models" / f"{name}.json")
    rows = times({"models": tmp_path / "benchmarks/demo/models", "probes": tmp_path / "benchmarks/demo/probes"}).rows
    assert rows == [
        ["models", "Card A, Card B", "4", "1 min 31 s", "103 MB"],
        ["probes", "–", "0", "–", "–"],
        ["all", "", "4", "1 min 31 s", ""],
    ]
    known = {0.04: "0.0 s", 4.0: "4.0 s", 59.94: "59.9 s", 61: "1 min 01 s", 3600: "1 h 00 min", 90061: "25 h 01 min"}
    assert {seconds: duration(seconds) for seconds in known} == known


def test_refused_files_are_counted_by_rule() -> None:
    clips = pd.DataFrame({"clip": ["a", "b", "c", "d", "e", "f", "g"]})
    rejected = pd.DataFrame({"path": ["x", "y", "z"], "rule": ["it is whole", "it has frames", "it is whole"]})
    assert rejects(clips, rejected) == "3 of 10 (30.0 %), by the rules: it is whole (2), it has frames (1)"
    assert rejects(clips, rejected.head(0)) == "none of 7 clips"


def test_the_software_is_cited_first_then_what_it_starts_from() -> None:
    software, *others = citations(ROOT)
    assert software.startswith("The lambdascape authors. lambdascape: how the L2 factor")
    assert software.endswith(", version 0.1.0.")
    assert others[0] == (
        "Gröger, Fabian (2020). Study doc: regularisation experiment. "
        "Lucerne University of Applied Sciences and Arts (HSLU)."
    )
    assert others[1].endswith("doi:10.5281/zenodo.1247102.")
    assert "Proceedings of the Detection" in others[2]


def test_without_the_file_nothing_is_cited_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert citations(tmp_path) == []
    for broken in ("title: [", "- a list", "title: no authors"):
        (tmp_path / "CITATION.cff").write_text(broken)
        with pytest.raises(InputError, match=r"CITATION\.cff: must be in the Citation File Format"):
            citations(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "published", "words"),
    [
        ("network.width", 8, 64, "narrower"),
        ("network.width", 128, 64, "wider"),
        ("network.l2", [1.0, 0.1, 0.01, 0.0], [1.0, 0.1, 0.01], "others beside them"),
        ("network.l2", [0.5], [1.0, 0.1, 0.01], "Another grid"),
        ("training.epochs", 8, [50, 30], "Fewer epochs"),
        ("training.epochs", 50, [50, 30], "One budget"),
        ("training.epochs", 90, [50, 30], "More epochs"),
        ("sweep.seeds", [1, 2], [1234], "Several seeds"),
        ("sweep.seeds", [7], [1234], "One seed"),
        ("training.margin", [0.5, 2.0], 1.0, "asked about"),
        ("training.margin", 0.5, 1.0, OWN_CHOICE),
        ("network.dropout", 0.7, 0.5, OWN_CHOICE),
        ("network.dropout", None, 0.5, OWN_CHOICE),
        ("nothing.known", 1, 2, OWN_CHOICE),
    ],
)
def test_the_reason_fits_the_value(key: str, value: Any, published: Any, words: str) -> None:
    known = {one.key: one for rows in table_1_rows().values() for one in rows}
    one = known.get(key, Hyperparameter(key, key, published=published))
    assert one.published == published
    assert words in reason(one, value)


def test_what_differs_is_told_with_both_values_and_a_reason(study: FakeStudy) -> None:
    groups = table_1(Config.of(CONFIG), study.frame_of_runs(), study.sweep)
    table = differences(groups)
    assert table is not None
    different = [row["name"] for rows in groups.values() for row in rows if row["compared"] == DIFFERENT]
    assert len(different) > 10
    told = {row[0]: row[1:] for row in table.rows}
    assert set(different) <= set(told)
    assert told["Width of the network"][:2] == ["8 filters of the stem", "64 filters of the stem"]
    assert "Embedding dimension" not in told  # as published
    assert all(
        row[3] not in ("", OWN_CHOICE) for row in table.rows
    )  # what this project sets by default, it can explain


def test_a_study_as_published_has_no_differences(tmp_path: Path) -> None:
    row = {"name": "Margin", "value": "1", "published": "1", "compared": "same", "why": ""}
    assert differences({"Training": [row]}) is None
