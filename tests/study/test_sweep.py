"""The runs of a sweep and their names."""

from pathlib import Path
from typing import Any

import pytest

from lambdascape.core.errors import InputError
from lambdascape.study.sweep import axis_of, expand, readable

BASE: dict[str, Any] = {
    "triplets": {"tile_s": 5.0, "distant": "other_clip"},
    "network": {"architecture": "resnet18", "l2": 0.5, "width": 64},
    "training": {"epochs": 50, "loss": "triplet", "margin": 1.0},
}


def test_axes_are_a_product_with_every_seed() -> None:
    runs = expand({"axes": {"l2": [1.0, 0.1], "margin": [1, 2]}, "seeds": [7, 8]}, BASE)
    assert list(runs)[:3] == ["l2~1_margin~1_seed~7", "l2~1_margin~1_seed~8", "l2~1_margin~2_seed~7"]
    assert [(run["arm"], run["seed"]) for run in list(runs.values())[:3]] == [
        ("l2~1_margin~1", 7), ("l2~1_margin~1", 8), ("l2~1_margin~2", 7)
    ]  # fmt: skip
    assert len(runs) == len({(run["arm"], run["seed"]) for run in runs.values()}) == 8
    run = runs["l2~0.1_margin~2_seed~8"]
    assert run["network"] == {"architecture": "resnet18", "l2": 0.1, "width": 64}
    assert run["training"] == {"epochs": 50, "loss": "triplet", "margin": 2}
    assert run["triplets"] == BASE["triplets"]
    assert run["seed"] == 8


def test_arms_replace_axes_and_are_named_by_what_differs() -> None:
    arms = [{"l2": 1.0, "epochs": 50, "margin": 1.0}, {"l2": 0.01, "epochs": 30, "margin": 1.0}]
    runs = expand({"axes": {"l2": [3.0]}, "arms": arms, "seeds": [1234]}, BASE)
    assert list(runs) == ["l2~1_epochs~50_seed~1234", "l2~0.01_epochs~30_seed~1234"]
    assert runs["l2~0.01_epochs~30_seed~1234"]["training"]["epochs"] == 30


def test_a_key_that_one_arm_leaves_out_is_named_by_its_own_value() -> None:
    runs = expand({"axes": {}, "arms": [{"l2": 1.0}, {"l2": 1.0, "epochs": 30}], "seeds": [1]}, BASE)
    assert list(runs) == ["epochs~50_seed~1", "epochs~30_seed~1"]


def test_a_dropped_axis_leaves_the_others() -> None:
    assert list(expand({"axes": {"l2": None, "margin": [0.3]}, "seeds": [1]}, BASE)) == ["margin~0.3_seed~1"]


def test_text_and_numbers_are_written_in_one_way() -> None:
    assert readable({"l2": 1e-1, "distant": "other_session"}) == "l2~0.1_distant~other-session"
    assert readable({"l2": 1.0, "conv_biases": True}) == "l2~1_conv_biases~true"


@pytest.mark.parametrize(
    ("arms", "axis"),
    [
        ([{"margin": 1, "l2": 1.0}, {"margin": 2, "l2": 0.1}], "l2"),
        ([{"margin": 1, "tile_s": 2.0}, {"margin": 2, "tile_s": 1.0}], "tile_s"),  # the first of the config
        ([{"l2": 0.5, "margin": 1}, {"margin": 2}], "margin"),  # the second has the l2 of the network
        ([{"l2": 1}], ""),
    ],
)
def test_the_axis_is_lambda_where_it_varies_or_the_first_setting_that_does(arms: list[Any], axis: str) -> None:
    assert axis_of(expand({"axes": {}, "arms": arms, "seeds": [1, 2]}, BASE)) == axis


def test_the_epochs_of_an_arms_probe_are_no_part_of_its_run() -> None:
    arms = [{"l2": 1.0, "epochs": 50, "probe_epochs": 12}, {"l2": 0.1, "epochs": 30}]
    runs = expand({"axes": {}, "arms": arms, "seeds": [1]}, BASE)
    assert list(runs) == ["l2~1_epochs~50_seed~1", "l2~0.1_epochs~30_seed~1"]
    assert [run.get("probe_epochs") for run in runs.values()] == [12, None]
    bare = expand({"axes": {}, "arms": [{"l2": 1.0, "epochs": 50}, arms[1]], "seeds": [1]}, BASE)
    for name, run in bare.items():
        assert {block: runs[name][block] for block in BASE} == {block: run[block] for block in BASE}


def test_what_sets_no_key_of_a_run_or_makes_two_alike_is_refused() -> None:
    arms = [{"l2": 1.0, "probe_epochs": 12}, {"l2": 1.0, "probe_epochs": 20}]
    with pytest.raises(InputError, match="each run must differ from the others; two are l2~1_seed~1"):
        expand({"axes": {}, "arms": arms, "seeds": [1]}, BASE)
    with pytest.raises(InputError, match="an arm must set a key of triplets, network or training beside probe_epochs"):
        expand({"axes": {}, "arms": [{"probe_epochs": 12}], "seeds": [1]}, BASE)
    with pytest.raises(InputError, match="must be one of triplets, network or training; got 'sr'"):
        expand({"axes": {"sr": [1]}, "seeds": [1]}, BASE)


def test_a_run_has_only_the_keys_that_its_loss_reads(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("@loss('flat', label='Flat')\ndef flat(anchors, neighbours, distants, slope): ...\n")
    base = BASE | {"training": BASE["training"] | {"slope": 2.0}}
    arms = [{"loss": "triplet", "margin": 2.0}, {"loss": "flat", "slope": 3.0}, {"loss": "flat"}]
    runs = expand({"axes": {}, "arms": arms, "seeds": [1]}, base, [str(plugin)])
    assert list(runs) == ["loss~triplet_margin~2_seed~1", "loss~flat_slope~3_seed~1", "loss~flat_slope~2_seed~1"]
    assert [sorted(run["training"]) for run in runs.values()] == [
        ["epochs", "loss", "margin"], *[["epochs", "loss", "slope"]] * 2
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"set no key that its loss \(flat\) .* do not read; got margin"):
        expand({"axes": {"loss": ["flat"], "margin": [1.0]}, "seeds": [1]}, base, [str(plugin)])
