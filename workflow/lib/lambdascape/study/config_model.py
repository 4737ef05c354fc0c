"""The model that checks a config: the fields of `settings`, what plugins add, and a sweep typed by the swept blocks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import MinLen
from pydantic import ConfigDict, create_model
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict

from lambdascape.config.keys import block, key_of
from lambdascape.config.settings import EACH_ONCE, NOT_EMPTY, Block, ByEpoch, Config, SweepSettings, block_of, leaves
from lambdascape.study.sweep import PROBE_EPOCHS, SWEPT_BLOCKS


@dataclass(frozen=True, eq=False)
class Extensions:
    """What plugins add to the config.

    Attributes:
        values: further values of a key that lists them: `{"network.architecture": ("mine",)}`. Keys for which this is
            meant are `network.architecture`, `training.loss` and `dataset.adapter`.
        keys: new keys of a block, each with its type and its field: `{"training.temperature": (Number, key(0.1, "…"))}`
            or, for a probe, `{"probes.mine": (Mine | None, key(None, "…"))}` where `Mine` is a `Block`.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: Mapping[str, tuple[Any, FieldInfo]] = field(default_factory=dict)


NOTHING_ADDED = Extensions()


@cache
def config_model(extensions: Extensions = NOTHING_ADDED) -> type[Config]:
    """Make the model that checks a config.

    Args:
        extensions: what plugins add; its keys have the form `block.key`.

    Returns:
        A subclass of `Config` in which the axes and the arms of the sweep have the types of the keys that they set.

    Raises:
        ValueError: a key is added that is there already, values are added to a key that lists none, or a key stands in
            two of the swept blocks.
    """
    changed: dict[str, dict[str, Any]] = {}
    for path, values in extensions.values.items():
        name, inner, found = _field(path)
        known = get_args(found.annotation) if found and get_origin(found.annotation) is Literal else ()
        if found is None or not known:
            raise ValueError(f"values can be added to a key that lists its values; got {path}")
        changed.setdefault(name, {})[inner] = (Literal[(*known, *values)], found)
    for path, declared in extensions.keys.items():
        name, inner, found = _field(path)
        if found is not None:
            raise ValueError(f"an added key must be new; {path} is there already")
        changed.setdefault(name, {})[inner] = declared
    blocks = {name: _widened(block_of(Config.model_fields[name]), fields) for name, fields in changed.items()}
    swept = [blocks.get(name) or block_of(Config.model_fields[name]) for name in SWEPT_BLOCKS]
    blocks["sweep"] = _widened(SweepSettings, _points([one for one in swept if one]))
    fields = {name: (model, _holding(Config.model_fields[name], model)) for name, model in blocks.items()}
    return create_model("Config", __base__=Config, **fields)  # type: ignore[call-overload]


def json_schema(model: type[Config]) -> dict[str, Any]:
    """The JSON schema of a config, for editors and for the words of errors."""
    schema = _plain(model.model_json_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    _with_spellings(schema, model)
    return schema


def rules_at(schema: dict[str, Any], path: Iterable[int | str]) -> list[dict[str, Any]]:
    """The rules of a JSON schema that hold for one key; several for a key with several types.

    Args:
        schema: what `json_schema` returns.
        path: the names of blocks and key; a number stands for any entry of a list.
    """
    rules = _resolved(schema, schema)
    for part in path:
        inner = [rule.get("items") if isinstance(part, int) else _property(rule, part) for rule in rules]
        rules = [one for rule in inner if rule for one in _resolved(rule, schema)]
    return rules


def _property(rule: dict[str, Any], name: str) -> Any:
    return rule.get("properties", {}).get(name) or next(iter(rule.get("patternProperties", {}).values()), None)


def _resolved(rule: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in rule:
        return _resolved(schema["$defs"][rule["$ref"].rsplit("/", 1)[-1]], schema)
    if "anyOf" in rule:
        return [one for inner in rule["anyOf"] for one in _resolved(inner, schema)]
    return [rule]


def _field(path: str) -> tuple[str, str, FieldInfo | None]:
    """Block, key and field, None where the block has no such key, of an added value or key."""
    name, _, inner = path.partition(".")
    model = block_of(Config.model_fields[name]) if name in Config.model_fields else None
    if model is None or not inner.isidentifier():
        raise ValueError(f"an extension must name a key of a block, such as training.loss; got {path!r}")
    return name, inner, model.model_fields.get(inner)


def _widened(model: type[Block] | None, fields: dict[str, Any]) -> type[Block]:
    assert model is not None
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)


def _holding(found: FieldInfo, model: type[Block]) -> FieldInfo:
    """The field of a block, for another model of it."""
    made: FieldInfo = block(model, found.description or "")
    made.json_schema_extra = found.json_schema_extra
    return made


def _points(swept: list[type[Block]]) -> dict[str, Any]:
    """The fields `axes` and `arms` of the sweep, with the types of the keys of the swept blocks."""
    types: dict[str, Any] = {}
    for model in swept:
        for name, found in model.model_fields.items():
            if name in types:
                raise ValueError(
                    f"a key must stand in one of {', '.join(SWEPT_BLOCKS)} only; got {name} in two of them"
                )
            types[name] = _type_of(found)
    lists = {name: _list_of(one) | None for name, one in types.items()}
    arm = types | {PROBE_EPOCHS: _type_of(ByEpoch.model_fields["epochs"])}
    axes, arms = SweepSettings.model_fields["axes"], SweepSettings.model_fields["arms"]
    return {
        "axes": (Annotated[_mapping("Axes", lists), NOT_EMPTY], axes),
        "arms": (_list_of(Annotated[_mapping("Arm", arm), NOT_EMPTY]) | None, arms),
    }


def _list_of(kind: Any) -> Any:
    return Annotated[list[kind], MinLen(1), EACH_ONCE]


def _type_of(found: FieldInfo) -> Any:
    """The type of a field with its bounds, and its description for editors."""
    about = FieldInfo(description=found.description)
    return Annotated[(found.annotation, *found.metadata, about)]


def _mapping(name: str, types: dict[str, Any]) -> Any:
    """A mapping in which each key has a type and may be left out; what is left out is not filled in."""
    made = TypedDict(name, types, total=False)  # type: ignore[misc]
    made.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)  # type: ignore[attr-defined]
    return made


def _plain(node: Any) -> Any:
    """A schema without the titles that pydantic makes of names, and with rules that it left in its own words."""
    if isinstance(node, dict):
        words = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
        others = {"additionalProperties": False} if "patternProperties" in node else {}
        return others | {
            words.get(name, name): _plain(inner)
            for name, inner in node.items()
            if not (name == "title" and isinstance(inner, str))
        }
    return [_plain(inner) for inner in node] if isinstance(node, list) else node


def _with_spellings(schema: dict[str, Any], model: type[Block]) -> None:
    """Add the other spellings of keys, so that editors accept them."""
    places = [*schema["$defs"].values(), schema]
    spellings = {name: key_of(found).also for path, found, _ in leaves(model) for name in path.split(".")[-1:]}
    for place in places:
        properties = place.get("properties", {})
        for name, also in spellings.items():
            if also and name in properties:
                properties[also] = properties[name]
