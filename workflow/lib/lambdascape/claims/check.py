"""Checks of a claims file that name the claim, the key, the rule and what arrived, all at once, before any job."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from jsonschema import Draft202012Validator

from lambdascape.claims.form import GROUPS, ON_CURVES, ON_THE_ORDER, PLACES, load, places_in
from lambdascape.claims.vocabulary import BY_EPOCH, unknown
from lambdascape.config.settings import Config
from lambdascape.core.errors import InputError
from lambdascape.study.messages import explain, hint, not_finite, shown
from lambdascape.study.sweep import SWEPT_BLOCKS


def find(name: str | None, places: Iterable[str | Path]) -> list[str]:
    """The claims file that the config names, under the first of the places where it is; none where it names none."""
    if name is None:
        return []
    found = [os.path.normpath(Path(place, name)) for place in places if Path(place, name).is_file()]
    return found[:1] or [name]


def problems(paths: Iterable[str | Path], schema: dict[str, Any], config: Config) -> list[str]:
    """List everything that is wrong with claims files.

    Args:
        paths: the files.
        schema: the JSON schema of claims files.
        config: the study's config, whose blocks contain the hyperparameters.

    Returns:
        One line per problem, each with its file; empty when the claims can be judged.
    """
    return [line for path in paths for line in _problems(path, schema, config)]


def _problems(path: str | Path, schema: dict[str, Any], config: Config) -> list[str]:
    if not Path(path).is_file():
        return [f"claims: must name a file in the working directory or in the checkout; there is no {path}"]
    try:
        content = load(path)
    except InputError as error:
        return [str(error)]
    errors = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda error: list(map(str, error.path)))
    found = [*not_finite(content), *(line for error in errors for line in explain(error))]
    found = found or list(_contradictions(content, config))
    return [f"{path}: {_numbered(line)}" for line in dict.fromkeys(found)]


def _numbered(line: str) -> str:
    """A line with its claim as the reader counts it: `claims.0.test.highest` is claim 1, test.highest."""
    line = re.sub(r"^claims\.(\d+)\.?", lambda found: f"claim {int(found[1]) + 1}, ", line)
    line = re.sub(r"^(claim \d+), :", r"\1:", line)
    return re.sub(r"^config:", "the file:", line)


def _contradictions(content: dict[str, Any], config: Config) -> Iterator[str]:
    """Rules between keys."""
    about = content["about"]
    known = {key: value for block in SWEPT_BLOCKS for key, value in getattr(config, block).plain().items()}
    if about not in known:
        close = difflib.get_close_matches(about, known, 1)
        advice = f"did you mean {close[0]}?" if close else f"got {about!r}"
        yield f"about: must be a key of {', '.join(SWEPT_BLOCKS[:-1])} or {SWEPT_BLOCKS[-1]}; {advice}"
        return
    for name, measure in content["measures"].items():
        yield from _measure(f"measures.{name}", measure, about, config.plugins)
    is_number = known[about] is None or _is_number(known[about])  # null: no early stopping
    for number, claim in enumerate(content["claims"]):
        for line in _claim(claim, content["measures"], about, is_number):
            yield f"claims.{number}.{line}"


def _measure(key: str, measure: dict[str, Any], about: str, plugins: Sequence[str]) -> Iterator[str]:
    table = measure["table"]
    yield from unknown(key, measure, plugins)
    if "published" in measure and about != "l2":
        yield f"{key}.published: must be left out where about is not l2, as the published curves are; got {about}"
    if table in BY_EPOCH and "at" not in measure:
        yield f"{key}.at: must be one of last, mean, convergence, every, curve, because {table} goes by epoch; got none"
    if table not in BY_EPOCH and "at" in measure:
        yield f"{key}.at: must be left out, because {table} does not go by epoch; got {measure['at']}"


def _claim(claim: dict[str, Any], measures: dict[str, Any], about: str, is_number: bool) -> Iterator[str]:
    yield from _sentence(claim["sentence"])
    ((kind, given),) = claim["test"].items()
    for name in claim["measured"]:
        if name not in measures:
            yield f"measured: must be names of measures ({', '.join(measures)}); got {name!r}"
        elif (measures[name].get("at") == "curve") != (kind in ON_CURVES):
            rule = "must be measures at: curve" if kind in ON_CURVES else "must not be measures at: curve"
            yield f"measured: {rule} for the test {kind}; got {name}"
        elif measures[name].get("at") == "every" and kind != "correlates":
            yield f"measured: must not be measures at: every for the test {kind}; got {name}"
    if kind == "correlates" and len(claim["measured"]) != 2:
        yield f"measured: must be two measures for the test correlates; got {len(claim['measured'])}"
    if kind == "differs_at_most" and ("margin" in given) == ("share" in given):
        yield f"test.{kind}: must have either margin or share; got {'both' if 'margin' in given else 'neither'}"
    if kind in ON_THE_ORDER and not is_number:
        yield f"test.{kind}: must be about a hyperparameter that is a number; {about} is none"
    for place in places_in(kind, given):
        yield from _place(f"test.{kind}", place, kind in ON_CURVES, about, is_number)


def _sentence(sentence: str) -> Iterator[str]:
    try:
        named = [name for _, name, _, _ in Formatter().parse(sentence) if name is not None]
    except ValueError as error:
        yield f"sentence: must have its braces in pairs; {error}"
        return
    for name in named:
        if name not in PLACES:
            yield f"sentence: must name in braces one of {', '.join(PLACES)}; got {{{name}}}"


def _place(key: str, place: Any, groups: bool, about: str, is_number: bool) -> Iterator[str]:
    words = [*PLACES, *GROUPS] if groups else list(PLACES)
    if is_number and not _is_number(place) and place not in words:
        rule = f"must be a value of {about}, a number, or one of {', '.join(words)}"
        yield f"{key}: {rule}; got {shown(place)}{hint(place, 'number')}"
    if not is_number and (_is_number(place) or place in PLACES or place in GROUPS[1:]):
        yield f"{key}: must be a value of {about}, which has no order and no numbers; got {shown(place)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
