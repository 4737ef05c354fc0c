"""Checks of a study's config that name the key, the rule and what arrived; all of them at once, before any job."""

import difflib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.datasets.archives import archives_of, downloadable
from lambdascape.features.tile_grid import seconds_to_frames, tile_frames
from lambdascape.study import sweep

YTE = "__use_yte__"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the quick one where it is built in
MOST_VALUES = 100_000  # of a config; a study of 1,000 explicit arms has fewer
DEMO_NAMES = (
    "demo",
    "Synthetic rooms in the layout of DCASE 2018 Task 5",
    "made by this workflow, free to use",
)
NEVER_PASSED_ON = ("dcase2018_task5",)  # academic use only, no passing on of the data or of modified data
# Settings that decide how long and by which schedule a network is trained.
BUDGET = ("epochs", "batch_size", "learning_rate", "lr_schedule", "lr_decay_steps", "lr_decay_rate")
KINDS = {
    "number": "a number",
    "integer": "a whole number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
    "null": "null",
}


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two configs as Snakemake merges them: block by block, the upper one's values last."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged


def problems(config: dict[str, Any], schema: dict[str, Any], files: Iterable[str] = ()) -> list[str]:
    """List everything that is wrong with a config.

    Args:
        config: the merged config, its defaults not yet filled in.
        schema: the JSON schema of the config.
        files: the config files as they were given, searched for what Snakemake would run as code.

    Returns:
        One line per problem; empty when the config can be used.
    """
    if _unfolded(config, {}) > MOST_VALUES:
        return [f"config: must hold no more than {MOST_VALUES:,} values; its anchors unfold to more"]
    found = [*_code_in(files), *_doubled_in(files), *not_finite(config)]
    errors = Draft202012Validator(schema).iter_errors(config)
    found += [
        line
        for error in sorted(errors, key=lambda error: [str(part) for part in error.path])
        for line in explain(error)
    ]
    return found or list(_contradictions(_with_defaults(config, schema)))


def arrange(config: dict[str, Any], schema: dict[str, Any]) -> None:
    """Bring the keys of a config into the schema's order, in place and at every depth.

    Snakemake compares mappings as text: in the order of whoever wrote them, keys that change places would train anew.

    Args:
        config: the merged config, its defaults filled in, in which nothing is wrong.
        schema: its JSON schema.
    """
    for key, rule in schema.get("properties", {}).items():
        if key in config:
            value = config[key] = config.pop(key)
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict):
                    arrange(inner, rule.get("items", rule))


def _code_in(files: Iterable[str]) -> Iterator[str]:
    for file in files:
        if YTE in Path(file).read_text(encoding="utf-8", errors="replace"):
            yield f"{YTE}: a config must be plain YAML, because this key runs Python code; got it in {file}"


def _doubled_in(files: Iterable[str]) -> Iterator[str]:
    """Name the keys that a file writes twice: YAML takes the last one and says nothing."""
    for file in files:
        try:
            root = yaml.compose(Path(file).read_text(encoding="utf-8", errors="replace"), Loader=LOADER)
        except yaml.YAMLError:  # no YAML, but something that Snakemake could read
            continue
        for key in _doubled(root, "", set()):
            yield f"{key}: must be written once; it stands twice in {file}, where the first would not count"


def _doubled(node: yaml.Node | None, key: str, seen: set[int]) -> Iterator[str]:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        names = [f"{key}.{name.value}".lstrip(".") for name, _ in node.value]
        yield from dict.fromkeys(name for name in names if names.count(name) > 1)
        for name, (_, value) in zip(names, node.value, strict=True):
            yield from _doubled(value, name, seen)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _doubled(value, f"{key}.{place}", seen)


def _unfolded(value: Any, known: dict[int, int]) -> int:
    """How many values a config has when each of its anchors is written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(entry, known) for entry in inner)
    return known[id(value)]


def not_finite(value: Any, key: str = "") -> Iterator[str]:
    """Name the numbers that are not finite: JSON has none, so that a schema cannot refuse them."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{key}: must be a finite number; got {value}"
    elif isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, entry in inner:
            yield from not_finite(entry, f"{key}.{name}".lstrip("."))


def explain(error: ValidationError) -> Iterator[str]:
    """Say what a schema found in the words of the reader of a config or of another YAML file."""
    key = ".".join(str(part) for part in error.absolute_path) or "config"
    rule: Any = error.validator_value  # jsonschema types it as a value that may be unset
    instance: Any = error.instance
    found = shown(instance)
    match error.validator:
        case "additionalProperties":
            yield from _unknown_keys(error)
        case "type":
            yield f"{key}: must be {_kinds(rule)}; got {found}{hint(instance, rule)}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            relation = {
                "minimum": "at least",
                "exclusiveMinimum": "above",
                "maximum": "at most",
                "exclusiveMaximum": "below",
            }
            yield f"{key}: must be {relation[error.validator]} {rule:g}; got {found}"
        case "maxProperties":
            yield f"{key}: must have no more than {rule} key; got {', '.join(map(str, instance))}"
        case "required":
            yield f"{key}: must have {' and '.join(name for name in rule if name not in instance)}"
        case "enum":
            yield f"{key}: must be one of {', '.join(rule)}; got {found}"
        case "uniqueItems":
            alike = any(isinstance(value, float) for value in instance)
            yield f"{key}: must name each value once{' (0.1 and 1.0e-1 are one value)' if alike else ''}; got {found}"
        case "minItems" | "minProperties" | "minLength":
            yield f"{key}: must not be empty; got {found}"
        case "pattern":
            yield f"{key}: must consist of letters, digits, dots and hyphens; got {found}"
        case "not":
            taken = ", ".join(rule["enum"])
            yield f"{key}: must not be one of {taken}, which name folders of the workflow; got {found}"
        case _:
            yield f"{key}: {error.message}"


def _unknown_keys(error: ValidationError) -> Iterator[str]:
    schema: Any = error.schema
    instance: Any = error.instance
    known = list(schema["properties"])
    for name in instance:
        if name not in known:
            key = ".".join([*(str(part) for part in error.absolute_path), str(name)])
            close = difflib.get_close_matches(str(name), known, 1)
            advice = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            yield f"{key}: must be a known key; {advice}"


def _kinds(rule: str | list[str]) -> str:
    return " or ".join(KINDS[kind] for kind in ([rule] if isinstance(rule, str) else rule))


def hint(value: Any, rule: str | list[str]) -> str:
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


def _with_defaults(config: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The config with the schema's defaults where a key is missing, at every depth."""
    filled = dict(config)
    for key, rule in schema.get("properties", {}).items():
        if "properties" in rule and rule["type"] == "object" and key not in ("axes", "arms"):
            filled[key] = _with_defaults(config.get(key, {}), rule)
        elif key not in filled and "default" in rule:
            filled[key] = rule["default"]
    return filled


def _contradictions(config: dict[str, Any]) -> Iterator[str]:
    """Rules between keys."""
    features, dataset = config["features"], config["dataset"]
    if features["win_length"] > features["n_fft"]:
        yield f"features.win_length: must be at most features.n_fft ({features['n_fft']}); got {features['win_length']}"
    highest = features["sr"] / 2
    if features["fmax"] > highest:
        yield f"features.fmax: must be at most half of features.sr ({highest:g} Hz); got {features['fmax']:g}"
    if features["fmin"] >= features["fmax"]:
        yield f"features.fmin: must be below features.fmax ({features['fmax']:g} Hz); got {features['fmin']:g}"
    demo = dataset["demo"]
    if demo["shortest_session"] > demo["longest_session"]:
        yield (
            f"dataset.demo.shortest_session: must be at most dataset.demo.longest_session ({demo['longest_session']}); "
            f"got {demo['shortest_session']}"
        )
    if demo["sessions_per_class"] < demo["folds"]:
        yield (
            f"dataset.demo.sessions_per_class: must be at least dataset.demo.folds ({demo['folds']}), so that every "
            f"fold tests every class; got {demo['sessions_per_class']}"
        )
    yield from _contradictions_of_source(dataset)
    yield from _borrowed_names(config)
    if config["compare_with"] == config["study"]:
        yield f"compare_with: must name another study than this one; got its own name, {config['study']!r}"
    if config["sweep"]["arms"] is None and not any(config["sweep"]["axes"].values()):
        yield "sweep.axes: must have at least one axis with values; got none"
        return
    try:
        runs = sweep.expand(config["sweep"], config)
        yield from _contradictions_of_protocol(config, runs)
        for slug, run in runs.items():
            yield from (f"{line} (run {slug})" for line in _contradictions_of(run, features))
    except InputError as error:
        yield str(error)


def _contradictions_of_protocol(config: dict[str, Any], runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Rules of the two protocols, and of the published probe's tiles."""
    probe, protocol = config["probes"]["by_epoch"], config["protocol"]
    if probe["tiles"] == "triplets" and probe["batch_size"] % 3:
        yield (
            "probes.by_epoch.batch_size: must be a multiple of 3 where its tiles are those of triplets; got "
            f"{probe['batch_size']}"
        )
    if protocol == "as_published":
        for key, value in (("tiles", "triplets"), ("double_softmax", True)):
            if probe[key] != value:
                rule = f"must be {str(value).lower()} under protocol: as_published"
                yield f"probes.by_epoch.{key}: {rule}; got {shown(probe[key])}"
        others = {run["training"]["batch_statistics"] for run in runs.values()} - {"moving"}
        if others:
            yield f"training.batch_statistics: must be moving under protocol: as_published; got {min(others)}"
    if protocol == "strict":
        yield from _several_budgets(runs)
        seeds, least = len(config["sweep"]["seeds"]), config["sweep"]["least_seeds"]
        if seeds < least:
            yield f"sweep.seeds: must be at least {least} (sweep.least_seeds) under protocol: strict; got {seeds}"


def _several_budgets(runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What gives the runs of a strict study more than one schedule or budget."""
    if any(run["training"]["early_stopping"] is not None for run in runs.values()):
        yield "training.early_stopping: must be null under protocol: strict, for it gives each run epochs of its own"
    for key in BUDGET:
        found = list(dict.fromkeys(run["training"][key] for run in runs.values()))
        if len(found) > 1:
            values = ", ".join(map(str, found))
            rule = "must be the same for all runs under protocol: strict (one schedule, one budget)"
            yield f"sweep: {key} {rule}; got {values}"
    if len({run.get(sweep.PROBE_EPOCHS) for run in runs.values()}) > 1:
        yield f"sweep.arms: {sweep.PROBE_EPOCHS} must be the same for all arms under protocol: strict"


def _contradictions_of_source(dataset: dict[str, Any]) -> Iterator[str]:
    """Rules about where the audio comes from: made here, downloaded, or there already."""
    adapter, path = dataset["adapter"], dataset["path"]
    if dataset["download"] and not archives_of(adapter):
        listed = [name for name in downloadable() if name in declared("adapter")]
        yield (
            f"dataset.download: must be false for the adapter {adapter}, of which no archives with a known digest are "
            f"listed (they are for {', '.join(listed)}); got true. Name the folder of the audio in dataset.path"
        )
    elif dataset["download"] and path is not None:
        yield f"dataset.path: must be null where dataset.download is true, which unpacks under results/; got {path!r}"
    elif not dataset["download"] and adapter != "demo" and path is None:
        yield f"dataset.path: must name the folder of the audio for the adapter {adapter}; got null"
    if not dataset["keep_audio"] and not dataset["download"]:
        yield "dataset.keep_audio: must be true where dataset.download is false, for your own audio stays; got false"
    if dataset["redistributable"] and adapter in NEVER_PASSED_ON:
        yield f"dataset.redistributable: must be false for {adapter}, whose audio may not be passed on; got true"
    if dataset["archives"] is not None and not dataset["download"]:
        yield f"dataset.archives: must be null where dataset.download is false; got {dataset['archives']!r}"


def _borrowed_names(config: dict[str, Any]) -> Iterator[str]:
    """Other audio must not appear under the demo's names: its results would stand in the demo's place."""
    dataset = config["dataset"]
    if dataset["adapter"] == "demo":
        return
    names = {"study": config["study"]} | {f"dataset.{key}": dataset[key] for key in ("name", "title", "licence")}
    for key, value in names.items():
        if value in DEMO_NAMES:
            yield f"{key}: must be your own for the adapter {dataset['adapter']}; got the demo's, {value!r}"


def _contradictions_of(run: dict[str, Any], recipe: dict[str, Any]) -> Iterator[str]:
    tile_s, neighbourhood_s = run["triplets"]["tile_s"], run["triplets"]["neighbourhood_s"]
    if run["network"]["input"] == "mfcc" and run["network"]["n_mfcc"] > recipe["n_mels"]:
        rule = f"must be at most features.n_mels ({recipe['n_mels']}) where the input is mfcc"
        yield f"network.n_mfcc: {rule}; got {run['network']['n_mfcc']}"
    if neighbourhood_s < tile_s:
        yield f"triplets.neighbourhood_s: must be at least tile_s ({tile_s:g} s); got {neighbourhood_s:g}"
    try:
        tile_frames(tile_s, recipe)
        seconds_to_frames(tile_s, recipe)
        seconds_to_frames(neighbourhood_s, recipe)
    except InputError as error:
        yield f"triplets: {error}"
