"""The reference of the config, made of its model: a page for readers and a JSON schema for editors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from lambdascape.config.keys import key_of
from lambdascape.config.settings import Block, Config, block_of
from lambdascape.core.files import replace_text
from lambdascape.study.config_model import config_model, json_schema, rules_at
from lambdascape.study.messages import BOUNDS, KINDS

SCHEMA, PAGE = "workflow/schemas/config.schema.json", "config/README.md"
INTRODUCTION = """\
# Every key of the config

Made by `make reference` from the fields in `workflow/lib/lambdascape/config/settings.py`; do not edit it here.

`config.yaml` is the default study. A study of your own is a file with the keys that differ, laid over it:
`make run STUDY=my_study.yaml`. Unknown keys are refused. An editor that knows the YAML language server completes and
checks keys where the first line of the file names the schema, as that of `config.yaml` does.

*Published* is the value in the published study (Gröger 2020), as far as it is known. *Reruns* is the first stage that a
change runs again, with all that depends on it; "all" is a folder of its own.
"""
HEADER = ("Key", "Default", "Unit", "Allowed", "Published", "Reruns", "Description")
Place = tuple[str, ...]  # the names of blocks, outermost first


def reference_page(model: type[Config] | None = None) -> str:
    """The reference of all keys as Markdown.

    Args:
        model: the model of the config; None takes that without plugins.
    """
    used = model or config_model()
    schema = json_schema(used)
    parts = [INTRODUCTION, _table(used, (), schema)]
    for path, block, field in _blocks(used):
        default = " Default: `null`." if field.get_default(call_default_factory=True) is None else ""
        parts.append(f"{'#' * (len(path) + 1)} {'.'.join(path)}\n\n{field.description}{default}\n")
        parts.append(_table(block, path, schema))
    return "\n".join(part for part in parts if part)


def schema_text(model: type[Config] | None = None) -> str:
    """The JSON schema of the config as text.

    Args:
        model: the model of the config; None takes that without plugins.
    """
    return json.dumps(json_schema(model or config_model()), indent=1, ensure_ascii=False) + "\n"


def write_reference(checkout: str | Path) -> list[Path]:
    """Write the page and the schema where they belong in a checkout.

    Args:
        checkout: the folder of the Snakefile.

    Returns:
        The files that were written.
    """
    texts = {Path(checkout, SCHEMA): schema_text(), Path(checkout, PAGE): reference_page()}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, text)
    return list(texts)


def _blocks(model: type[Block], before: Place = ()) -> Iterator[tuple[Place, type[Block], FieldInfo]]:
    """Every block of a model: where it is, the block, and its field."""
    for name, field in model.model_fields.items():
        inner = block_of(field)
        if inner:
            yield (*before, name), inner, field
            yield from _blocks(inner, (*before, name))


def _table(model: type[Block], place: Place, schema: dict[str, Any]) -> str:
    """The keys of one block that hold values, as a table; empty where it has none."""
    rows = []
    for name, field in model.model_fields.items():
        if block_of(field):
            continue
        about = key_of(field)
        rows.append(
            (
                f"`{name}`" + (f" or `{about.also}`" if about.also else ""),
                "must be given" if field.is_required() else f"`{_yaml(field.default)}`",
                about.unit,
                _allowed(rules_at(schema, (*place, name)), schema, (*place, name)),
                "" if about.published is None else f"`{_yaml(about.published)}`",
                about.reruns or model.reruns,
                field.description or "",
            )
        )
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) if rows else ""


def _allowed(rules: list[dict[str, Any]], schema: dict[str, Any], path: tuple[int | str, ...]) -> str:
    """The values that a key may have, in words."""
    return " or ".join(dict.fromkeys(_in_words(rule, schema, path) for rule in rules))


def _in_words(rule: dict[str, Any], schema: dict[str, Any], path: tuple[int | str, ...]) -> str:
    values = rule.get("enum", [rule["const"]] if "const" in rule else [])
    if values:
        return ", ".join(f"`{value}`" for value in values)
    words = KINDS[rule["type"]]
    if rule["type"] == "array":
        return f"{words} of: {_allowed(rules_at(schema, (*path, 0)), schema, (*path, 0))}"
    if "pattern" in rule:
        return f"{words} of letters, digits, dots and hyphens"
    bounds = [f"{sign} {_yaml(rule[word])}" for word, sign in BOUNDS.items() if word in rule]
    return f"{words}, {', '.join(bounds)}" if bounds else words


def _yaml(value: Any) -> str:
    """A value as one writes it in a config."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, float):  # YAML 1.1 reads an exponent without a decimal point before it as text
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")
    return value if isinstance(value, str) else json.dumps(value)
