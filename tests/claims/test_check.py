"""A claims file is refused with the file, the claim, the key, the rule and what arrived."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lambdascape.claims.check import find, problems
from lambdascape.config.settings import Config
from support.claims import MARGIN, REGULARISATION, ROOT, written

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/claims.schema.yaml").read_text())
CONFIG = Config.of(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.mark.parametrize("path", [REGULARISATION, MARGIN])
def test_the_claims_of_the_repository_have_no_problem(path: Path) -> None:
    assert problems([path], SCHEMA, CONFIG) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("about", "margins", "about: must be a key of triplets, network or training; did you mean margin?"),
        ("about", "input", "claim 1, test.highest: must be a value of input, which has no order"),
        ("claims", [], "claims: must not be empty"),
        ("measures.loss.table", "trainings", "measures.loss.table: must be one of training, probe_epochs"),
        ("measures.loss.at", None, "measures.loss.at: must be one of last"),
        ("measures.f1.at", "last", "measures.f1.at: must be left out, because scores does not go by epoch; got last"),
        ("measures.loss.where", {"fold": "1"}, "measures.loss.where: must name columns of training (split); got fold"),
        ("measures.f1.measure", "macrof1", "got the text 'macrof1'; did you mean macro_f1?"),
        ("measures.loss.where.split", "tain", "got the text 'tain'; did you mean train?"),
        ("measures.loss.also", "los_all", "measures.loss.also: must be a measure of training (loss, loss_all, "),
        ("measures.loss.also", "loss", "must be another measure than measure; got loss twice"),
        ("measures.loss.also", 3, "measures.loss.also: must be text; got 3"),
        ("measures.loss.published", "loss", "measures.loss.published: must be a figure of the published curves (trip"),
        ("about", "margin", "measures.loss.published: must be left out where about is not l2"),
        ("ends", ["1"], "ends.0: must be a number; got the text '1'"),
        ("ends", [], "ends: must not be empty"),
        ("claims.0.sentence", "With {biggest}.", "claim 1, sentence: must name in braces one of largest"),
        ("claims.0.sentence", "With {largest.", "claim 1, sentence: must have its braces in pairs"),
        ("claims.0.measured", ["los"], "claim 1, measured: must be names of measures (loss, mean_loss"),
        ("claims.0.measured", ["loss_curve"], "claim 1, measured: must not be measures at: curve for the test highest"),
        ("claims.7.measured", ["loss"], "claim 8, measured: must be measures at: curve for the test still_falling"),
        ("claims.0.measured", ["loss_kept"], "claim 1, measured: must not be measures at: every for the test highest"),
        ("claims.8.measured", ["loss"], "claim 9, measured: must be two measures for the test correlates; got 1"),
        ("claims.0.test", {"highst": "largest"}, "claim 1, test.highst: must be a known key; did you mean highest?"),
        ("claims.0.test", {"highest": "larges"}, "claim 1, test.highest: must be a value of l2, a number, or one of"),
        ("claims.0.test", {"highest": "1e-2"}, "got the text '1e-2' (YAML reads 1e-2 as text: write 0.01)"),
        ("claims.0.test", {"highest": "largest", "lowest": 1.0}, "claim 1, test: must have no more than 1 key; got"),
        ("claims.0.test", {}, "claim 1, test: must not be empty"),
        ("claims.0.refuted_when", None, "claim 1: must have refuted_when"),
        ("claims.0.refuted_when", 3, "claim 1, refuted_when: must be text; got 3"),
        ("claims.6.test.differs_at_most.share", None, "test.differs_at_most: must have either margin or share"),
        ("claims.6.test.differs_at_most.share", -1, "claim 7, test.differs_at_most.share: must be above 0; got -1"),
        ("claims.6.test.differs_at_most.share", float("nan"), "must be a finite number"),
        ("claims.1.test.ordered", "up", "claim 2, test.ordered: must be one of rising, falling; got the text 'up'"),
    ],
)  # fmt: skip
def test_errors_in_a_claims_file_are_named(key: str, value: Any, message: str, tmp_path: Path) -> None:
    content = yaml.safe_load(REGULARISATION.read_text())
    *blocks, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    place = content
    for block in blocks:
        place = place[block]
    if value is None:
        del place[last]
    else:
        place[last] = value
    found = problems([written(content, tmp_path)], SCHEMA, CONFIG)
    assert any(message in line for line in found), found
    assert all(line.startswith(f"{tmp_path / 'mine.yaml'}: ") for line in found)


def test_several_errors_are_told_at_once(tmp_path: Path) -> None:
    path = written({"about": "l2", "claims": [{}], "measure": {}}, tmp_path)
    found = "\n".join(problems([path], SCHEMA, CONFIG))
    for words in (
        "the file: must have measures",
        "claim 1: must have sentence and measured and test and refuted_when",
        "measure: must be a known key; did you mean measures?",
    ):
        assert words in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about: [", "must be a YAML file of claims"),
        ("about: l2\nabout: margin\n", "each key must be given once; about is not"),
        ("- a\n", "the file: must be a mapping of keys; got ['a']"),
        ("", "the file: must be a mapping of keys; got null"),
    ],
)
def test_a_file_that_is_no_claims_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    (found,) = problems([path], SCHEMA, CONFIG)
    assert found.startswith(str(path))
    assert message in found


def test_a_claims_file_is_looked_for_here_and_in_the_checkout(tmp_path: Path) -> None:
    here, checkout = tmp_path / "here", tmp_path / "checkout"
    for folder in (here, checkout):
        folder.mkdir()
    (checkout / "c.yaml").write_text("about: l2")
    assert find("c.yaml", [here, checkout]) == [str(checkout / "c.yaml")]
    (here / "c.yaml").write_text("about: l2")
    assert find("c.yaml", [here, checkout]) == [str(here / "c.yaml")]
    assert find(None, [here]) == []
    (found,) = problems(find("d.yaml", [here]), SCHEMA, CONFIG)
    assert found == "claims: must name a file in the working directory or in the checkout; there is no d.yaml"
