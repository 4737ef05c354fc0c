"""Losses and networks that a study can choose, and the keys that belong to one of them: a run has its own choice's."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lambdascape.config.settings import Block
from lambdascape.core.declarations import Declared, declared
from lambdascape.core.errors import InputError
from lambdascape.jobs.fingerprint import task

# Means of a loss over triplets, whatever the loss: the minimised one, and that over all triplets.
LOSS_MEANS = ("loss", "loss_all")


class Choice(NamedTuple):
    """A key of the config whose values are declared.

    Attributes:
        kind: of the declarations.
        block: of the config.
        key: of the block.
        given: how many of the function's first arguments are no keys of the block.
    """

    kind: str
    block: str
    key: str
    given: int

    def keys_of(self, one: Declared) -> tuple[str, ...]:
        """The keys that what is declared alone reads."""
        return one.arguments[self.given :]


LOSS, NETWORK = Choice("loss", "training", "loss", 3), Choice("network", "network", "architecture", 2)


class Chosen(Block):
    """A loss or a network, as the jobs of a run are told of it.

    Attributes:
        task: its function, see `fingerprint.task`.
        keys: the keys of the config that it alone reads, with their values.
        measures: names of the further measures of a loss.
    """

    task: dict[str, str]
    keys: dict[str, Any]
    measures: list[str]


class Choices:
    """The losses and networks that there are.

    Args:
        plugins: files of the user, which may declare more.
    """

    def __init__(self, plugins: Sequence[str] = ()) -> None:
        self.known = {choice: declared(choice.kind, plugins) for choice in (LOSS, NETWORK)}

    def own_blocks(self, blocks: Mapping[str, Any]) -> dict[str, Any]:
        """A run's blocks without the keys of losses and networks that it does not use."""
        found = dict(blocks)
        for choice, known in self.known.items():
            block = blocks[choice.block]
            chosen = known.get(block[choice.key])
            own = choice.keys_of(chosen) if chosen else ()
            others = {key for one in known.values() for key in choice.keys_of(one)}.difference(own)
            found[choice.block] = {key: value for key, value in block.items() if key not in others}
        return found

    def of_loss(self, block: Mapping[str, Any]) -> Chosen:
        """The loss of a run, from its block `training`."""
        return self._chosen(LOSS, block)

    def of_network(self, block: Mapping[str, Any]) -> Chosen:
        """The network of a run, from its block `network`."""
        return self._chosen(NETWORK, block)

    def _chosen(self, choice: Choice, block: Mapping[str, Any]) -> Chosen:
        one = self.known[choice][block[choice.key]]
        keys = {key: block[key] for key in choice.keys_of(one)}
        return Chosen(task=task(one.task), keys=keys, measures=list(one.options.get("measures") or {}))


def check_point(point: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Stop where a point of the sweep sets a key of a loss or a network that is not the run's.

    Args:
        point: what it sets.
        run: see `Choices.own_blocks`.

    Raises:
        InputError: it sets such a key.
    """
    for key in point:
        if not any(key in block for block in run.values() if isinstance(block, Mapping)):
            loss, network = run[LOSS.block][LOSS.key], run[NETWORK.block][NETWORK.key]
            raise InputError(
                f"sweep: a run must set no key that its loss ({loss}) and its network ({network}) do not read; got "
                f"{key}. Write the points as sweep.arms, each with its own keys"
            )


def not_across(measure: str, plugins: Sequence[str] = ()) -> tuple[str, ...]:
    """Keys across whose values a mean of the loss cannot be compared; none for other measures.

    They are the loss itself and its keys, such as the margin, which is its unit. A key that only decides over which
    triplets the minimised mean is taken, such as the reduction, leaves the other means as they are.

    Args:
        measure: in training.tsv.
        plugins: files of the user, which may declare losses.
    """
    found: dict[str, None] = {}
    for one in declared(LOSS.kind, plugins).values():
        if measure in (*LOSS_MEANS, *(one.options["measures"] or {})):
            free = () if measure == "loss" else one.options["reductions"]
            found |= dict.fromkeys([LOSS.key, *(key for key in LOSS.keys_of(one) if key not in free)])
    return tuple(found)
