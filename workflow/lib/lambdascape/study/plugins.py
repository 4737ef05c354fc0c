"""What the plugins of a study add to its config."""

from collections.abc import Mapping
from typing import Any

from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.sources import OF_A_FILE
from lambdascape.study.config_model import NOTHING_ADDED, Extensions
from lambdascape.study.keys import key
from lambdascape.study.settings import Block

# Kind of a declaration to the key of the config that lists its names.
LISTED = {"adapter": "dataset.adapter"}


def extensions_of(config: Mapping[str, Any]) -> Extensions:
    """What the files that `plugins` names add: names to choose from, and blocks of probes.

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
    keys = {}
    for name, one in added["probe"].items():
        block = _block(one.task, one.options["settings"])
        keys[f"probes.{name}"] = (block | None, key(None, f"{one.options['label']}; null leaves the probe out."))
    return Extensions(values=values, keys=keys)


def _block(task: str, settings: Any) -> Any:
    """The class of a probe's block in the config."""
    from lambdascape.jobs.call import find  # imports pandas, which only a study with plugins waits for

    file, _, _ = task.rpartition(OF_A_FILE)
    block = find(f"{file}{OF_A_FILE}{settings['name']}") if isinstance(settings, dict) else None
    if not (isinstance(block, type) and issubclass(block, Block)):
        raise InputError(f"{task}: settings must name a class of the file that extends study.settings.Block")
    return block
