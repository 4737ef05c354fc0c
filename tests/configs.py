"""What is wrong with a config, for tests."""

from collections.abc import Iterable
from typing import Any

from lambdascape.study.validation import ConfigError, check


def problems(config: dict[str, Any], files: Iterable[str] = ()) -> list[str]:
    """The problems of a config, one line each; empty when it can be used."""
    try:
        check(config, files)
    except ConfigError as error:
        return error.problems
    return []
