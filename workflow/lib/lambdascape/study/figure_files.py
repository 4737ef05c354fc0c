"""What each figure is drawn from: a figure asks for it by the names of its arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

from lambdascape.config.settings import Config
from lambdascape.core.declarations import Declared, declared
from lambdascape.core.errors import InputError
from lambdascape.jobs.fingerprint import task
from lambdascape.jobs.provenance import contents
from lambdascape.study.catalogue import TABLES

DRAWN = ("svg", "png")
WORDS = ("title", "caption", "wide")
# Name of an argument to a table of the study, below results/<study>/.
INPUTS = {
    "runs": "runs.tsv",
    **{name: f"tables/{name}.tsv" for name in (*TABLES, "protocols")},
    **{name: f"similarity/{name}.tsv" for name in ("pairs", "map", "moves")},
}


class FigureFiles:
    """The figures of a study, and the files and values that each asks for.

    Args:
        config: the checked config.
        folder: results/<study>.
        data: `clips`, `rejected`, `warnings`: tables of the data set.
        large: `features`: path; `embeddings`: the spaces' files; `published`: the published curves, or none.
        values: `synthetic`, `names` (of the spaces), `test_fold`, `tile_s`.

    Raises:
        InputError: a figure asks for what there is not.
    """

    def __init__(
        self,
        config: Config,
        folder: str,
        data: Mapping[str, str],
        large: Mapping[str, Sequence[str]],
        values: Mapping[str, Any],
    ) -> None:
        every = declared("figure", config.plugins)
        self.all = {name: one for name, one in every.items() if _is_drawn(one, config)}
        self.tables = {name: f"{folder}/{path}" for name, path in INPUTS.items()} | dict(data)
        self.large, self.values = large, values
        for one in self.all.values():
            known = {*self.tables, *self.large, *self.values, *DRAWN}
            if unknown := [name for name in one.arguments if name not in known]:
                raise InputError(
                    f"{one.task}: a figure must ask for arguments among {', '.join(sorted(known))}; got {unknown[0]}"
                )

    @property
    def words(self) -> dict[str, dict[str, Any]]:
        """Name to `title`, `caption` and `wide` of each figure, for the report."""
        return {name: {key: one.options[key] for key in WORDS} for name, one in self.all.items()}

    def tables_of(self, wildcards: Any) -> dict[str, str]:
        """Name to path of the tables that a figure is drawn from."""
        return {name: self.tables[name] for name in self._asked(wildcards) if name in self.tables}

    def features_of(self, wildcards: Any) -> str | list[str]:
        """The feature store, where a figure asks for it."""
        return "".join(self._large("features", wildcards)) or []

    def embeddings_of(self, wildcards: Any) -> list[str]:
        """The files of all spaces, where a figure asks for them."""
        return self._large("embeddings", wildcards)

    def curves_of(self, wildcards: Any) -> list[str]:
        """The published curves, where a figure asks for them and there are any."""
        return self._large("published", wildcards)

    def digests_of(self, wildcards: Any) -> list[str]:
        """The digests of what is large, where a figure asks for it."""
        return [f"{path}.sha256" for name in ("features", "embeddings") for path in self._large(name, wildcards)]

    def arguments_of(self, wildcards: Any) -> dict[str, Any]:
        """The values that a figure asks for."""
        return {name: value for name, value in self.values.items() if name in self._asked(wildcards)}

    def contents_of(self, wildcards: Any) -> str:
        """Digest of the published curves, where a figure asks for them."""
        return contents(*self._large("published", wildcards))

    def task_of(self, wildcards: Any) -> dict[str, str]:
        """The task that draws a figure."""
        return task(self.all[wildcards.figure].task)

    def caption_of(self, wildcards: Any) -> str:
        """The caption of a figure, in reStructuredText."""
        return str(self.all[wildcards.figure].options["caption"])

    def category_of(self, wildcards: Any) -> str:
        """Where Snakemake's report lists a figure."""
        return str(self.all[wildcards.figure].options["category"])

    def labels_of(self, wildcards: Any) -> dict[str, str]:
        """What Snakemake's report calls a figure."""
        return {"Study": wildcards.study, "Figure": str(self.all[wildcards.figure].options["label"])}

    def _asked(self, wildcards: Any) -> tuple[str, ...]:
        return self.all[wildcards.figure].arguments

    def _large(self, name: str, wildcards: Any) -> list[str]:
        return list(self.large[name]) if name in self._asked(wildcards) else []


def _is_drawn(one: Declared, config: Config) -> bool:
    key = one.options["only_with"]
    return not key or bool(getattr(config, key))
