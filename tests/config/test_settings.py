"""Blocks of settings: the typed form of the plain values in the params of jobs."""

import pytest

from lambdascape.config.settings import Block, Config, Geometry, Network, RunSettings, as_annotated, leaves
from lambdascape.core.errors import InputError


def test_a_block_gives_its_plain_values_back() -> None:
    plain = Config().model_dump()
    assert Config().plain() == plain
    assert list(Config.of(plain).plain()) == list(plain)
    assert Config.of(plain) == Config()
    run = {name: plain[name] for name in RunSettings.model_fields}
    assert RunSettings.of(run).plain() == run
    assert RunSettings.of(run).network.width == plain["network"]["width"]


def test_values_are_kept_as_they_were_written() -> None:
    network = Network.of(Config().model_dump()["network"] | {"l2": 1, "architecture": "of_a_plugin"})
    assert (network.l2, type(network.l2)) == (1, int)
    assert network.architecture == "of_a_plugin"


def test_a_block_of_plugins_keys_may_lack_some_and_have_more() -> None:
    network = Network.of({"width": 4, "mine": 2})
    assert network.plain() == {"width": 4, "mine": 2}
    with pytest.raises(AttributeError, match="has no attribute 'l2'"):
        _ = network.l2
    message = "settings of Geometry: must have the keys max_tiles, draw_seed; got no max_tiles"
    with pytest.raises(InputError, match=message):
        Geometry.of({"draw_seed": 1})


def test_an_annotation_without_a_block_leaves_a_value_as_it_is() -> None:
    for annotation in (None, dict, dict[str, int], list[int], str):
        assert as_annotated({"a": [1]}, annotation) == {"a": [1]}


def test_no_key_is_called_like_a_method_of_its_block() -> None:
    taken = {name for name in dir(Block) if not name.startswith("__")}
    assert not taken & {name for path, _, _ in leaves(Config) for name in path.split(".")}
