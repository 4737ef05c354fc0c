"""What is known of a key of the config beside its type, its default and its bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import Field
from pydantic.fields import FieldInfo

# The stages of the workflow, in order: a change of a key reruns its stage and what depends on it. `all` is a new folder
# of results.
STAGES = (
    *("all", "datasets", "features", "models", "embeddings", "probes", "geometry", "tables", "claims", "viewer"),
    *("exports", "report"),
)
# Groups of Table 1 of the report.
DATA_AND_MODEL, TRAINING, COMPUTING, AUDIO = "Data and model", "Training", "Computing", "Audio"
REPRESENTATION, PROBES, JUDGING = "Feature representation", "Probes", "Judging"


BOUNDS = ("ge", "gt", "le", "lt", "min_length")


class Reason(NamedTuple):
    """Why one departs from the published value, and for which values (as run, as published) that holds."""

    holds: Callable[[Any, Any], bool]
    words: str


def always(words: str) -> Reason:
    """A reason for any other value, and for what is no setting here."""
    return Reason(lambda value, published: True, words)


def less(words: str) -> Reason:
    """A reason where every value is below the least published one."""
    return Reason(lambda value, published: max(_listed(value)) < min(_listed(published)), words)


def more(words: str) -> Reason:
    """A reason where every value is above the greatest published one."""
    return Reason(lambda value, published: min(_listed(value)) > max(_listed(published)), words)


def beyond(words: str) -> Reason:
    """A reason where the published values are among several."""
    return Reason(lambda value, published: set(_listed(published)) < set(_listed(value)), words)


def several(words: str) -> Reason:
    """A reason where there is more than one value."""
    return Reason(lambda value, published: len(_listed(value)) > 1, words)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Key:
    """What is known of one key.

    Attributes:
        unit: the unit of its value, empty for a pure number and for text.
        label: its name in figures and tables; empty for a key that has none there.
        counts: the label says already what is counted, so that the unit is not repeated beside a value.
        group: the group of Table 1 of the report in which it stands.
        published: its value in the published study, a list for several; None where the study does not report it.
        why: reasons to depart from the published value; the first that holds is reported.
        reruns: the first stage that a change runs again, one of `STAGES`; empty: that of its block.
        also: another spelling that is accepted.
        reported: whether Table 1 of the report shows it; not where the report shows it elsewhere.
        budget: it decides how long or by which schedule a network is trained.
        costs_time: a change can alter the time that a step of training takes.
        shapes_untrained: it shapes the space of an untrained network.

    Raises:
        ValueError: a declaration that contradicts itself.
    """

    unit: str = ""
    label: str = ""
    counts: bool = False
    group: str = ""
    published: Any = None
    why: tuple[Reason, ...] = ()
    reruns: str = ""
    also: str = ""
    reported: bool = True
    budget: bool = False
    costs_time: bool = True
    shapes_untrained: bool = False

    def __post_init__(self) -> None:
        if self.why and self.published is None:
            raise ValueError(f"a key with reasons must have a published value to depart from; got none ({self})")
        if bool(self.label) != bool(self.group):
            raise ValueError(f"a key must have both a label and a group of Table 1, or neither; got {self}")
        if self.reruns not in ("", *STAGES):
            raise ValueError(f"reruns must be one of {', '.join(STAGES)}; got {self.reruns!r}")

    @property
    def shown_unit(self) -> str:
        """The unit as it stands beside a value of the key, behind its label."""
        return "" if self.counts else self.unit

    def __call__(self, schema: dict[str, Any]) -> None:
        """Add unit and published value to the key's rule in the JSON schema, where editors show them."""
        facts = [f"Unit: {self.unit}."] if self.unit else []
        if self.published is not None:
            facts.append(f"Published: {self.published}.")
        schema["description"] = " ".join([schema["description"], *facts])


def key(default: Any, description: str, bounds: dict[str, Any] | None = None, **about: Any) -> Any:
    """Declare a key of the config.

    Args:
        default: its default; `...` for a key that must be given.
        description: what it is, in a sentence.
        bounds: pydantic's constraints, `BOUNDS`.
        about: the attributes of `Key`.

    Raises:
        ValueError: a bound or an attribute that there is not.
    """
    if unknown := {*(bounds or {})} - {*BOUNDS}:
        raise ValueError(f"bounds of a key must be among {', '.join(BOUNDS)}; got {min(unknown)}")
    return Field(default, description=description, json_schema_extra=Key(**about), **(bounds or {}))


def block(model: Callable[[], Any], description: str = "", **about: Any) -> Any:
    """Declare a block of keys, which has the defaults of its own keys.

    Args:
        model: the block.
        description: what its keys are about, in a sentence; empty: what the docstring of the block says.
        about: the attributes of `Key`.
    """
    text = description or (model.__doc__ or "").partition("\n")[0]
    return Field(default_factory=model, description=text, json_schema_extra=Key(**about))


def key_of(field: FieldInfo) -> Key:
    """What is known of a key, from its field in a model."""
    extra: Any = field.json_schema_extra
    return extra if isinstance(extra, Key) else Key()
