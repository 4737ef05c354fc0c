"""The names that follow from a config: paths, runs and the settings of each job.

Light, for it is read at every start.
"""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lambdascape.config.keys import key_of
from lambdascape.config.settings import Block, Network, RunSettings, Training, Triplets
from lambdascape.core.declarations import Declared, declared
from lambdascape.jobs.fingerprint import task
from lambdascape.study import sweep
from lambdascape.study.catalogue import PAGE_PARTS, RECOMPUTED, STAGES, TABLES, WITH_RECOMPUTED
from lambdascape.study.choices import Choices
from lambdascape.study.data_paths import DataNames
from lambdascape.study.figure_files import FigureFiles

UNTRAINED, MEAN_LOGMEL, OWN = "untrained", "mean_logmel", "own"
BLOCKS: dict[str, type[Block]] = {"triplets": Triplets, "network": Network, "training": Training}


@dataclass(frozen=True)
class Study(DataNames):
    """One study, from a config that `validation.check` has accepted.

    Attributes:
        checkout: the folder of the Snakefile, relative to the working directory so that both can move together.
        overlays: the config files laid over the default one, relative to the checkout.
    """

    checkout: str
    overlays: list[str]

    @property
    def name(self) -> str:
        """Name of the study and of its folder under results/."""
        return self.settings.study

    @cached_property
    def runs(self) -> dict[str, dict[str, Any]]:
        """Name to settings, arm and seed of each trained run."""
        return sweep.expand(self.config["sweep"], self.config, self.settings.plugins)

    @cached_property
    def run_settings(self) -> dict[str, RunSettings]:
        """Name to settings of each trained run."""
        blocks = RunSettings.model_fields
        return {name: RunSettings.of({block: run[block] for block in blocks}) for name, run in self.runs.items()}

    @cached_property
    def axis(self) -> str:
        """The setting that figures have as their x axis; '' where none varies."""
        return sweep.axis_of(self.runs)

    def replicate(self, seed: int) -> dict[str, Any]:
        """What the runs of one seed share: the columns replicate, seed and test_fold of runs.tsv."""
        fold = self.config["split"]["test_fold"]
        return {"replicate": f"seed{seed}_{fold}", "seed": seed, "test_fold": fold}

    @property
    def recomputed(self) -> dict[str, str]:
        """Name to run of the second space of runs that keep moving averages: with the statistics of the weights."""
        moving = [run for run, blocks in self.runs.items() if blocks["training"]["batch_statistics"] == "moving"]
        return {f"{run}{WITH_RECOMPUTED}": run for run in moving}

    @property
    def untrained(self) -> dict[str, int]:
        """Name to seed of each reference space of the network with its initial weights."""
        return {f"untrained_seed~{seed}": seed for seed in self.settings.sweep.seeds}

    @property
    def own(self) -> dict[str, str]:
        """Name to file of each space that the user brings."""
        return dict(self.settings.spaces)

    @property
    def spaces(self) -> list[str]:
        """Names of all spaces that are judged: those of the runs, the references, and what the user brings."""
        return [*self.runs, *self.recomputed, *self.references]

    @property
    def compared(self) -> list[str]:
        """Names of the spaces whose scores are compared: of every run one."""
        return [*self.runs, *self.references]

    @property
    def references(self) -> dict[str, str]:
        """Name of each space that no training of the study made to its arm: the untrained networks share one."""
        own = {name: f"{OWN}:{name}" for name in self.own}
        return dict.fromkeys(self.untrained, UNTRAINED) | {MEAN_LOGMEL: MEAN_LOGMEL} | own

    @property
    def probes(self) -> list[str]:
        """Names of the probes that the config asks for, beside the published one, which is followed by epoch."""
        return [job["name"] for job in self.probe_jobs]

    @cached_property
    def probe_jobs(self) -> list[dict[str, Any]]:
        """Name, task and settings of each probe that the config asks for, beside the published one."""
        asked = {name: settings for name, settings in self.config["probes"].items() if settings and name != "by_epoch"}
        if self.settings.split.probe_folds == "all":
            asked["folds"] = self.config["probes"]["converged"]
        known = declared("probe", self.settings.plugins)
        return [
            {"name": name, "task": task(known[name].task), "settings": settings} for name, settings in asked.items()
        ]

    @cached_property
    def measures(self) -> dict[str, Declared]:
        """The measures of how much alike two spaces are, by name."""
        return declared("similarity_measure", self.settings.plugins)

    @property
    def measure_tasks(self) -> dict[str, dict[str, str]]:
        """Name to task of each of them."""
        return {name: task(one.task) for name, one in self.measures.items()}

    @property
    def distances(self) -> list[str]:
        """Names of those that grow as spaces differ."""
        return [name for name, one in self.measures.items() if one.options["is_distance"]]

    @property
    def run_pattern(self) -> str:
        """Regular expression of the names of trained runs."""
        return "|".join(map(re.escape, self.runs))

    @property
    def space_pattern(self) -> str:
        """Regular expression of the names of all spaces."""
        return "|".join(map(re.escape, self.spaces))

    @property
    def untrained_pattern(self) -> str:
        """Regular expression of the names of the reference spaces of untrained networks."""
        return "|".join(map(re.escape, self.untrained))

    @property
    def own_pattern(self) -> str:
        """Regular expression of the names of the spaces that the user brings."""
        return "|".join(map(re.escape, self.own)) or "(?!)"  # an empty pattern would match every name

    def own_source_of(self, wildcards: Any) -> str:
        """The file of one space that the user brings."""
        return self.own[wildcards.own]

    @property
    def reference_settings(self) -> dict[str, Any]:
        """The blocks of the config that shape the untrained networks: no λ, and of the training how it normalises."""
        penalties = {"l2": 0.0, "l2_scope": "convs", "embedding_norm_penalty": 0.0}
        fields = Training.model_fields.items()
        shaping = [name for name, field in fields if key_of(field).shapes_untrained]
        own = self.choices.own_blocks(self.config)
        return {
            "triplets": self.config["triplets"],
            "network": _of_the_package(own, "network") | penalties,
            "training": {key: self.config["training"][key] for key in shaping},
        }

    @cached_property
    def choices(self) -> Choices:
        """The losses and networks that the study can choose from."""
        return Choices(self.settings.plugins)

    @property
    def reference_network(self) -> dict[str, Any]:
        """The network of the untrained references, see `Choices.of_network`."""
        return self.choices.of_network(self.config["network"]).plain()

    @property
    def triplet_settings(self) -> list[dict[str, Any]]:
        """The different settings of triplets among the trained runs, in their order."""
        settings = [run["triplets"] for run in self.runs.values()]
        return [block for place, block in enumerate(settings) if block not in settings[:place]]

    def settings_of(self, wildcards: Any) -> dict[str, Any]:
        """The blocks of one run's own settings; the keys that plugins add are its loss's or its network's."""
        return {block: _of_the_package(self.runs[wildcards.run], block) for block in sweep.SWEPT_BLOCKS}

    def loss_of(self, wildcards: Any) -> dict[str, Any]:
        """The loss of one run, see `Choices.of_loss`."""
        return self.choices.of_loss(self.runs[wildcards.run]["training"]).plain()

    def network_of(self, wildcards: Any) -> dict[str, Any]:
        """The network of one run, see `Choices.of_network`."""
        return self.choices.of_network(self.runs[wildcards.run]["network"]).plain()

    def seed_of(self, wildcards: Any) -> int:
        """Seed of one run."""
        return int(self.runs[wildcards.run]["seed"])

    def untrained_seed_of(self, wildcards: Any) -> int:
        """Seed of one untrained network."""
        return self.untrained[wildcards.untrained]

    def space_seed_of(self, wildcards: Any) -> int:
        """Seed for judging a space: its run's, or the first of the study for the space that has none."""
        seeds = self.untrained | {name: run["seed"] for name, run in self.runs.items()}
        seeds |= {name: seeds[run] for name, run in self.recomputed.items()}
        return int(seeds.get(wildcards.space, self.config["sweep"]["seeds"][0]))

    def validation_seeds_of(self, wildcards: Any) -> list[int]:
        """Seeds of the validation sessions of a space's probes: its own, or all of the study for one that has none.

        So the mean over a space that has no seed rests on as many samples of validation sessions as that of an arm.
        """
        seeded = wildcards.space in (*self.runs, *self.recomputed, *self.untrained)
        return [self.space_seed_of(wildcards)] if seeded else [int(seed) for seed in self.config["sweep"]["seeds"]]

    def by_epoch_settings_of(self, wildcards: Any) -> dict[str, Any]:
        """Settings of the published probe of a space, with its arm's epochs."""
        settings = self.config["probes"]["by_epoch"]
        return settings | {"epochs": self._run_of(wildcards.space).get(sweep.PROBE_EPOCHS, settings["epochs"])}

    def by_epoch_triplets_of(self, wildcards: Any) -> dict[str, Any] | None:
        """The rule for triplets of a space where the published probe goes by it."""
        is_asked = self.settings.probes.by_epoch.tiles == "triplets"
        return self._run_of(wildcards.space)["triplets"] if is_asked else None

    def _run_of(self, space: str) -> dict[str, Any]:
        """The run of a space; the config, where it has none."""
        return self.runs.get(self.recomputed.get(space, space), self.config)

    @property
    def run_rows(self) -> list[dict[str, Any]]:
        """Rows of runs.tsv: every space with its identity and every setting that it has.

        The columns of the identity are `run_table.IDENTITY`. The second space of a run has the arm and the replicate
        of the run; a space without a seed has no replicate.
        """
        usual = {sweep.PROBE_EPOCHS: self.config["probes"]["by_epoch"]["epochs"]}
        judged = usual if any(sweep.PROBE_EPOCHS in run for run in self.runs.values()) else {}
        trained = [
            {"run": name, "kind": "trained", "arm": run["arm"]}
            | self.replicate(run["seed"])
            | {"axis": self.axis, "value": sweep.flat(run).get(self.axis)}
            | sweep.flat(run)
            | {key: run.get(key, value) for key, value in judged.items()}
            for name, run in self.runs.items()
        ]
        second = {"kind": RECOMPUTED, "batch_statistics": RECOMPUTED}
        recomputed = [
            row | {"run": name} | second
            for name, run in self.recomputed.items()
            for row in trained
            if row["run"] == run
        ]
        penalties = ("l2", "l2_scope", "embedding_norm_penalty")
        shaped = {key: value for key, value in sweep.flat(self.reference_settings).items() if key not in penalties}
        untrained = [
            {"run": name, "kind": UNTRAINED, "arm": self.references[name]} | self.replicate(seed) | shaped | judged
            for name, seed in self.untrained.items()
        ]
        without_seed = [
            {"run": name, "kind": kind, "arm": self.references[name], "tile_s": shaped["tile_s"]} | judged
            for name, kind in [(MEAN_LOGMEL, MEAN_LOGMEL), *((name, OWN) for name in self.own)]
        ]
        return [*trained, *recomputed, *untrained, *without_seed]

    @property
    def published_curves(self) -> str:
        """The published curves."""
        return os.path.normpath(f"{self.checkout}/workflow/report/published_curves.csv")

    @property
    def curves_behind(self) -> list[str]:
        """The published curves where the data set is the published one, to stand behind the study's own."""
        return [self.published_curves] if self.settings.dataset.adapter == "dcase2018_task5" else []

    @property
    def tables(self) -> list[str]:
        """Names of the tables of the study."""
        return [*TABLES, *(["protocols"] if self.settings.compare_with else [])]

    @property
    def figures(self) -> list[str]:
        """Names of the figures of the study."""
        return list(self.figure_files.all)

    @cached_property
    def figure_files(self) -> FigureFiles:
        """What each figure is drawn from."""
        embeddings = [f"results/{self.name}/embeddings/{space}.h5" for space in self.spaces]
        return FigureFiles(
            self.settings,
            f"results/{self.name}",
            {"clips": self.clips, "rejected": self.rejected, "warnings": self.warnings},
            {"features": [self.features], "embeddings": embeddings, "published": self.curves_behind},
            {
                "synthetic": self.is_synthetic,
                "names": self.spaces,
                "test_fold": self.settings.split.test_fold,
                "tile_s": self.settings.triplets.tile_s,
                "measures": {name: one.options for name, one in self.measures.items()},
            },
        )

    @property
    def figure_pattern(self) -> str:
        """Regular expression of the names of the figures."""
        return "|".join(self.figures)

    @property
    def page_parts(self) -> tuple[str, ...]:
        """Names of the files of which the report's page is made, beside its template."""
        return PAGE_PARTS

    @property
    def protocols(self) -> list[str]:
        """The table of both protocols where the study is compared with another one."""
        return [f"results/{self.name}/tables/protocols.tsv"] if "protocols" in self.tables else []

    @property
    def other_tables(self) -> dict[str, str]:
        """The tables of the study that this one is compared with, by name; empty where there is none."""
        other = self.settings.compare_with
        tables = {"runs": "runs", "training": "tables/training", "scores": "tables/scores"}
        return {name: f"results/{other}/{table}.tsv" for name, table in tables.items()} if other else {}

    @property
    def exports(self) -> dict[str, list[str]]:
        """What can be handed to other tools: the files of each kind of export."""
        folder, settings = f"results/{self.name}/exports", self.settings.exports
        of_model = ("embedder.keras", "README.md", *(["embedder.onnx"] if settings.onnx else []))
        return {
            "table": [f"{folder}/embeddings.{settings.table}"],
            "projector": [f"{folder}/projector/projector_config.pbtxt"],
            "models": [f"{folder}/models/{run}/{name}" for run in self.runs for name in of_model],
        }

    @property
    def exported(self) -> list[str]:
        """The exports that every run of the study makes."""
        return [file for kind in self.settings.exports.always for file in self.exports[kind]]

    def export_facts_of(self, wildcards: Any) -> dict[str, Any]:
        """What an exported model tells of its run beside settings and seed."""
        dataset = {key: self.config["dataset"][key] for key in ("name", "title", "licence", "citation", "channels")}
        facts = {"study": self.name, "run": wildcards.run, "dataset": dataset}
        return facts | {"test_fold": self.settings.split.test_fold}

    def problems(self) -> list[str]:
        """What is not there that the config names, one line each; empty when all is there."""
        return [*self.features_store.problems(), *self._problems_of_spaces(), *self._problems_of_comparison()]

    def _problems_of_spaces(self) -> list[str]:
        found = []
        for name, path in self.own.items():
            if not path.endswith((".h5", ".hdf5", ".parquet")):
                found.append(f"spaces.{name}: must name a file .h5, .hdf5 or .parquet; got {path}")
            elif not Path(path).is_file():
                found.append(f"spaces.{name}: must name a file of embeddings; there is none at {path}")
        return found

    def _problems_of_comparison(self) -> list[str]:
        missing = [path for path in self.other_tables.values() if not Path(path).is_file()]
        if not missing:
            return []
        rule = f"must name a study that has been run here; of {self.settings.compare_with} there is no {missing[0]}"
        return [f"compare_with: {rule}. Run it first: make run STUDY=<its file>"]

    @property
    def viewer_about(self) -> dict[str, Any]:
        """What the viewer says beside its points."""
        dataset = self.settings.dataset
        return {
            "study": self.name,
            "synthetic": self.is_synthetic,
            "title": dataset.title,
            "licence": dataset.licence,
            "redistributable": self.heard() is not None,
            "tile_s": self.settings.triplets.tile_s,
            "fmin": self.settings.features.fmin,
            "fmax": self.settings.features.fmax,
            "points": self.settings.viewer.points,
            "neighbours": self.settings.viewer.neighbours,
        }

    @property
    def page(self) -> str:
        """The report."""
        return f"results/{self.name}/report/index.html"

    def closing_words(self) -> str:
        """What a run that went well ends with."""
        made = Path(self.page).exists()
        return f"The report: {self.page}" if made else f"Done. The report is not made yet: {self.page}"

    @property
    def about(self) -> dict[str, Any]:
        """What the report says of the study beside its tables; the only place to which the whole config goes."""
        logs = f"results/benchmarks/{self.name}"
        stages = {name: f"{logs}/{name}" for name in STAGES}
        return {
            "study": self.name,
            "config": self.config,
            "synthetic": self.is_synthetic,
            "benchmarks": {
                "datasets": f"results/benchmarks/datasets/{self.dataset}",
                "features": f"results/benchmarks/features/{self.dataset}/{self.recipe}",
            }
            | stages,
            "receipts": f"results/receipts/{self.name}",
            "checkout": self.checkout,
            "command": self.command(),
            "export_command": self.command("exports"),
        }

    def command(self, target: str = "") -> str:
        """What makes the study, or a target of it, typed in the checkout; make takes at most one config file."""
        files = [shlex.quote(file) for file in self.overlays]
        if len(files) > 1:
            return " ".join(["snakemake --cores all", *([target] if target else []), "--configfile", *files])
        given = [f"TARGET={target}"] if target else []
        return " ".join(["make run", *given, *(f"STUDY={file}" for file in files)])


def _of_the_package(blocks: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A block without the keys that plugins add."""
    fields = BLOCKS[name].model_fields
    return {key: value for key, value in blocks[name].items() if key in fields}
