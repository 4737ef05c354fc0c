"""Table 1 as it was run: every hyperparameter of the config beside that of the published study."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lambdascape.config.settings import Config
from lambdascape.report.formatting import NOTHING, Table, shown
from lambdascape.study.catalogue import PUBLISHED
from lambdascape.study.choices import Choices
from lambdascape.study.config_model import config_model
from lambdascape.study.hyperparameters import Hyperparameter, is_reported, reason, table_1_rows
from lambdascape.study.plugins import extensions_of
from lambdascape.study.run_table import Sweep
from lambdascape.study.setting_names import COLUMNS
from lambdascape.study.sweep import SWEPT_BLOCKS

SAME, DIFFERENT = "same", "different"
Row = dict[str, str]


def table_1(config: Config, runs: pd.DataFrame, sweep: Sweep) -> dict[str, list[Row]]:
    """Rows by group: name, value (with unit), published, and same, different or nothing to compare.

    Args:
        config: the whole config.
        runs: runs.tsv; a swept key shows all values of its trained runs.
        sweep: what varies.

    Returns:
        Group to rows with the keys name, value, published, compared, and why: a reason where it is not the published
        value. Keys of the config that are not in Table 1 are in a last group, so that none is left out.
    """
    model, words = config_model(extensions_of(config.plain())), labels(config.plugins)
    hidden = "" if config.dataset.adapter == "demo" else "dataset.demo."
    values = {
        key: value
        for key, value in _leaves(config.plain())
        if is_reported(key, model) and not (hidden and key.startswith(hidden))
    }
    swept = {_place(key, config): _values(runs, key) for key in (sweep.key, *sweep.others) if key}
    groups: dict[str, list[Row]] = {}
    for group, hyperparameters in table_1_rows(model).items():
        groups[group] = []
        for one in hyperparameters:
            value = swept.get(one.key, values.pop(one.key, None))
            values.pop(one.key, None)
            groups[group].append(_row(one, value, words.get(one.key, {})))
    if values:
        groups["Further settings"] = [_row(Hyperparameter(key, key), value) for key, value in values.items()]
    return groups


def differences(groups: Mapping[str, Sequence[Row]]) -> Table | None:
    """What differs from the published study, and why; None if nothing does.

    Args:
        groups: what `table_1` returns.
    """
    rows = [
        [row["name"], row["value"], row["published"], row["why"]]
        for group in groups.values()
        for row in group
        if row["why"]
    ]
    if not rows:
        return None
    header = ["Hyperparameter", "This study", PUBLISHED, "Why, or what it does"]
    return Table("What differs from the published study, and why", header, rows, words=len(header))


def _place(column: str, config: Config) -> str:
    """Where in the config a column of runs.tsv has its value: `training.epochs` for `epochs`, not the probe's."""
    blocks = [block for block in SWEPT_BLOCKS if column in getattr(config, block).plain()]
    return f"{blocks[0]}.{column}" if blocks else COLUMNS.get(column, column)


def _leaves(block: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in block.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _values(runs: pd.DataFrame, key: str) -> list[Any]:
    """Values of a swept key in the order in which they were run."""
    column: Any = runs.loc[runs["kind"] == "trained", key]
    return [None if pd.isna(value) else value for value in dict.fromkeys(column.tolist())]


def _row(one: Hyperparameter, value: Any, words: Mapping[str, str] | None = None) -> Row:
    unit = f" {one.unit}" if one.unit else ""
    published = NOTHING if one.published is None else _shown(one.published, words or {}) + unit
    if value is None and one.note:
        compared = SAME if _equal(one.note, one.published) else ""
        why = "" if compared or one.published is None else reason(one, value)
        return {"name": one.name, "value": one.note, "published": published, "compared": compared, "why": why}
    compared = "" if one.published is None else SAME if _equal(value, one.published) else DIFFERENT
    return {
        "name": one.name,
        "value": NOTHING if value is None else _shown(value, words or {}) + unit,
        "published": published,
        "compared": compared,
        "why": reason(one, value) if compared == DIFFERENT else "",
    }


def labels(plugins: Sequence[str]) -> dict[str, dict[str, str]]:
    """Key of the config to names of losses or networks to what the report calls them."""
    return {
        f"{choice.block}.{choice.key}": {name: one.options["label"] for name, one in known.items()}
        for choice, known in Choices(plugins).known.items()
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _shown(value: Any, words: Mapping[str, str]) -> str:
    """A value, or several, in words where there are any for it."""
    found = [words.get(one, one) if words else one for one in _listed(value)]
    return shown(found if isinstance(value, list) else found[0])


def _equal(value: Any, published: Any) -> bool:
    """Whether both are the same set of values; a text may go on where the published one ends."""
    if isinstance(value, str) and isinstance(published, str):
        return value.startswith(published)
    return set(_listed(value)) == set(_listed(published))
