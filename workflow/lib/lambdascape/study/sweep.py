"""The runs of a study: one point of the sweep and one seed each, under a readable name."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from lambdascape.core.errors import InputError
from lambdascape.study.choices import Choices, check_point

Blocks = dict[str, dict[str, Any]]
# A sweep may vary every key of these blocks of the config; a key stands in one of them only.
SWEPT_BLOCKS = ("triplets", "network", "training")
# An arm may set this too. It judges a run and is no part of it: not of its name, and not of what its training is told.
PROBE_EPOCHS = "probe_epochs"


def expand(sweep: dict[str, Any], base: Blocks, plugins: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """List the runs of a study.

    Args:
        sweep: `axes` (key to list of values, taken as a product; a key without values is left out) or `arms` (a list of
            explicit settings, which then replaces `axes`), and `seeds`. An arm may also set `probe_epochs`.
        base: the config's blocks `triplets`, `network` and `training`, which hold for what a point does not set.
        plugins: files of the user, which may declare losses and networks.

    Returns:
        Name to run, in the order of the config; a run is its three blocks (without the keys of losses and networks that
        it does not use), its `arm` (the id of its point), its `seed`, and `probe_epochs` where its arm sets them. The
        name is for people and paths: nothing may be read from it.

    Raises:
        InputError: a key stands in none of the blocks or belongs to a loss or a network that the run does not use, an
            arm sets none of theirs, or two runs would share a name.
    """
    arms = sweep.get("arms") or _points(sweep["axes"])
    points = [{key: value for key, value in arm.items() if key != PROBE_EPOCHS} for arm in arms]
    if not all(points):
        raise InputError(f"sweep.arms: an arm must set a key of triplets, network or training beside {PROBE_EPOCHS}")
    named = [key for key in _keys(points) if len({repr(point.get(key)) for point in points}) > 1]
    named = named or _keys(points)[:1]
    choices = Choices(plugins)
    blocks = [choices.own_blocks(_with_point(base, point)) for point in points]
    runs: dict[str, dict[str, Any]] = {}
    for (arm, point, own), seed in product(zip(arms, points, blocks, strict=True), sweep["seeds"]):
        check_point(point, own)
        settings = flat(own)
        arm_id = readable({key: settings[key] for key in named if key in settings})
        run = f"{arm_id}_{readable({'seed': seed})}"
        if run in runs:
            raise InputError(f"sweep: each run must differ from the others; two are {run}")
        judged = {PROBE_EPOCHS: arm[PROBE_EPOCHS]} if PROBE_EPOCHS in arm else {}
        runs[run] = own | judged | {"arm": arm_id, "seed": seed}
    return runs


def readable(settings: dict[str, Any]) -> str:
    """Settings as an id for people, for instance `l2~0.01_margin~1`; a number is written in one way only."""
    return "_".join(f"{key}~{_plain(value)}" for key, value in settings.items())


def axis_of(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The setting that figures have as their x axis: `l2` where it varies, else the first that does; '' for none.

    Args:
        runs: see `expand`.
    """
    values: dict[str, set[str]] = {}
    for run in runs.values():
        for key, value in flat(run).items():
            values.setdefault(key, set()).add(_plain(value))
    varying = [key for key, found in values.items() if len(found) > 1]
    return "l2" if "l2" in varying else next(iter(varying), "")


def flat(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the swept blocks, in their order, without the blocks; a block may be missing."""
    return {key: value for block in SWEPT_BLOCKS for key, value in blocks.get(block, {}).items()}


def _plain(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.10g}" if is_number else str(value).lower().replace("_", "-")


def _points(axes: dict[str, list[Any] | None]) -> list[dict[str, Any]]:
    used = {key: values for key, values in axes.items() if values is not None}
    return [dict(zip(used, values, strict=True)) for values in product(*used.values())]


def _keys(points: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for point in points for key in point))


def _block_of(key: str, base: Blocks) -> dict[str, Any]:
    for block in SWEPT_BLOCKS:
        if key in base[block]:
            return base[block]
    raise InputError(f"sweep: each key must be one of triplets, network or training; got {key!r}")


def _with_point(base: Blocks, point: dict[str, Any]) -> Blocks:
    for key in point:
        _block_of(key, base)
    return {block: {key: point.get(key, value) for key, value in base[block].items()} for block in SWEPT_BLOCKS}
