"""A config is refused with the key, the rule and what arrived; the one in the repository and its schema agree."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from lambdascape.study.validation import arrange, laid_over, problems

Config = dict[str, Any]


@pytest.fixture(scope="module")
def schema(repo: Path) -> Config:
    return yaml.safe_load((repo / "workflow/schemas/config.schema.yaml").read_text())


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


def leaves(schema: Config, key: str = "") -> dict[str, Config]:
    """The schema's keys that are values: name to rule."""
    found = {}
    for name, rule in schema["properties"].items():
        path = f"{key}.{name}".lstrip(".")
        if "properties" in rule and rule["type"] == "object" and name != "axes":
            found |= leaves(rule, path)
        else:
            found[path] = rule
    return found


def value_at(config: Config, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def test_the_default_study_has_no_problem(config: Config, schema: Config, repo: Path) -> None:
    assert problems(config, schema, [str(repo / "config.yaml")]) == []


def test_every_key_has_a_description_and_the_default_of_the_default_study(config: Config, schema: Config) -> None:
    rules = leaves(schema)
    assert len(rules) > 40
    for key, rule in rules.items():
        assert rule.get("description"), key
        assert rule["default"] == value_at(config, key), key


def test_a_config_with_nothing_in_it_is_the_default_study(schema: Config) -> None:
    assert problems({}, schema) == []


def test_every_key_of_the_swept_blocks_can_be_an_axis_and_part_of_an_arm(schema: Config) -> None:
    blocks = [schema["properties"][name]["properties"] for name in ("triplets", "network", "training")]
    keys = sorted(key for block in blocks for key in block)
    sweep = schema["properties"]["sweep"]["properties"]
    assert sorted(sweep["axes"]["properties"]) == keys
    assert sorted(sweep["arms"]["items"]["properties"]) == sorted([*keys, "probe_epochs"])


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
        ("study", "a; touch pwned", "study: must consist of letters, digits, dots and hyphens; got the text"),
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
        ("dataset.download", True, "dataset.download: must be false for the adapter demo, of which no archives with a"),
        ("dataset.keep_audio", False, "dataset.keep_audio: must be true where dataset.download is false"),
        ("dataset.archives", "x", "dataset.archives: must be null where dataset.download is false; got 'x'"),
        ("features.fmax", 9000, "features.fmax: must be at most half of features.sr (8000 Hz); got 9000"),
        ("features.fmin", 8000, "features.fmin: must be below features.fmax (8000 Hz); got 8000"),
        ("features.win_length", 2048, "features.win_length: must be at most features.n_fft (1024); got 2048"),
        ("triplets.neighbourhood_s", 1.0, "triplets.neighbourhood_s: must be at least tile_s (2 s); got 1 (run l2~1"),
        ("triplets.tile_s", 0.01, "triplets: tile_s must hold at least one window of 480 samples; got 0.01 s (run"),
        ("triplets.tile_s", 1.01,
         "triplets: tile_s and neighbourhood_s must be whole numbers of hops of 20 ms; got 1.01 s"),
    ],
)  # fmt: skip
def test_refused_with_key_rule_and_what_arrived(
    config: Config, schema: Config, key: str, value: Any, message: str
) -> None:
    found = problems(with_value(config, key, value), schema)
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
def test_strict_means_one_budget_and_several_seeds(
    config: Config, schema: Config, block: str, changes: Config, message: str
) -> None:
    config["sweep"]["seeds"] = [1, 2, 3, 4, 5]
    config[block] |= changes
    assert problems(config | {"protocol": "strict"}, schema) == ([message] if message else [])
    assert problems(config, schema) == []


def test_as_published_asks_for_the_published_probe_and_lets_arms_differ(config: Config, schema: Config) -> None:
    config |= {"protocol": "as_published"}
    config["sweep"]["arms"] = [{"l2": 1.0, "epochs": 50, "probe_epochs": 12}, {"l2": 0.1, "lr_schedule": "exponential"}]
    config["probes"]["by_epoch"] |= {"tiles": "triplets", "batch_size": 384, "double_softmax": False}
    assert problems(config, schema) == [
        "probes.by_epoch.double_softmax: must be true under protocol: as_published; got False",
        "training.batch_statistics: must be moving under protocol: as_published; got recomputed",
    ]
    config["probes"]["by_epoch"]["double_softmax"] = True
    config["training"]["batch_statistics"] = "moving"
    assert problems(config, schema) == []


def test_a_probe_that_can_be_left_out_is_left_out_by_null(config: Config, schema: Config) -> None:
    for probe in ("knn", "mlp", "few_shot"):
        assert problems(with_value(config, f"probes.{probe}", None), schema) == []
    (found,) = problems(with_value(config, "probes.converged", None), schema)
    assert found == "probes.converged: must be a mapping of keys; got null"


def test_downloaded_audio_needs_no_path_and_has_no_other(config: Config, schema: Config) -> None:
    own = {"name": "own", "adapter": "dcase2018_task5", "title": "own", "licence": "own", "download": True}
    config |= {"study": "own", "dataset": config["dataset"] | own}
    assert problems(config, schema) == []
    (found,) = problems(with_value(config, "dataset.path", "../audio"), schema)
    assert found.startswith("dataset.path: must be null where dataset.download is true")


@pytest.mark.fault("Y1")
def test_y1_a_key_that_is_written_twice_is_refused(config: Config, schema: Config, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("study: mine\ntraining: {epochs: 2, margin: 1.0, epochs: 3}\nsplit: {}\nsplit: {}\n")
    assert problems(config, schema, [str(file)]) == [
        f"{key}: must be written once; it stands twice in {file}, where the first would not count"
        for key in ("split", "training.epochs")
    ]


@pytest.mark.fault("Y1")
def test_y1_anchors_that_unfold_without_end_are_refused_at_once(config: Config, schema: Config) -> None:
    bomb: list[Any] = [1] * 10
    for _ in range(12):
        bomb = [bomb] * 10
    config["sweep"]["axes"]["l2"] = bomb
    assert problems(config, schema) == ["config: must hold no more than 100,000 values; its anchors unfold to more"]
    config["sweep"]["axes"]["l2"] = [1.0, 0.1]
    assert problems(config, schema) == []


def turned_round(value: Any) -> Any:
    """The same config written from its end."""
    if isinstance(value, dict):
        return {key: turned_round(inner) for key, inner in reversed(value.items())}
    return [turned_round(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.fault("P7")
def test_p7_the_order_in_which_keys_are_written_is_lost(config: Config, schema: Config) -> None:
    """What Snakemake compares as text must not depend on it; the default study's own order is that of the schema."""
    config["sweep"]["arms"] = [{"l2": 1.0, "epochs": 50}, {"epochs": 30, "l2": 0.1}]
    turned = turned_round(config)
    assert repr(turned) != repr(config)
    arrange(turned, schema)
    assert [list(arm) for arm in turned["sweep"].pop("arms")] == [["l2", "epochs"]] * 2
    config["sweep"].pop("arms")
    assert repr(turned) == repr(config)


def test_all_problems_are_told_at_once(config: Config, schema: Config) -> None:
    with_value(with_value(config, "training.epochs", -1), "features.sr", "16k")
    assert len(problems(config, schema)) == 2


def test_code_in_a_config_is_refused(config: Config, schema: Config, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("__use_yte__: true\nstudy: ?print('run')\n")
    assert problems(config, schema, [str(file)])[0].startswith("__use_yte__: a config must be plain YAML")
    assert any("__use_yte__" in line for line in problems(config | {"__use_yte__": True}, schema))


def test_studies_of_the_repository_have_no_problem(config: Config, schema: Config, repo: Path) -> None:
    studies = sorted((repo / "studies").glob("*.yaml"))
    assert len(studies) >= 2
    for study in studies:
        overlay = yaml.safe_load(study.read_text())
        assert problems(laid_over(config, overlay), schema, [str(study)]) == [], study.name
        assert "doi:10." in overlay["dataset"]["citation"], study.name


def test_the_data_sets_that_can_be_downloaded_are_named_by_their_adapters(config: Config, schema: Config) -> None:
    (found,) = problems(with_value(config, "dataset.download", True), schema)
    assert "(they are for dcase2018_task5, tau2019, tau2020, tau2022, urbansound8k); got true" in found


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("spaces", {"mean_logmel": "a.h5"}, "must consist of letters, digits, dots and hyphens; got the text"),
        ("spaces", {"l2~1_seed~1": "a.h5"}, "must consist of letters, digits, dots and hyphens; got the text"),
        ("spaces", {"openl3": 1}, "spaces.openl3: must be text; got 1"),
        (
            "exports.always",
            ["models", "everything"],
            "must be one of table, projector, models; got the text 'everything'",
        ),
        ("exports.table", "xlsx", "exports.table: must be one of parquet, csv; got the text 'xlsx'"),
        ("exports.network", True, "exports.network: must be a known key"),
    ],
)
def test_spaces_and_exports_are_checked(config: Config, schema: Config, key: str, value: Any, message: str) -> None:
    found = problems(with_value(config, key, value), schema)
    assert len(found) == 1
    assert message in found[0]
