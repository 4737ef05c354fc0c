"""What the plugins of a study add to its config."""

import inspect
from collections.abc import Mapping
from typing import Any

from lambdascape.config.keys import key
from lambdascape.config.settings import Block, Config, block_of
from lambdascape.core.declarations import Declared, declared
from lambdascape.core.errors import InputError
from lambdascape.core.sources import OF_A_FILE
from lambdascape.study.choices import LOSS, NETWORK
from lambdascape.study.config_model import NOTHING_ADDED, Extensions

# Kind of a declaration to the key of the config that lists its names, and to the block that its settings extend.
LISTED = {"adapter": "dataset.adapter", "loss": "training.loss", "network": "network.architecture"}
EXTENDED = {"loss": "training", "network": "network"}


def extensions_of(config: Mapping[str, Any]) -> Extensions:
    """What the files that `plugins` names add: names to choose from, keys of losses and networks, blocks of probes.

    Args:
        config: an unchecked config; `plugins` that are no list of texts are left to the check.

    Raises:
        InputError: a file is not there, is no Python, or declares something wrongly.
    """
    plugins = config.get("plugins") or []
    if not plugins or not isinstance(plugins, list) or not all(isinstance(path, str) for path in plugins):
        return NOTHING_ADDED
    added = {
        kind: {name: one for name, one in declared(kind, plugins).items() if OF_A_FILE in one.task}
        for kind in (*LISTED, "probe")
    }
    values = {key: tuple(added[kind]) for kind, key in LISTED.items() if added[kind]}
    keys: dict[str, Any] = {}
    for kind, block_name in EXTENDED.items():
        for one in added[kind].values():
            if one.options["settings"] is not None:
                fields = _block(one).model_fields
                keys |= {f"{block_name}.{name}": (field.annotation, field) for name, field in fields.items()}
            _check_keys(one, block_name, keys)
    for name, one in added["probe"].items():
        block = _block(one)
        _check_settings(one, block)
        keys[f"probes.{name}"] = (block | None, key(None, f"{one.options['label']}; null leaves the probe out."))
    return Extensions(values=values, keys=keys)


def _block(one: Declared) -> Any:
    """The class of the keys that what is declared has in the config."""
    from lambdascape.jobs.call import find  # imports pandas, which only a study with plugins waits for

    task, settings = one.task, one.options["settings"]
    file, _, _ = task.rpartition(OF_A_FILE)
    block = find(f"{file}{OF_A_FILE}{settings['name']}") if isinstance(settings, dict) else None
    if not (isinstance(block, type) and issubclass(block, Block)):
        raise InputError(f"{task}: settings must name a class of the file that extends config.settings.Block")
    return block


def _check_settings(one: Declared, block: type[Block]) -> None:
    """Stop where a probe does not name its block as the type of its argument `settings`, by which a job makes it."""
    from lambdascape.jobs.call import find

    argument = inspect.signature(find(one.task)).parameters.get("settings")
    if argument is None or argument.annotation not in (block, block.__name__):
        raise InputError(f"{one.task}: must have an argument `settings: {block.__name__}`, the block that it declares")


def _check_keys(one: Declared, block: str, added: Mapping[str, Any]) -> None:
    """Stop where a loss or a network asks for a key that its block does not have."""
    choice = next(choice for choice in (LOSS, NETWORK) if choice.kind == one.kind)
    model = block_of(Config.model_fields[block])
    known = model.model_fields if model else {}
    for name in choice.keys_of(one):
        if name not in known and f"{block}.{name}" not in added:
            raise InputError(
                f"{one.task}: every further argument must be a key of {block} or of the class that settings= names; "
                f"got {name}"
            )
