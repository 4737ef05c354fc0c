"""`lambdascape call`: one task of the workflow by hand, for a debugger or a trial."""

from collections.abc import Sequence
from typing import Any

import yaml

from lambdascape.core.errors import InputError
from lambdascape.jobs.call import call


def call_task(task: str, given: Sequence[str]) -> None:
    """Call a task.

    Args:
        task: module and function below `lambdascape`, as the rules name it in `params.task`.
        given: its keyword arguments as `name=value`; a value is read as YAML.

    Raises:
        InputError: an argument has no `=`, is no YAML, is missing or unknown, or there is no such task.
    """
    call(task, dict(map(_argument, given)))


def _argument(given: str) -> tuple[str, Any]:
    name, sign, text = given.partition("=")
    if not sign:
        raise InputError(f"an argument must be NAME=VALUE; got {given}")
    try:
        return name, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{name}: the value must be YAML; {error}") from None
