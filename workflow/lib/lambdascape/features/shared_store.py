"""Where features lie in the folder that users share, and whether a study takes them from there. Quick to import."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTHING = "(?!)"  # a regular expression that matches nothing


@dataclass(frozen=True)
class FeaturesStore:
    """The place of one data set and recipe.

    Attributes:
        root: the folder that users share; None for none.
        dataset: name of the data set.
        recipe: name of the recipe.
        here: the features of this working directory.
        receipt: of the job that made or fetched them.
    """

    root: str | None
    dataset: str
    recipe: str
    here: Path
    receipt: Path

    @property
    def folder(self) -> str:
        """Where the features lie, or would lie, in the shared store; '' for none."""
        return str(Path(self.root, self.dataset, self.recipe)) if self.root else ""

    def folder_of(self, wildcards: Any, output: Any) -> str:
        """The same for a job; asking for `output` keeps it from being compared: a store that moved repeats nothing."""
        return self.folder

    @property
    def fetches(self) -> bool:
        """Whether the features are those of the shared store: linked to before, or there and not here."""
        if self.here.exists():
            return self.here.is_symlink() or self._were_fetched
        return bool(self.folder) and Path(self.folder).is_dir()

    @property
    def _were_fetched(self) -> bool:
        """Whether the job that fetches left the receipt: in moved results a file is in the place of the link."""
        try:
            receipt = json.loads(self.receipt.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return "shared" in receipt["params"]

    @property
    def fetched_recipe(self) -> str:
        """Regular expression of the recipes whose features are fetched: of this one, or of none."""
        return re.escape(self.recipe) if self.fetches else NOTHING

    @property
    def receipts(self) -> list[str]:
        """The table that tells of the shared features: of who made them and may write into the shared store."""
        if not self.folder or self.fetches:
            return []
        folders = (Path(self.folder), *Path(self.folder).parents)
        place = next(folder for folder in folders if folder.is_dir())
        return [str(self.here.with_name("shared.tsv"))] if os.access(place, os.W_OK) else []

    def problems(self) -> list[str]:
        """What is not there of what the config or a link of ours leads to; empty when all is there."""
        found = []
        if self.root and not Path(self.root).is_dir():
            found.append(f"features_store: must name a folder that is there; there is no {self.root}")
        if self.here.is_symlink() and not self.here.exists():
            gone = f"{self.here}: must lead to features; it leads to {self.here.readlink()}, which is not there"
            found.append(f"{gone}. Delete the link, and they are fetched or made again")
        return found
