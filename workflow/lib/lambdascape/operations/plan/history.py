"""How long jobs took before: of this study or of others in the same folder of results, scaled to what is planned."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from lambdascape.config.keys import key_of
from lambdascape.config.settings import Network, RunSettings, Training, Triplets
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import iterate_rows
from lambdascape.jobs.receipts import read_receipt
from lambdascape.operations.plan.audio_volume import Extent, of_manifest
from lambdascape.operations.plan.planned_jobs import Job, number
from lambdascape.study.catalogue import RECOMPUTED
from lambdascape.study.paths import MEAN_LOGMEL, OWN, UNTRAINED, Study
from lambdascape.study.sweep import SWEPT_BLOCKS

TRAINING = "train_model"
NETWORKS = (TRAINING, "embed_trained", "embed_recomputed", "embed_untrained")  # their time hangs on the network, too
BY_TILES = (
    *NETWORKS,
    "embed_mean_logmel",
    "fit_probes",
    "list_unused",
    "count_distant",
)
BY_SECONDS = ("list_clips", "extract_shard", "consolidate_features")
BY_PAIRS = ("compare_spaces",)
# The embeddings of all spaces lie in one folder: rule to the kind in runs.tsv of the spaces that it makes.
KINDS = {
    "embed_trained": "trained",
    "embed_recomputed": RECOMPUTED,
    "embed_untrained": UNTRAINED,
    "embed_mean_logmel": MEAN_LOGMEL,
    "embed_own": OWN,
}
CPU = "cpu"


class Estimate(NamedTuple):
    """How long the jobs of a rule will take.

    Attributes:
        seconds: of all of them together.
        measured: from how many jobs that is known.
        words: how it is scaled.
        memory: megabytes that the largest of those took, not scaled; None where they do not tell.
    """

    seconds: float
    measured: int
    words: str
    memory: float | None = None


class Known(NamedTuple):
    """What the receipt of a training tells: the audio that it had, its settings and its feature recipe."""

    extent: Extent
    settings: RunSettings
    recipe: str


class Past(NamedTuple):
    """One training that is over: what is known of it, its device, seconds a triplet and beside epochs, megabytes."""

    known: Known
    device: str
    per_triplet: float
    beside: float
    memory: float | None


class History:
    """What a folder of results remembers of jobs that ended.

    Args:
        root: the folder, usually `results`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = cache(of_manifest)
        self.known = cache(self._known)
        self.trainings = cache(self._trainings)
        self.kinds = cache(self._kinds)

    def estimates(self, study: Study, jobs: Sequence[Job], extent: Extent | None) -> dict[str, Estimate]:
        """Estimates by rule, for the rules of which there is something to go by.

        Args:
            study: the study that is planned.
            jobs: its jobs.
            extent: how much audio it has; without it only what does not depend on it is estimated.
        """
        rules: dict[str, list[Job]] = {}
        for job in jobs:
            rules.setdefault(job.rule, []).append(job)
        found = {
            rule: self._training(study, those, extent) if rule == TRAINING else self._other(study, those, extent)
            for rule, those in rules.items()
        }
        return {rule: estimate for rule, estimate in found.items() if estimate}

    def _training(self, study: Study, jobs: list[Job], extent: Extent | None) -> Estimate | None:
        """Seconds a triplet of the same network on the same tiles × triplets × epochs, and what comes beside epochs."""
        if extent is None or not extent.triplets:
            return None
        seconds, counts, devices, memories = 0.0, set(), set(), set()
        runs = study.run_settings
        for job in jobs:
            run = runs[job.wildcards["run"]]
            alike = [past for past in self.trainings() if _alike(past.known, study, run)]
            alike = [past for past in alike if past.device != CPU] or alike
            if not alike:
                return None
            epoch = median(past.per_triplet for past in alike) * extent.triplets
            seconds += run.training.epochs * epoch + median(past.beside for past in alike)
            counts.add(len(alike))
            devices |= {past.device for past in alike}
            memories |= {past.memory for past in alike}
        slow = ", which may say little of a GPU" if CPU in devices and jobs[0].gpus else ""
        words = f"measured on {', '.join(sorted(devices))}{slow}; scaled by triplets of an epoch and by epochs"
        return Estimate(seconds, max(counts), words, _most(memories))

    def _other(self, study: Study, jobs: list[Job], extent: Extent | None) -> Estimate | None:
        """Seconds of earlier jobs of the rule, scaled by what its time grows with; never below what was measured."""
        rule = jobs[0].rule
        found, memories = [], []
        for path in self._alike_paths(jobs[0]):
            (seconds, memory), factor = _noted(path), self._factor(rule, study, path, extent)
            if seconds is not None and factor is not None:
                found.append(seconds * max(1.0, factor))
                memories.append(memory)
        if not found:
            return None
        words = {
            **dict.fromkeys(BY_TILES, "scaled by tiles, start included: rather too long"),
            **dict.fromkeys(BY_SECONDS, "scaled by seconds of audio, start included: rather too long"),
            **dict.fromkeys(BY_PAIRS, "scaled by pairs of spaces, start included: rather too long"),
        }.get(rule, "not scaled")
        return Estimate(len(jobs) * median(found), len(found), words, _most(memories))

    def _factor(self, rule: str, study: Study, path: Path, extent: Extent | None) -> float | None:
        """How many times as much as the measured job of a benchmark file a planned one has to do; None: not known."""
        place = path.relative_to(self.root / "benchmarks").parts
        if rule in BY_SECONDS:
            manifest = self.root / "datasets" / place[1] / "clips.tsv"
            past = self.manifest(manifest, 1.0, "").seconds if manifest.is_file() else 0.0
            shards = len(list(path.parent.glob("*.tsv"))) if rule == "extract_shard" else 1
            mine = study.settings.features.n_shards if rule == "extract_shard" else 1
            return extent.seconds / past * shards / mine if extent and past else None
        if rule in BY_PAIRS:
            spaces = len(list((self.root / place[0] / "embeddings").glob("*.h5")))
            return len(study.spaces) ** 2 / spaces**2 if spaces else None
        if rule not in BY_TILES:
            return 1.0
        known = self._of_study(place[0])
        if not (extent and known and known.extent.tiles):
            return None
        if rule in NETWORKS and not all(_alike(known, study, run, ("network",)) for run in study.run_settings.values()):
            return None
        return extent.tiles / known.extent.tiles

    def _alike_paths(self, job: Job) -> Iterator[Path]:
        """Benchmark files of the same rule, of any study, data set, run or space."""
        values, kind = set(job.wildcards.values()), KINDS.get(job.rule)
        parts = [*Path(job.benchmark).parts[1:]]
        for place, part in enumerate(parts):
            stem = part.removesuffix(".tsv")
            if stem in values or (kind and place == len(parts) - 1):
                parts[place] = "*" + part[len(stem) :]
        for path in sorted(self.root.glob("/".join(parts))):
            if kind is None or self.kinds(path.parts[-3]).get(path.stem) == kind:
                yield path

    def _kinds(self, study: str) -> dict[str, str]:
        """Kind of each space of a study, by its name; empty without its runs.tsv."""
        table = self.root / study / "runs.tsv"
        return {row["run"]: row["kind"] for row in iterate_rows(table)} if table.is_file() else {}

    def _of_study(self, study: str) -> Known | None:
        """What is known of the first training of a study."""
        receipts = sorted((self.root / "receipts" / study / "models").glob("*.json"))
        return next(filter(None, map(self.known, receipts)), None)

    def _known(self, receipt: Path) -> Known | None:
        """What a receipt of a training tells; None where it cannot be read, or its manifest is gone."""
        try:
            read = read_receipt(receipt)
            settings, test_fold = RunSettings.of(read.params["settings"]), read.params["test_fold"]
            manifest, features = (
                next(Path(path) for path in read.inputs if path.endswith(end)) for end in ("clips.tsv", "features.h5")
            )
            place = self.root.joinpath(*manifest.parts[1:])
            return Known(self.manifest(place, settings.triplets.tile_s, test_fold), settings, features.parts[-2])
        except (InputError, OSError, KeyError, StopIteration):
            return None

    def _trainings(self) -> list[Past]:
        """Every training of which settings, audio and history are there."""
        found = []
        for path in sorted((self.root / "receipts").glob("*/models/*.json")):
            study, known = path.parts[-3], self.known(path)
            history = self.root / study / "models" / path.stem / "history.tsv"
            if known is None or not known.extent.triplets or not history.is_file():
                continue
            rows = [row for row in iterate_rows(history) if row["split"] == "train" and row.get("seconds")]
            if not rows:
                continue
            seconds = [float(row["seconds"]) for row in rows]
            whole, memory = _noted(self.root / "benchmarks" / study / "models" / f"{path.stem}.tsv")
            epoch = median(seconds[1:] or seconds)  # the first one compiles the step
            beside = max(0.0, (whole or 0.0) - len(seconds) * epoch)
            found.append(Past(known, rows[-1]["device"], epoch / known.extent.triplets, beside, memory))
        return found


def _alike(known: Known, study: Study, run: RunSettings, blocks: Iterable[str] = SWEPT_BLOCKS) -> bool:
    """Whether a tile costs a run what it cost a past one: the same features, network and arithmetic."""
    fields = Triplets.model_fields | Network.model_fields | Training.model_fields
    free = {name for name, field in fields.items() if not key_of(field).costs_time}

    def costly(settings: RunSettings) -> list[dict[str, Any]]:
        values = settings.plain()
        return [{key: value for key, value in values[block].items() if key not in free} for block in blocks]

    same_tiles = known.settings.triplets.tile_s == run.triplets.tile_s
    return known.recipe == study.recipe and same_tiles and costly(known.settings) == costly(run)


def _noted(benchmark: Path) -> tuple[float | None, float | None]:
    """Seconds and megabytes in a benchmark file of Snakemake, None for what it does not tell."""
    try:
        with benchmark.open(encoding="utf-8", newline="") as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
    except (OSError, StopIteration, UnicodeDecodeError, csv.Error):
        return None, None
    return number(row.get("s")), number(row.get("max_rss"))


def _most(memories: Iterable[float | None]) -> float | None:
    return max((memory for memory in memories if memory is not None), default=None)
