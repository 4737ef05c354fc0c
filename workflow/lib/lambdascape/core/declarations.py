"""What can be added is declared once: by a decorator, in its own module or in a file of the user."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lambdascape.core.errors import InputError
from lambdascape.core.sources import LIBRARY, OF_A_FILE, name_of, read_file, sources

CATEGORIES = ("Answer", "Training", "Probes", "Spaces", "Data")
Made = TypeVar("Made", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declared:
    """One thing that was declared.

    Attributes:
        kind: name of the decorator.
        name: what configs and tables call it.
        task: module and function (or class) below `lambdascape`, or file and function, see `jobs.call.find`.
        arguments: names of the function's arguments.
        options: what else the decorator was given.
    """

    kind: str
    name: str
    task: str
    arguments: tuple[str, ...]
    options: dict[str, Any]


def adapter(
    name: str, *, archives: Sequence[str], index: Sequence[str], lists: str = "", needs_index: bool = True
) -> Callable[[Made], Made]:
    """Declare an adapter of a data set: a function that reads what clips it offers.

    It is called with the folder to which the data set's own paths are relative, and returns a table with the columns
    `candidates.CANDIDATE` and a list of `candidates.Reject`. Stacked decorators declare several editions.

    Args:
        name: `dataset.adapter` in the config.
        archives: the folders that its archives make, as patterns.
        index: the index files of its editions, of which one must be there.
        lists: pattern of further index files.
        needs_index: whether there is no data set without one.
    """
    return _as_it_is


def figure(
    name: str, *, title: str, label: str, caption: str, category: str, wide: bool = False, only_with: str = ""
) -> Callable[[Made], Made]:
    """Declare a figure: a function that draws it from the files that its arguments name.

    The function takes the paths `svg` and `png` of what it draws, and asks for what it reads by the names of its other
    arguments, see `figure_files.INPUTS`: a table of the study (`runs`, `scores`, `geometry`, …), `features`,
    `embeddings`, `clips`, …

    Args:
        name: of its files, results/<study>/figures/<name>.svg.
        title: what it shows, in words, for the report.
        label: the same in fewer words, for Snakemake's report.
        caption: how to read it, in reStructuredText; the first sentence says what it is, in bold; the last one may name
            the files that its numbers come from.
        category: where Snakemake's report lists it, one of `CATEGORIES`.
        wide: whether it needs the whole width of the report.
        only_with: a key of the config without which there is no such figure.
    """
    if category not in CATEGORIES:
        raise InputError(f"category must be one of {', '.join(CATEGORIES)}; got {category!r}")
    return _as_it_is


def loss(
    name: str,
    *,
    label: str,
    measures: Mapping[str, tuple[str, str]] | None = None,
    reductions: Sequence[str] = (),
    settings: Any = None,
) -> Callable[[Made], Made]:
    """Declare a loss: a function of the embeddings of a batch of triplets.

    It is called as `loss(anchors, neighbours, distants, **keys)` with tensors of shape (triplet, dim), rows of length
    1, and returns `models.losses.terms.LossTerms`. Its further arguments are the keys of the block `training` that it
    alone reads; a run with another loss does not have them.

    Args:
        name: `training.loss` in the config.
        label: what figures and the report call it.
        measures: further columns of history.tsv to what the report calls them and a note.
        reductions: those of its keys that only decide over which triplets the minimised mean is taken. Losses
            cannot be compared between different values of the other keys.
        settings: class of keys that the block `training` gains, a `config.settings.Block`; None where it has them.
    """
    return _as_it_is


def network(name: str, *, label: str, settings: Any = None) -> Callable[[Made], Made]:
    """Declare a network: a function from tiles to maps of features, over which the embedder takes the mean.

    It is called as `network(tiles, convolution, **keys)` with a tensor of shape (tile, frame, mel, 1) and
    `convolution(x, filters, size, stride, name)`, a convolution with the run's biases and λ and normalisation behind
    it; it returns a tensor of shape (tile, height, width, channel). Its further arguments are the keys of the block
    `network` that it alone reads; a run with another network does not have them. What stands before the first `_` in
    the name of a convolution is the group in which the report shows what happened to it.

    Args:
        name: `network.architecture` in the config.
        label: what the report calls it.
        settings: class of keys that the block `network` gains, a `config.settings.Block`; None where it has them.
    """
    return _as_it_is


def probe(
    name: str, *, label: str, variants: Mapping[str, str] | None = None, chooses: str = "", settings: Any = None
) -> Callable[[Made], Made]:
    """Declare a probe: a function that fits classifiers to one space and scores them.

    It is called as `fit(given, settings, seeds)` with a `probes.scoring.ProbeInput`, the block `probes.<name>` of the
    config and the seeds of the samples of validation sessions, and returns a `probes.scoring.ScoreTable`. The argument
    `settings` is annotated with the class of the block.

    Args:
        name: of its block in the config and of its files, results/<study>/probes/<space>/<name>.tsv.
        label: what the report calls it.
        variants: further names in its table to what the report calls them.
        chooses: the setting that it chooses on validation sessions, as it notes it in its table; empty for none.
        settings: class of its block in the config, a `config.settings.Block`; None where the block `probes`
            has it there.
    """
    return _as_it_is


def similarity_measure(name: str, *, label: str, is_distance: bool = False) -> Callable[[Made], Made]:
    """Declare a measure of how much alike two spaces are.

    The function is called with a `space_group.SpaceGroup` and returns a matrix of shape (space, space) whose upper
    triangle is filled; a missing value is NaN.

    Args:
        name: what tables call it.
        label: what figures and the report call it.
        is_distance: whether it is 0 for equal spaces and grows as they differ; else it is 1 for equal spaces.
    """
    return _as_it_is


def _as_it_is(made: Made) -> Made:
    return made


# Decorator and package of each kind, and the arguments with which its functions begin.
DECORATORS: dict[str, tuple[Callable[..., Any], str, tuple[str, ...]]] = {
    "adapter": (adapter, "datasets.adapters", ("base",)),
    "figure": (figure, "figures", ()),
    "loss": (loss, "models.losses", ("anchors", "neighbours", "distants")),
    "network": (network, "models.networks", ("tiles", "convolution")),
    "probe": (probe, "probes", ("given", "settings", "seeds")),
    "similarity_measure": (similarity_measure, "similarity", ("group",)),
}
# Kinds whose functions may have further arguments.
WITH_MORE = ("figure", "loss", "network")


def declared(kind: str, plugins: Sequence[str] = ()) -> dict[str, Declared]:
    """What is declared of a kind, by name; nothing is imported for it.

    Args:
        kind: name of the decorator.
        plugins: Python files of the user, which may declare more.

    Raises:
        InputError: a name is declared twice, or a declaration lacks an option or has one too many.
    """
    _, package, _ = DECORATORS[kind]
    found: dict[str, Declared] = {}
    folder = LIBRARY.joinpath(*package.split("."))
    files = [(name_of(path) + ".", source) for path, source in sources().items() if path.is_relative_to(folder)]
    for prefix, source in [*files, *((f"{path}{OF_A_FILE}", read_file(path)) for path in plugins)]:
        for one in source.declarations:
            if one["kind"] == kind:
                task = prefix + one["function"]
                found |= {one["name"]: _checked(one, task, found)}
    return dict(sorted(found.items()))


def _checked(one: dict[str, Any], task: str, found: dict[str, Declared]) -> Declared:
    decorator, _, arguments = DECORATORS[one["kind"]]
    try:
        bound = inspect.signature(decorator).bind(one["name"], **one["options"])
        decorator(one["name"], **one["options"])
    except (TypeError, InputError) as error:
        raise InputError(f"{task}: @{one['kind']}: {error}") from None
    if not str(one["name"]).isidentifier():
        raise InputError(f"{task}: @{one['kind']} must have a name of letters, digits and _; got {one['name']!r}")
    if one["name"] in found:
        raise InputError(
            f"{task}: @{one['kind']} must have a name of its own; {found[one['name']].task} has {one['name']}"
        )
    given = tuple(one["arguments"])
    if given[: len(arguments)] != arguments or (given != arguments and one["kind"] not in WITH_MORE):
        words = f"{'begin with' if one['kind'] in WITH_MORE else 'have'} the arguments {', '.join(arguments)}"
        raise InputError(f"{task}: the function of @{one['kind']} must {words}; got {', '.join(given) or 'none'}")
    bound.apply_defaults()
    options = {key: value for key, value in bound.arguments.items() if key != "name"}
    return Declared(one["kind"], one["name"], task, tuple(one["arguments"]), options)
