"""The names that follow from a config's data set and feature recipe: studies over the same audio share them."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lambdascape.config.settings import Config, FeatureRecipe, ReadingSettings
from lambdascape.core.declarations import declared
from lambdascape.datasets.archives import Archive, archives_of
from lambdascape.features.shared_store import FeaturesStore
from lambdascape.jobs.fingerprint import task
from lambdascape.jobs.provenance import settings_digest


@dataclass(frozen=True)
class DataNames:
    """Paths and settings of the stages before training.

    Attributes:
        settings: the checked config.
    """

    settings: Config

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config as plain values in the order of the model, as jobs get it in their params."""
        return self.settings.model_dump()

    @property
    def dataset(self) -> str:
        """Name of the data set and of its folders under results/."""
        return self.settings.dataset.name

    @property
    def is_synthetic(self) -> bool:
        """Whether the audio was made by the workflow; every figure then says so."""
        return self.settings.dataset.adapter == "demo"

    def audio_of(self, wildcards: Any) -> str:
        """The folder in which the data set lies: the one that the workflow made, or the one that the config names."""
        if self.is_synthetic:
            return f"results/datasets/{wildcards.dataset}/audio"
        if self.archives:
            return f"results/datasets/{wildcards.dataset}/download/audio"
        return str(self.settings.dataset.path)

    @property
    def archive_set(self) -> str:
        """Name by which the table of archives knows the data set."""
        return self.settings.dataset.adapter

    @property
    def archives(self) -> dict[str, Archive]:
        """File name to address and md5 of each archive that is downloaded; empty where the audio is there already."""
        return archives_of(self.archive_set) if self.settings.dataset.download else {}

    @property
    def archive_pattern(self) -> str:
        """Regular expression of the names of the archives."""
        return "|".join(map(re.escape, self.archives))

    @property
    def unpacked(self) -> list[str]:
        """Lists of the files in each downloaded archive; there when the archive is unpacked."""
        folder = f"results/datasets/{self.dataset}/download/unpacked"
        return [f"{folder}/{name}.tsv" for name in self.archives] if self.keeps_audio else []

    @property
    def keeps_audio(self) -> bool:
        """Whether audio stays; else each downloaded archive is drained into features and deleted."""
        return self.settings.dataset.keep_audio

    @property
    def looks(self) -> list[str]:
        """What was seen of the audio in each drained archive."""
        folder = f"results/features/{self.dataset}/{self.recipe}/archives"
        return [] if self.keeps_audio else [f"{folder}/{name}.tsv" for name in self.archives]

    def archive_of(self, wildcards: Any) -> dict[str, str]:
        """Where one archive is and what its md5 must be."""
        archive = self.archives[wildcards.archive]
        return {"url": archive.url, "md5": archive.md5}

    @property
    def dataset_settings(self) -> dict[str, Any]:
        """What decides how the folder of audio is read."""
        values = self.config["dataset"] | {"plugins": self.settings.plugins}
        return {key: values[key] for key in ReadingSettings.model_fields}

    @property
    def adapter_task(self) -> dict[str, str]:
        """The task that reads which clips the data set offers."""
        return task(declared("adapter", self.settings.plugins)[self.settings.dataset.adapter].task)

    def index_digest_of(self, wildcards: Any) -> str:
        """Fingerprint of the files that say which clips there are, so that an edit of them is seen.

        A function, so that a folder of audio is looked through when its job is planned, not in every job that starts.
        """
        if self.is_synthetic:
            return settings_digest(self.config["dataset"]["demo"])
        if self.archives:
            return settings_digest({name: archive.md5 for name, archive in self.archives.items()})
        from lambdascape.datasets.index import source_digest

        return source_digest(str(self.settings.dataset.path), self.settings.dataset.adapter, self.settings.plugins)

    @property
    def recipe_settings(self) -> dict[str, Any]:
        """The feature settings that change a number; in how many shards they are computed does not."""
        return {key: self.config["features"][key] for key in FeatureRecipe.model_fields}

    @property
    def recipe(self) -> str:
        """Name of the feature recipe and of its folder: another setting, another store beside the old one."""
        return f"logmel{self.settings.features.n_mels}-{settings_digest(self.recipe_settings)[:8]}"

    @property
    def shards(self) -> list[str]:
        """The shards that make the store: of parallel jobs, or of drained archives."""
        folder = f"results/features/{self.dataset}/{self.recipe}"
        if self.looks:
            return [f"{folder}/archives/{name}.h5" for name in self.archives]
        return [f"{folder}/shards/{number}.h5" for number in range(self.settings.features.n_shards)]

    @property
    def clips(self) -> str:
        """Manifest of the clips."""
        return f"results/datasets/{self.dataset}/clips.tsv"

    @property
    def rejected(self) -> str:
        """Table of the clips that cannot be used."""
        return f"results/datasets/{self.dataset}/rejected.tsv"

    @property
    def warnings(self) -> str:
        """Table of the clips that are odd."""
        return f"results/datasets/{self.dataset}/warnings.tsv"

    @property
    def features(self) -> str:
        """The store of all frames of all clips."""
        return f"results/features/{self.dataset}/{self.recipe}/features.h5"

    @property
    def features_store(self) -> FeaturesStore:
        """The place of these features in the store that users share, if the config names one."""
        receipt = Path(f"results/receipts/features/{self.dataset}/{self.recipe}/features.json")
        return FeaturesStore(self.settings.features_store, self.dataset, self.recipe, Path(self.features), receipt)

    def heard(self, wildcards: Any = None) -> str | None:
        """The folder of the audio whose sound may stand in the report; None where it may not, or is not there."""
        if not self.is_synthetic and not (self.settings.dataset.redistributable and self.keeps_audio):
            return None
        return self.audio_of(SimpleNamespace(dataset=self.dataset))
