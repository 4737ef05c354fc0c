"""The form of a claims file: statements about a hyperparameter, what each measures and how it is tested."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lambdascape.core.errors import InputError

# Places on the grid of a hyperparameter that is a number, in words for a grid that is not known.
PLACES = {
    "largest": "the largest",
    "second_largest": "the second largest",
    "second_smallest": "the second smallest",
    "smallest": "the smallest",
}
GROUPS = ("all", "below_largest", "above_smallest")
ON_CURVES = ("still_falling", "has_converged")  # tests of a curve's end
ON_THE_ORDER = ("ordered", "best_inside")  # tests that need values with an order


@dataclass(frozen=True)
class MeasuredQuantity:
    """A number of each run, or a curve.

    Attributes:
        name: in words, for the ledger.
        table: the table of the study that holds it.
        measure: its name in that table.
        where: column to value of the rows to take.
        at: of a table by epoch: `last`, `mean` (over the epochs that all runs share), `convergence` (the epoch from
            which on the curve stays near its end), `every` (epoch, for a correlation) or `curve`; empty for others.
        also: a second measure of the same table and rows by which a claim has to hold too; empty for none.
        published: the figure of the published curves that shows it; empty where none does.
    """

    name: str
    table: str
    measure: str
    where: dict[str, Any]
    at: str = ""
    also: str = ""
    published: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement and how it is tested.

    Attributes:
        number: its place in the file, from 1.
        sentence: the statement; `{largest}` and the other `PLACES` stand for values of the hyperparameter.
        measured: what is measured; where there are several, the claim is about each of them.
        kind: name of the test.
        given: what the file gives to the test.
        refuted_when: what would refute the claim, in words.
    """

    number: int
    sentence: str
    measured: tuple[MeasuredQuantity, ...]
    kind: str
    given: Any
    refuted_when: str


@dataclass(frozen=True)
class Claims:
    """A claims file.

    Attributes:
        about: the hyperparameter.
        source: who made the claims.
        claims: the claims.
        ends: values of the hyperparameter beyond which there are none, beside 0.
    """

    about: str
    source: str
    claims: tuple[Claim, ...]
    ends: tuple[float, ...] = ()


def load(path: str | Path) -> Any:
    """The plain content of a claims file.

    Raises:
        InputError: the file cannot be read, is no YAML, or names a key twice.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: must be a YAML file of claims; {' '.join(str(error).split())}") from None


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key that is given twice, of which the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: each key must be given once; {twice[0]} is not")
        return super().construct_mapping(node, deep)


def read_claims(path: str | Path) -> Claims:
    """Read a claims file in which `check.problems` found nothing wrong."""
    content = load(path)
    measures = {key: _measure(value) for key, value in content["measures"].items()}
    claims = []
    for number, entry in enumerate(content["claims"], start=1):
        ((kind, given),) = entry["test"].items()
        measured = tuple(measures[name] for name in entry["measured"])
        claims.append(Claim(number, entry["sentence"], measured, kind, given, entry["refuted_when"]))
    return Claims(content["about"], content.get("source", ""), tuple(claims), tuple(content.get("ends", ())))


def _measure(entry: dict[str, Any]) -> MeasuredQuantity:
    optional = {key: entry.get(key, "") for key in ("at", "also", "published")}
    return MeasuredQuantity(entry["name"], entry["table"], entry["measure"], entry.get("where", {}), **optional)


def places_in(kind: str, given: Any) -> list[Any]:
    """The places on the grid that a test names: words of `PLACES` or `GROUPS`, or values of the hyperparameter."""
    if kind in ("highest", "lowest"):
        return [given]
    if kind in ("at_least", "at_most"):
        return [given["place"]]
    if kind == "differs_at_most":
        return list(given["places"])
    return list(given) if kind in ON_CURVES else []
