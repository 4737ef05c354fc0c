"""Checks of a study's config that name the key, the rule and what arrived; all of them at once, before any job."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pydantic
import yaml
from pydantic_core import ErrorDetails

from lambdascape.config.keys import key_of
from lambdascape.config.settings import (
    RESERVED,
    Block,
    ByEpoch,
    Config,
    Dataset,
    FeatureRecipe,
    Network,
    Training,
    Triplets,
    block_of,
)
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.datasets.archives import archives_of, downloadable
from lambdascape.features.tile_grid import seconds_to_frames, tile_frames
from lambdascape.study import sweep
from lambdascape.study.config_model import (
    NOTHING_ADDED,
    Extensions,
    config_model,
    json_schema,
    rules_at,
)
from lambdascape.study.messages import missing, sentence, shown, unknown_key

YTE = "__use_yte__"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the quick one where it is built in
MOST_VALUES = 100_000  # of a config; a study of 1,000 explicit arms has fewer
NEVER_PASSED_ON = ("dcase2018_task5",)  # academic use only, no passing on of the data or of modified data
# Type of an error of pydantic: the rule's name in JSON Schema, and where pydantic has what the rule asks for.
RULES = {
    "greater_than_equal": ("minimum", "ge"),
    "greater_than": ("exclusiveMinimum", "gt"),
    "less_than_equal": ("maximum", "le"),
    "less_than": ("exclusiveMaximum", "lt"),
    "too_short": ("minItems", "min_length"),
    "string_too_short": ("minLength", "min_length"),
    "empty": ("minProperties", ""),
    "string_pattern_mismatch": ("pattern", "pattern"),
    "finite_number": ("finite", ""),
    "each_once": ("uniqueItems", ""),
}
OF_KEY = "[key]"  # how pydantic names the name of an entry of a mapping


class ConfigError(InputError):
    """A config that cannot be used.

    Attributes:
        problems: one line for each problem.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n  ".join(["The config cannot be used:", *problems]))
        self.problems = problems


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Two configs as Snakemake merges them: block by block, the upper one's values last."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged


def check(config: dict[str, Any], files: Iterable[str] = (), extensions: Extensions = NOTHING_ADDED) -> Config:
    """Check a config and fill in the defaults.

    `model_dump()` of what is returned has plain values in the order of the model, whatever the order in which the keys
    were written: Snakemake compares mappings as text, and keys that change places must not train anew.

    Args:
        config: the merged config, its defaults not yet filled in.
        files: the config files as they were given, searched for what Snakemake would run as code.
        extensions: what plugins add to the config.

    Raises:
        ConfigError: something is wrong with the config; all problems are listed.
    """
    if _unfolded(config, {}) > MOST_VALUES:
        raise ConfigError([f"config: must hold no more than {MOST_VALUES:,} values; its anchors unfold to more"])
    model = config_model(extensions)
    found = [*_code_in(files), *_doubled_in(files)]
    given, several = _in_one_spelling(config, model)
    found += several
    try:
        checked = model.model_validate(given)
    except pydantic.ValidationError as error:
        raise ConfigError([*found, *_lines(error, given, json_schema(model))]) from None
    found = found or list(_contradictions(checked))
    if found:
        raise ConfigError(found)
    return checked


def _in_one_spelling(given: Any, model: type[Block], before: str = "") -> tuple[Any, list[str]]:
    """A config with the usual spelling of keys that have two, and what is wrong with their use."""
    if not isinstance(given, dict):
        return given, []
    found = dict(given)
    problems: list[str] = []
    for name, field in model.model_fields.items():
        inner, also = block_of(field), key_of(field).also
        if also and also in found:
            other = found.pop(also)
            # The default config has the usual spelling; a study that is laid over it may have the other one.
            if found.setdefault(name, other) == field.get_default(call_default_factory=True):
                found[name] = other
            if found[name] != other:
                problems.append(f"{before}{also}: must be left out where {before}{name} is given; got both")
        if inner and name in found:
            found[name], more = _in_one_spelling(found[name], inner, f"{before}{name}.")
            problems += more
    if before == "sweep.":
        for name in ("axes", "arms"):
            if name in found:
                found[name], more = _points_in_one_spelling(found[name], f"sweep.{name}.")
                problems += more
    return found, problems


def _points_in_one_spelling(points: Any, before: str) -> tuple[Any, list[str]]:
    if isinstance(points, list):
        arms = [_points_in_one_spelling(arm, f"{before}{number}.") for number, arm in enumerate(points)]
        return [arm for arm, _ in arms], [line for _, problems in arms for line in problems]
    if not isinstance(points, dict):
        return points, []
    swept = Triplets.model_fields | Network.model_fields | Training.model_fields
    usual = {key_of(field).also: name for name, field in swept.items() if key_of(field).also}
    rule = "must be left out where {0}{1} is given; got both"
    both = [
        f"{before}{also}: {rule.format(before, name)}" for also, name in usual.items() if {also, name} <= set(points)
    ]
    return {usual.get(name, name): value for name, value in points.items()}, both


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


def _lines(error: pydantic.ValidationError, config: Any, schema: dict[str, Any]) -> list[str]:
    """What the model found, one line each, in the order of the keys."""
    errors = [(*_place(one["loc"], config), one) for one in error.errors(include_url=False)]
    # Of a key with two types, the model reports both; what is wrong with the type that was meant says more.
    told = [path for path, _, one in errors if not _is_of_type(one)]
    lacking: dict[tuple[Any, ...], list[str]] = {}
    lines: list[tuple[tuple[Any, ...], str]] = []
    for path, arrived, one in errors:
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other, _, _ in errors)
        if _is_of_type(one) and (deeper or path in told):
            continue
        if one["type"] == "missing":
            lacking.setdefault(path[:-1], []).append(str(path[-1]))
        else:
            lines.append((path, _line(path, arrived, one, schema)))
    lines += [(path, missing(".".join(map(str, path)), names)) for path, names in lacking.items()]
    return list(dict.fromkeys(line for _, line in sorted(lines, key=lambda found: [str(part) for part in found[0]])))


def _is_of_type(one: ErrorDetails) -> bool:
    return one["type"].endswith("_type")


def _place(loc: tuple[int | str, ...], config: Any) -> tuple[tuple[Any, ...], Any]:
    """Where in the config an error is, without the names of types (a key can have several), and what is there."""
    path: list[Any] = []
    value = config
    for number, part in enumerate(loc):
        is_there = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if is_there:
            value = value[part]
        if is_there or part == OF_KEY or (isinstance(value, dict) and number == len(loc) - 1):  # such as a missing key
            path.append(part)
    return tuple(path), value


def _line(path: tuple[Any, ...], arrived: Any, one: ErrorDetails, schema: dict[str, Any]) -> str:
    key = ".".join(map(str, path)) or "config"
    if path and path[-1] == OF_KEY:
        key, arrived = ".".join(map(str, path[:-2])), path[-2]
        if one["type"] == "string_type":
            return f"{key}: must have names that are text; got {shown(arrived)} (write it in quotation marks)"
    if one["type"] == "extra_forbidden":
        known = [name for rule in rules_at(schema, path[:-1]) for name in rule.get("properties", ())]
        return unknown_key(key, known)
    if one["type"] == "reserved":
        return sentence(key, "not", {"enum": RESERVED}, arrived)
    rules = rules_at(schema, path)
    allowed = [value for rule in rules for value in rule.get("enum", [rule["const"]] if "const" in rule else [])]
    if one["type"] == "literal_error":
        return sentence(key, "enum", allowed, arrived)
    if one["type"] in RULES:
        word, name = RULES[one["type"]]
        return sentence(key, word, one.get("ctx", {}).get(name, 1), arrived)
    kinds = list(dict.fromkeys(rule["type"] for rule in rules if "type" in rule))
    return sentence(key, "type", kinds, arrived) if kinds else f"{key}: {one['msg']}"


def _contradictions(config: Config) -> Iterator[str]:
    """Rules between keys."""
    features, dataset = config.features, config.dataset
    if features.win_length > features.n_fft:
        yield f"features.win_length: must be at most features.n_fft ({features.n_fft}); got {features.win_length}"
    highest = features.sr / 2
    if features.fmax > highest:
        yield f"features.fmax: must be at most half of features.sr ({highest:g} Hz); got {features.fmax:g}"
    if features.fmin >= features.fmax:
        yield f"features.fmin: must be below features.fmax ({features.fmax:g} Hz); got {features.fmin:g}"
    if features.filterbank == "tensorflow" and not features.htk:
        yield "features.htk: must be true where features.filterbank is tensorflow, which has no other scale; got false"
    demo = dataset.demo
    if demo.shortest_session > demo.longest_session:
        yield (
            f"dataset.demo.shortest_session: must be at most dataset.demo.longest_session ({demo.longest_session}); "
            f"got {demo.shortest_session}"
        )
    if demo.sessions_per_class < demo.folds:
        yield (
            f"dataset.demo.sessions_per_class: must be at least dataset.demo.folds ({demo.folds}), so that every "
            f"fold tests every class; got {demo.sessions_per_class}"
        )
    yield from _contradictions_of_source(dataset)
    yield from _borrowed_names(config)
    if config.compare_with == config.study:
        yield f"compare_with: must name another study than this one; got its own name, {config.study!r}"
    if config.sweep.arms is None and not any(config.sweep.axes.values()):
        yield "sweep.axes: must have at least one axis with values; got none"
        return
    try:
        plain = config.model_dump()
        runs = sweep.expand(plain["sweep"], plain, config.plugins)
        yield from _contradictions_of_protocol(config, runs)
        for slug, run in runs.items():
            yield from (f"{line} (run {slug})" for line in _contradictions_of(run, config.features))
    except InputError as error:
        yield str(error)


def _contradictions_of_protocol(config: Config, runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Rules of the two protocols, and of the published probe's tiles."""
    probe, protocol = config.probes.by_epoch, config.protocol
    if probe.tiles == "triplets" and probe.batch_size % 3:
        yield (
            "probes.by_epoch.batch_size: must be a multiple of 3 where its tiles are those of triplets; got "
            f"{probe.batch_size}"
        )
    if protocol == "as_published":
        for key in ("tiles", "double_softmax"):
            value, published = getattr(probe, key), key_of(ByEpoch.model_fields[key]).published
            if value != published:
                rule = f"must be {str(published).lower()} under protocol: as_published"
                yield f"probes.by_epoch.{key}: {rule}; got {shown(value)}"
        others = {run["training"]["batch_statistics"] for run in runs.values()} - {"moving"}
        if others:
            yield f"training.batch_statistics: must be moving under protocol: as_published; got {min(others)}"
    if protocol == "strict":
        yield from _several_budgets(runs)
        seeds, least = len(config.sweep.seeds), config.sweep.least_seeds
        if seeds < least:
            yield f"sweep.seeds: must be at least {least} (sweep.least_seeds) under protocol: strict; got {seeds}"


def _several_budgets(runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What gives the runs of a strict study more than one schedule or budget."""
    if any(run["training"]["early_stopping"] is not None for run in runs.values()):
        yield "training.early_stopping: must be null under protocol: strict, for it gives each run epochs of its own"
    budget = [name for name, declared in Training.model_fields.items() if key_of(declared).budget]
    for key in budget:
        found = list(dict.fromkeys(run["training"][key] for run in runs.values()))
        if len(found) > 1:
            values = ", ".join(map(str, found))
            rule = "must be the same for all runs under protocol: strict (one schedule, one budget)"
            yield f"sweep: {key} {rule}; got {values}"
    if len({run.get(sweep.PROBE_EPOCHS) for run in runs.values()}) > 1:
        yield f"sweep.arms: {sweep.PROBE_EPOCHS} must be the same for all arms under protocol: strict"


def _contradictions_of_source(dataset: Dataset) -> Iterator[str]:
    """Rules about where the audio comes from: made here, downloaded, or there already."""
    adapter, path = dataset.adapter, dataset.path
    if dataset.download and not archives_of(adapter):
        listed = [name for name in downloadable() if name in declared("adapter")]
        yield (
            f"dataset.download: must be false for the adapter {adapter}, of which no archives with a known digest are "
            f"listed (they are for {', '.join(listed)}); got true. Name the folder of the audio in dataset.path"
        )
    elif dataset.download and path is not None:
        yield f"dataset.path: must be null where dataset.download is true, which unpacks under results/; got {path!r}"
    elif not dataset.download and adapter != "demo" and path is None:
        yield f"dataset.path: must name the folder of the audio for the adapter {adapter}; got null"
    if not dataset.keep_audio and not dataset.download:
        yield "dataset.keep_audio: must be true where dataset.download is false, for your own audio stays; got false"
    if dataset.redistributable and adapter in NEVER_PASSED_ON:
        yield f"dataset.redistributable: must be false for {adapter}, whose audio may not be passed on; got true"
    if dataset.archives is not None and not dataset.download:
        yield f"dataset.archives: must be null where dataset.download is false; got {dataset.archives!r}"


def _borrowed_names(config: Config) -> Iterator[str]:
    """Other audio must not appear under the demo's names: its results would stand in the demo's place."""
    dataset = config.dataset
    if dataset.adapter == "demo":
        return
    names = {"study": config.study, "dataset.name": dataset.name, "dataset.title": dataset.title}
    names["dataset.licence"] = dataset.licence
    demo = Dataset()
    for key, value in names.items():
        if value in (demo.name, demo.title, demo.licence):
            yield f"{key}: must be your own for the adapter {dataset.adapter}; got the demo's, {value!r}"


def _contradictions_of(run: dict[str, Any], recipe: FeatureRecipe) -> Iterator[str]:
    tile_s, neighbourhood_s = run["triplets"]["tile_s"], run["triplets"]["neighbourhood_s"]
    if run["network"]["input"] == "mfcc" and run["network"]["n_mfcc"] > recipe.n_mels:
        rule = f"must be at most features.n_mels ({recipe.n_mels}) where the input is mfcc"
        yield f"network.n_mfcc: {rule}; got {run['network']['n_mfcc']}"
    if neighbourhood_s < tile_s:
        yield f"triplets.neighbourhood_s: must be at least tile_s ({tile_s:g} s); got {neighbourhood_s:g}"
    try:
        tile_frames(tile_s, recipe)
        seconds_to_frames(tile_s, recipe)
        seconds_to_frames(neighbourhood_s, recipe)
    except InputError as error:
        yield f"triplets: {error}"
