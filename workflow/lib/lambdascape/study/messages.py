"""Errors about a YAML file in plain words: the key, the rule and what arrived."""

import difflib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

KINDS = {
    "number": "a number",
    "integer": "a whole number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
    "null": "null",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def explain(error: ValidationError) -> Iterator[str]:
    """Say what a JSON schema found in the words of the reader of a YAML file."""
    key = ".".join(str(part) for part in error.absolute_path) or "config"
    rule: Any = error.validator_value  # jsonschema types it as a value that may be unset
    schema: Any = error.schema
    arrived: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = list(schema["properties"])
            for name in arrived:
                if name not in known:
                    yield unknown_key(".".join([*(str(part) for part in error.absolute_path), str(name)]), known)
        case "maxProperties":
            yield f"{key}: must have no more than {rule} key; got {', '.join(map(str, arrived))}"
        case "required":
            yield missing(key, [name for name in rule if name not in arrived])
        case _:
            yield sentence(key, str(error.validator), rule, arrived) or f"{key}: {error.message}"


def sentence(key: str, word: str, rule: Any, arrived: Any) -> str:
    """Say which rule a value breaks.

    Args:
        key: where the value is, such as `training.margin`.
        word: the rule's name in JSON Schema, such as `minimum`.
        rule: what the rule asks for, such as 0.
        arrived: the value.

    Returns:
        A line; empty for a rule that has no words here.
    """
    got = f"got {shown(arrived)}"
    match word:
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            return f"{key}: must be {' or '.join(KINDS[kind] for kind in kinds)}; {got}{hint(arrived, rule)}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"{key}: must be {BOUNDS[word]} {rule:g}; {got}"
        case "finite":
            return f"{key}: must be a finite number; got {arrived}"
        case "enum":
            return f"{key}: must be one of {', '.join(map(str, rule))}; {got}"
        case "uniqueItems":
            alike = any(isinstance(value, float) for value in arrived)
            return f"{key}: must name each value once{' (0.1 and 1.0e-1 are one value)' if alike else ''}; {got}"
        case "minItems" | "minProperties" | "minLength":
            least = "not be empty" if rule == 1 else f"have at least {rule} entries"
            return f"{key}: must {least}; {got}"
        case "pattern":
            return f"{key}: must consist of letters, digits, dots and hyphens; {got}"
        case "not":
            return f"{key}: must not be one of {', '.join(rule['enum'])}, which name folders of the workflow; {got}"
    return ""


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Say that a key is unknown, and which known one is close to it.

    Args:
        key: where it is, such as `network.widths`.
        known: the keys that may be there.
    """
    close = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, 1)
    advice = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    return f"{key}: must be a known key; {advice}"


def missing(key: str, names: Iterable[str]) -> str:
    """Say which keys a mapping lacks."""
    return f"{key}: must have {' and '.join(names)}"


def not_finite(value: Any, key: str = "") -> Iterator[str]:
    """Name the numbers that are not finite: JSON has none, so that a JSON schema cannot refuse them."""
    if isinstance(value, float) and not math.isfinite(value):
        yield sentence(key, "finite", None, value)
    elif isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, entry in inner:
            yield from not_finite(entry, f"{key}.{name}".lstrip("."))


def hint(value: Any, rule: str | Sequence[str]) -> str:
    """What to do where a text arrived that means a number."""
    try:
        number = float(value) if isinstance(value, str) and rule != "string" else None
    except ValueError:
        return ""
    if number is None:
        return ""
    if "e" in value.lower():
        return f" (YAML reads {value} as text: write {_with_point(number)})"
    return " (values nested in --config arrive as text: write them in a file and give it by --configfile)"


def _with_point(value: float) -> str:
    """A number as YAML 1.1 reads it: an exponent needs a decimal point before it."""
    text = f"{value:g}"
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    text = "null" if value is None else f"the text {value!r}" if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
