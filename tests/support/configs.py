"""Configs in tests: what is wrong with one, and the study that it describes."""

from collections.abc import Iterable
from typing import Any

from lambdascape.study.config_model import config_model
from lambdascape.study.paths import Study
from lambdascape.study.validation import ConfigError, check


def problems(config: dict[str, Any], files: Iterable[str] = ()) -> list[str]:
    """The problems of a config, one line each; empty when it can be used."""
    try:
        check(config, files)
    except ConfigError as error:
        return error.problems
    return []


def study_of(config: dict[str, Any], *overlays: str) -> Study:
    """The study of a config, without the rules between keys, so that a test may change one key alone."""
    return Study(config_model().model_validate(config), ".", [*overlays])
