"""A config is refused with the key, the rule and what arrived; the one in the repository and its schema agree."""

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from lambdascape.config.keys import always
from lambdascape.config.keys import key as declared
from lambdascape.config.settings import Block, Dataset, Number, leaves
from lambdascape.core import declarations
from lambdascape.study.config_model import Extensions, config_model, json_schema
from lambdascape.study.validation import ConfigError, check, laid_over
from support.configs import problems

Config = dict[str, Any]
ABSENT = object()


@pytest.fixture(scope="module")
def default_study(repo: Path) -> Config:
    return yaml.safe_load((repo / "config.yaml").read_text())


@pytest.fixture
def config(default_study: Config) -> Config:
    return copy.deepcopy(default_study)


def with_value(config: Config, key: str, value: Any) -> Config:
    *blocks, last = key.split(".")
    place = config
    for block in blocks:
        place = place[block]
    place[last] = value
    return config


def value_at(config: Config, key: str) -> Any:
    for part in key.split("."):
        if config is None:
            return ABSENT
        config = config[part]
    return config


def test_every_key_has_a_description_and_the_default_of_the_default_study(default_study: Config) -> None:
    keys = {key: field for key, field, _ in leaves(config_model()) if value_at(default_study, key) is not ABSENT}
    for key, field in keys.items():
        assert field.description, key
        assert repr(field.get_default(call_default_factory=True)) == repr(value_at(default_study, key)), key
    left_out = {key for key, _, _ in leaves(config_model())} - set(keys)
    assert {key.rpartition(".")[0] for key in left_out} == {"probes.mlp"}  # null, with its keys in a comment
    assert repr(check({}).model_dump()) == repr(default_study)


def test_every_number_has_a_lower_and_an_upper_bound() -> None:
    """So that a number that no job could use is refused with its key."""
    schema = json_schema(config_model())
    places = [(name, rule) for one in schema["$defs"].values() for name, rule in one.get("properties", {}).items()]
    rules = [(name, rule) for name, rule in _every_rule(places) if rule.get("type") in ("integer", "number")]
    assert len(rules) > 60
    for name, rule in rules:
        assert {"minimum", "exclusiveMinimum"} & set(rule), name
        assert {"maximum", "exclusiveMaximum"} & set(rule), name


def _every_rule(rules: list[tuple[str, Config]]) -> list[tuple[str, Config]]:
    inner = [(name, one) for name, rule in rules for one in (*rule.get("anyOf", ()), rule.get("items")) if one]
    return [*rules, *(_every_rule(inner) if inner else ())]


def test_every_adapter_of_the_library_can_be_named() -> None:
    assert set(get_args(Dataset.model_fields["adapter"].annotation)) == set(declarations.declared("adapter"))


def test_every_key_of_the_swept_blocks_can_be_an_axis_and_part_of_an_arm(default_study: Config) -> None:
    point = {key: value for name in ("triplets", "network", "training") for key, value in default_study[name].items()}
    axes, arm = {key: [value] for key, value in point.items()}, point | {"probe_epochs": 3}
    checked = check({"sweep": {"axes": axes, "arms": [arm]}})
    assert repr(checked.sweep.axes) == repr(axes)
    assert repr(checked.sweep.arms) == repr([arm])
    (unknown,) = problems({"sweep": {"axes": {"probe_epochs": [3]}}})
    assert unknown.startswith("sweep.axes.probe_epochs: must be a known")
    for key, value in (("margin", 0), ("epochs", 1.5), ("passes", "both")):
        (own,) = problems({"training": {key: value}})
        assert problems({"sweep": {"axes": {key: [value]}}}) == [own.replace(f"training.{key}", f"sweep.axes.{key}.0")]
        assert problems({"sweep": {"arms": [{key: value}]}}) == [own.replace(f"training.{key}", f"sweep.arms.0.{key}")]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("probes.knn.k_grid", [0], "probes.knn.k_grid.0: must be at least 1; got 0"),
        ("probes.mlp", {"width": 8}, "probes.mlp: must have layers and learning_rates"),
        ("probes.by_epoch.double_softmax", "both",
         "probes.by_epoch.double_softmax: must be true or false or a list; got the text 'both'"),
        ("probes.by_epoch.tiles", "triplets",
         "probes.by_epoch.batch_size: must be a multiple of 3 where its tiles are those of triplets; got 64"),
        ("protocol", "as_published",
         "probes.by_epoch.tiles: must be triplets under protocol: as_published; got the text 'even'"),
        ("protocol", "strict", "sweep.seeds: must be at least 5 (sweep.least_seeds) under protocol: strict; got 2"),
        ("compare_with", "demo", "compare_with: must name another study than this one; got its own name, 'demo'"),
        ("network.widths", 8, "network.widths: must be a known key; did you mean width?"),
        ("networks", {}, "networks: must be a known key; did you mean network?"),
        ("training.learning_rate", "1e-5",
         "training.learning_rate: must be a number; got the text '1e-5' (YAML reads 1e-5 as text: write 1.0e-05)"),
        ("training.epochs", True, "training.epochs: must be a whole number; got True"),
        ("training.epochs", 1.5, "training.epochs: must be a whole number; got 1.5"),
        ("training.epochs", 0, "training.epochs: must be at least 1; got 0"),
        ("training.margin", float("nan"), "training.margin: must be a finite number; got nan"),
        ("training", None, "training: must be a mapping of keys; got null"),
        ("training.passes", "both", "training.passes: must be one of separate, joint; got the text 'both'"),
        ("network.input", "mel", "network.input: must be one of logmel, mfcc; got the text 'mel'"),
        ("network", {"input": "mfcc", "n_mfcc": 41},
         "network.n_mfcc: must be at most features.n_mels (40) where the input is mfcc; got 41 (run l2~1_seed~1)"),
        ("network.dropout", 1.0, "network.dropout: must be below 1; got 1.0"),
        ("sweep.axes.l2", [-0.1], "sweep.axes.l2.0: must be at least 0; got -0.1"),
        ("sweep.axes.l2", [float("inf")], "sweep.axes.l2.0: must be a finite number; got inf"),
        ("sweep.axes.l2", [0.1, 1e-1],
         "sweep.axes.l2: must name each value once (0.1 and 1.0e-1 are one value); got [0.1, 0.1]"),
        ("sweep.axes.l2", [], "sweep.axes.l2: must not be empty; got []"),
        ("sweep.axes.l2", 0.1, "sweep.axes.l2: must be a list or null; got 0.1"),
        ("sweep.axes.l2", None, "sweep.axes: must have at least one axis with values; got none"),
        ("sweep.axes.lambda", [1.0], "sweep.axes.lambda: must be a known key; known here: "),
        ("sweep.seeds", [], "sweep.seeds: must not be empty; got []"),
        ("sweep.seeds", [1, 1], "sweep.seeds: must name each value once; got [1, 1]"),
        ("sweep.axes.l2", [0.1, 0.1 + 1e-13], "sweep: each run must differ from the others; two are l2~0.1_seed~1"),
        ("study", "features", "study: must not be one of datasets, features, logs, benchmarks, receipts, check"),
        ("study", "../elsewhere",
         "study: must consist of letters, digits, dots and hyphens; got the text '../elsewhere'"),
        ("study", "", "study: must consist of letters, digits, dots and hyphens; got the text ''"),
        ("study", "demo\n", "study: must consist of letters, digits, dots and hyphens; got the text 'demo\\n'"),
        ("study", "checkpoints", "study: must not be one of datasets, features"),
        ("dataset.name", "..", "dataset.name: must consist of letters, digits, dots and hyphens; got the text '..'"),
        ("training.epochs", 10**30, "training.epochs: must be at most "),
        ("training.batch_size", 1e30, "training.batch_size: must be at most "),
        ("network.l2", -(10**400), "network.l2: must be at least 0; got -1000"),
        ("sweep.axes.l2", [1e30], "sweep.axes.l2.0: must be at most "),
        ("sweep.seeds", [2**64], "sweep.seeds.0: must be at most "),
        ("features.n_mels", 10**9, "features.n_mels: must be at most "),
        ("statistics.confidence", True, "statistics.confidence: must be a number; got True"),
        ("probes", [], "probes: must be a mapping of keys; got []"),
        ("features_store", "", "features_store: must not be empty; got the text ''"),
        ("study", 2018, "study: must be text; got 2018"),
        ("dataset.adapter", "folder", "dataset.title: must be your own for the adapter folder; got the demo's, 'Synth"),
        ("dataset", {"adapter": "dcase2018_task5", "path": "x", "redistributable": True},
         "dataset.redistributable: must be false for dcase2018_task5, whose audio may not be passed on; got true"),
        ("viewer.points", 5001, "viewer.points: must be at most 5000; got 5001"),
        ("dataset.demo.shortest_session", 9, "dataset.demo.shortest_session: must be at most dataset.demo.longest"),
        ("training.epochs", "2", "training.epochs: must be a whole number; got the text '2' (values nested in"),
        ("dataset.adapter", "folder",
         "dataset.path: must name the folder of the audio for the adapter folder; got null"),
        ("dataset.download", True,
         ("dataset.download: must be false for the adapter demo, of which no archives with a known digest are listed "
          "(they are for dcase2018_task5, tau2019, tau2020, tau2022, urbansound8k); got true")),
        ("dataset.keep_audio", False, "dataset.keep_audio: must be true where dataset.download is false"),
        ("dataset.archives", "x", "dataset.archives: must be null where dataset.download is false; got 'x'"),
        ("features.fmax", 9000, "features.fmax: must be at most half of features.sr (8000 Hz); got 9000"),
        ("features", {"filterbank": "tensorflow", "htk": False},
         "features.htk: must be true where features.filterbank is tensorflow, which has no other scale; got false"),
        ("features.fmin", 8000, "features.fmin: must be below features.fmax (8000 Hz); got 8000"),
        ("features.win_length", 2048, "features.win_length: must be at most features.n_fft (1024); got 2048"),
        ("triplets.neighbourhood_s", 1.0, "triplets.neighbourhood_s: must be at least tile_s (2 s); got 1 (run l2~1"),
        ("triplets.tile_s", 0.01, "triplets: tile_s must hold at least one window of 480 samples; got 0.01 s (run"),
        ("spaces", {"mean_logmel": "a.h5"}, "spaces: must consist of letters, digits, dots and hyphens; got the text"),
        ("spaces", {"l2~1_seed~1": "a.h5"}, "spaces: must consist of letters, digits, dots and hyphens; got the text"),
        ("spaces", {"openl3": 1}, "spaces.openl3: must be text; got 1"),
        ("exports.always", ["models", "everything"],
         "exports.always.1: must be one of table, projector, models; got the text 'everything'"),
        ("exports.table", "xlsx", "exports.table: must be one of parquet, csv; got the text 'xlsx'"),
        ("exports.network", True, "exports.network: must be a known key"),
        ("triplets.tile_s", 1.01,
         "triplets: tile_s and neighbourhood_s must be whole numbers of hops of 20 ms; got 1.01 s"),
    ],
)  # fmt: skip
def test_refused_with_key_rule_and_what_arrived(config: Config, key: str, value: Any, message: str) -> None:
    found = problems(with_value(config, key, value))
    assert any(line.startswith(message) for line in found), found


@pytest.mark.parametrize(
    ("block", "changes", "message"),
    [
        ("sweep", {}, ""),
        ("sweep", {"axes": {"l2": [1.0, 0.1], "margin": [0.5, 1.0]}}, ""),
        ("sweep", {"seeds": [1, 2, 3], "least_seeds": 3}, ""),
        ("sweep", {"seeds": [1, 2, 3, 4]},
         "sweep.seeds: must be at least 5 (sweep.least_seeds) under protocol: strict; got 4"),
        ("sweep", {"arms": [{"l2": 1.0, "epochs": 50}, {"l2": 0.1, "epochs": 30}]},
         "sweep: epochs must be the same for all runs under protocol: strict (one schedule, one budget); got 50, 30"),
        ("sweep", {"axes": {"l2": [1.0], "batch_size": [1, 2]}},
         "sweep: batch_size must be the same for all runs under protocol: strict (one schedule, one budget); got 1, 2"),
        ("sweep", {"arms": [{"l2": 1.0, "probe_epochs": 12}, {"l2": 0.1}]},
         "sweep.arms: probe_epochs must be the same for all arms under protocol: strict"),
        ("training", {"early_stopping": 3},
         "training.early_stopping: must be null under protocol: strict, for it gives each run epochs of its own"),
    ],
)  # fmt: skip
def test_strict_means_one_budget_and_several_seeds(config: Config, block: str, changes: Config, message: str) -> None:
    config["sweep"]["seeds"] = [1, 2, 3, 4, 5]
    config[block] |= changes
    assert problems(config | {"protocol": "strict"}) == ([message] if message else [])
    assert problems(config) == []


def test_as_published_asks_for_the_published_probe_and_lets_arms_differ(config: Config) -> None:
    config |= {"protocol": "as_published"}
    config["sweep"]["arms"] = [{"l2": 1.0, "epochs": 50, "probe_epochs": 12}, {"l2": 0.1, "lr_schedule": "exponential"}]
    config["probes"]["by_epoch"] |= {"tiles": "triplets", "batch_size": 384, "double_softmax": False}
    assert problems(config) == [
        "probes.by_epoch.double_softmax: must be true under protocol: as_published; got False",
        "training.batch_statistics: must be moving under protocol: as_published; got recomputed",
    ]
    config["probes"]["by_epoch"]["double_softmax"] = True
    config["training"]["batch_statistics"] = "moving"
    assert problems(config) == []


def test_a_probe_that_can_be_left_out_is_left_out_by_null(config: Config) -> None:
    for probe in ("knn", "mlp", "few_shot"):
        assert problems(with_value(config, f"probes.{probe}", None)) == []
    (found,) = problems(with_value(config, "probes.converged", None))
    assert found == "probes.converged: must be a mapping of keys; got null"


def test_downloaded_audio_needs_no_path_and_has_no_other(config: Config) -> None:
    own = {"name": "own", "adapter": "dcase2018_task5", "title": "own", "licence": "own", "download": True}
    config |= {"study": "own", "dataset": config["dataset"] | own}
    assert problems(config) == []
    (found,) = problems(with_value(config, "dataset.path", "../audio"))
    assert found.startswith("dataset.path: must be null where dataset.download is true")


@pytest.mark.fault("Y1")
def test_y1_a_key_that_is_written_twice_is_refused(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("study: mine\ntraining: {epochs: 2, margin: 1.0, epochs: 3}\nsplit: {}\nsplit: {}\n")
    assert problems(config, [str(file)]) == [
        f"{key}: must be written once; it stands twice in {file}, where the first would not count"
        for key in ("split", "training.epochs")
    ]


@pytest.mark.fault("Y1")
def test_y1_anchors_that_unfold_without_end_are_refused_at_once(config: Config) -> None:
    bomb: list[Any] = [1] * 10
    for _ in range(12):
        bomb = [bomb] * 10
    config["sweep"]["axes"]["l2"] = bomb
    assert problems(config) == ["config: must hold no more than 100,000 values; its anchors unfold to more"]
    config["sweep"]["axes"]["l2"] = [1.0, 0.1]
    assert problems(config) == []


def turned_round(value: Any) -> Any:
    """The same config written from its end."""
    if isinstance(value, dict):
        return {key: turned_round(inner) for key, inner in reversed(value.items())}
    return [turned_round(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.fault("P7")
def test_p7_the_order_in_which_keys_are_written_is_lost(config: Config) -> None:
    """What Snakemake compares as text must not depend on it; the default study's own order is that of the schema."""
    config["sweep"]["arms"] = [{"l2": 1.0, "epochs": 50}, {"epochs": 30, "l2": 0.1}]
    turned = turned_round(config)
    assert repr(turned) != repr(config)
    found = check(turned).model_dump()
    assert [list(arm) for arm in found["sweep"].pop("arms")] == [["l2", "epochs"]] * 2
    config["sweep"].pop("arms")
    assert repr(found) == repr(config)


def test_code_in_a_config_is_refused(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("__use_yte__: true\nstudy: ?print('run')\n")
    assert problems(config, [str(file)])[0].startswith("__use_yte__: a config must be plain YAML")
    assert any("__use_yte__" in line for line in problems(config | {"__use_yte__": True}))


def test_studies_of_the_repository_have_no_problem(config: Config, repo: Path) -> None:
    assert problems(config, [str(repo / "config.yaml")]) == []
    studies = sorted((repo / "studies").glob("*.yaml"))
    assert len(studies) >= 2
    for study in studies:
        overlay = yaml.safe_load(study.read_text())
        assert problems(laid_over(config, overlay), [str(study)]) == [], study.name
        assert "doi:10." in overlay["dataset"]["citation"], study.name


@pytest.mark.finding("F7")
@pytest.mark.parametrize(
    ("overlay", "key"),
    [
        ({"dataset": {"folds": 2.0}}, "dataset.folds"),
        ({"features": {"n_mels": 16.0}}, "features.n_mels"),
        ({"features": {"n_shards": 1.0}}, "features.n_shards"),
        ({"network": {"width": 2.0}}, "network.width"),
        ({"training": {"early_stopping": 3.0}}, "training.early_stopping"),
        ({"sweep": {"seeds": [1.0]}}, "sweep.seeds"),
        ({"sweep": {"axes": {"width": [2.0, 4]}}}, "sweep.axes.width"),
        ({"sweep": {"arms": [{"epochs": 2.0}]}}, "sweep.arms"),
        ({"probes": {"knn": {"k_grid": [1.0, 3.0]}}}, "probes.knn.k_grid"),
        ({"geometry": {"draw_seed": 1.0}}, "geometry.draw_seed"),
        ({"viewer": {"neighbours": 3.0}}, "viewer.neighbours"),
    ],
)
def test_f7_whole_numbers_with_a_point_are_taken_as_integers(overlay: Config, key: str) -> None:
    found, given = value_at(check(overlay).model_dump(), key), value_at(overlay, key)
    assert found == given
    assert "." not in repr(found)


@pytest.mark.finding("F7")
def test_f7_names_of_spaces_must_be_text() -> None:
    rule = "spaces: must have names that are text; got 2024 (write it in quotation marks)"
    assert problems({"spaces": {2024: "x.h5"}}) == [rule]


def test_numbers_stay_as_they_are_written() -> None:
    """An integer where a number may have a fraction is no float: settings that have been run would run anew."""
    found = check({"triplets": {"tile_s": 2, "neighbourhood_s": 2.0}, "sweep": {"axes": {"l2": [1, 0.5]}}}).model_dump()
    assert repr(found["triplets"]["tile_s"]) == "2"
    assert repr(found["triplets"]["neighbourhood_s"]) == "2.0"
    assert repr(found["sweep"]["axes"]["l2"]) == "[1, 0.5]"


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"dataset": {"license": "mine"}}, "dataset.licence", "mine"),
        ({"dataset": {"license": "mine", "licence": "made by this workflow, free to use"}}, "dataset.licence", "mine"),
        ({"triplets": {"neighborhood_s": 6.0}}, "triplets.neighbourhood_s", 6.0),
        ({"viewer": {"neighbors": 3, "umap_neighbors": None}}, "viewer.umap_neighbours", None),
        ({"sweep": {"axes": {"neighborhood_s": [4.0, 6.0]}}}, "sweep.axes", {"neighbourhood_s": [4.0, 6.0]}),
        ({"sweep": {"arms": [{"neighborhood_s": 6.0}]}}, "sweep.arms", [{"neighbourhood_s": 6.0}]),
    ],
)
def test_american_spelling_is_accepted(given: Config, key: str, value: Any) -> None:
    before = copy.deepcopy(given)
    assert value_at(check(given).model_dump(), key) == value
    assert given == before


def test_two_spellings_of_one_key_must_not_contradict_each_other() -> None:
    assert problems({"dataset": {"license": "mine", "licence": "yours"}}) == [
        "dataset.license: must be left out where dataset.licence is given; got both"
    ]
    axes = {"neighborhood_s": [4.0], "neighbourhood_s": [6.0]}
    assert problems({"sweep": {"axes": axes}}) == [
        "sweep.axes.neighborhood_s: must be left out where sweep.axes.neighbourhood_s is given; got both"
    ]
    (found,) = problems({"": 1})
    assert "must be a known key" in found


class Mine(Block):
    """A probe of a plugin."""

    reruns = "probes"
    depth: int = declared(2, "Depth.", {"ge": 1, "le": 4})


ADDED = Extensions(
    values={"training.loss": ("nt_xent",), "network.architecture": ("mine",), "dataset.adapter": ("mine",)},
    keys={
        "training.temperature": (Number, declared(0.1, "Temperature of the softmax.", {"gt": 0, "le": 10})),
        "probes.mine": (Mine | None, declared(None, "My probe; null leaves it out.")),
    },
)


def test_plugins_add_values_keys_and_probes() -> None:
    given = {
        "training": {"loss": "nt_xent", "temperature": 0.2},
        "network": {"architecture": "mine"},
        "probes": {"mine": {"depth": 3}},
        "sweep": {"axes": {"temperature": [0.1, 0.5], "loss": ["triplet", "nt_xent"]}},
    }
    found = check(given, extensions=ADDED).model_dump()
    assert list(found) == list(check({}).model_dump())
    assert list(found["training"])[-1] == "temperature"
    assert found["probes"]["mine"] == {"depth": 3}
    assert found["sweep"]["axes"] == {"loss": ["triplet", "nt_xent"], "temperature": [0.1, 0.5]}
    assert check({}, extensions=ADDED).model_dump()["training"]["temperature"] == 0.1
    with pytest.raises(ConfigError) as refused:
        check(given | {"probes": {"mine": {"depth": 9}}, "training": {"temperature": 0, "loss": "x"}}, (), ADDED)
    assert refused.value.problems == [
        "probes.mine.depth: must be at most 4; got 9",
        "training.loss: must be one of triplet, nt_xent; got the text 'x'",
        "training.temperature: must be above 0; got 0",
    ]
    assert "training.temperature: must be a known key" in problems(given)[-1]


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ("training.margin", "", "to a key that lists its values; got training.margin"),
        ("training.losses", "", "to a key that lists its values; got training.losses"),
        ("", "training.margin", "must be new; training.margin is there already"),
        ("", "training.width", "in one of triplets, network, training only; got width"),
        ("", "temperature", "must name a key of a block, such as training.loss"),
    ],
)
def test_what_plugins_cannot_add_is_refused(values: str, key: str, message: str) -> None:
    added = {"values": {values: ("x",)}} if values else {"keys": {key: (int, declared(1, "x"))}}
    with pytest.raises(ValueError, match=message):
        config_model(Extensions(**added))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"label": "Margin"}, "must have both a label and a group of Table 1, or neither"),
        ({"reruns": "model"}, "reruns must be one of all, datasets, features, models"),
        ({"why": (always("Because."),)}, "must have a published value to depart from"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_an_error(about: Config, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        declared(1, "A key.", **about)
