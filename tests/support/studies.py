"""A small finished study: its tables with made-up numbers, and embeddings of every space."""

from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.claims.ledger import COLUMNS as LEDGER
from lambdascape.core.tsv import write_table
from lambdascape.embeddings.space_file import write_embeddings
from lambdascape.mechanism.judging import mechanisms
from lambdascape.similarity.layout import map_spaces
from lambdascape.similarity.seed_test import judge_moves
from lambdascape.study.run_table import IDENTITY, Sweep, read_sweep
from lambdascape.tables.comparisons import CHOICE_COLUMNS, COMPARISON_COLUMNS
from lambdascape.tables.distant_tiles import COLUMNS as DISTANT
from lambdascape.tables.every_run import every_run
from lambdascape.tables.label_free import COLUMNS as SELECTION_COLUMNS

CLASSES = ("cooking", "<script>alert(1)</script>", "cost of $5 & $6")
EPOCHS = 4
GROUPS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
SIZES = ("weight_norm", "relative_update", "angular_update", "effective_learning_rate", "gradient_ratio",
    "variance_over_epsilon", "moving_over_true_variance", "gamma", "dead_kernels", "effective_rank")  # fmt: skip
COLUMNS = {
    "training": ["run", "epoch", "split", "measure", "value"],
    "layers": ["run", "epoch", "group", "measure", "value"],
    "probe_epochs": ["run", "epoch", "split", "measure", "value"],
    "scores": ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"],
    "geometry": ["run", "split", "measure", "value", "reason"],
    "spectra": ["run", "direction", "variance", "share"],
    "pairs": ["first", "second", "measure", "is_distance", "value", "null_mean", "null_95", "note"],
    "confusion": ["run", "probe", "unit", "label", "predicted", "count"],
    "few_shot": ["run", "shots", "sessions", "draw", "unit", "value"],
    "unused_clips": ["clip", "session", "reason"],
    "claims": LEDGER,
}
CLAIMS = [
    (number, *row, "As claimed." * (number == 1), "above every other", f"the opposite is found {number}",
        "Somebody (2020)")
    for number, row in enumerate([
        ("The loss is highest.", "confirmed", "λ = 1 less λ = 0.1", 0.2, 0.1, 0.3, "much", "A", "0.5 against 0.3"),
        ("F1 is highest.", "refuted", "λ = 0.01 less λ = 1", -0.2, -0.3, -0.1, "few", "B", "0.4 <b>bold</b>"),
        ("Nothing is known.", "undecided", "", *[np.nan] * 3, "", "not tested", "not tested: nothing"),
    ], 1)
]  # fmt: skip
NAMES = ("run", "arm", "replicate")
MADE: dict[Any, dict[str, bytes]] = {}  # what was written for the same arguments before


class FakeStudy:
    """Tables in a folder, and the frames they were written from."""

    def __init__(
        self,
        folder: Path,
        points: tuple[dict[str, Any], ...] = ({"l2": 1.0}, {"l2": 0.1}, {"l2": 0.01}),
        seeds: tuple[int, ...] = (1, 2),
        labelled: bool = True,
        score: Any = lambda point, seed: 0.5 - 0.1 * float(np.log10(point.get("l2") or 1e-3)) + 0.001 * seed,
        own: tuple[str, ...] = (),
        opaque: bool = False,
    ) -> None:
        """Write the tables; `opaque` gives runs, arms and replicates names in which nothing can be read."""
        self.folder, self.labelled, self.score = folder, labelled, score
        self.classes = CLASSES if labelled else ("",)
        fixed = {"margin": 1.0, "tile_s": 2.0}
        axis = _axis([fixed | point for point in points])
        spaces = [
            {"run": f"{arm}_seed~{seed}", "kind": "trained", "arm": arm, **_replicate(seed), "axis": axis}
            | {"value": (fixed | point).get(axis), **fixed, **point}
            for point, arm in ((point, _arm(point)) for point in points)
            for seed in seeds
        ]
        spaces += [
            {"run": f"untrained_seed~{s}", "kind": "untrained", "arm": "untrained", **_replicate(s), **fixed}
            for s in seeds
        ]
        spaces.append({"run": "mean_logmel", "kind": "mean_logmel", "arm": "mean_logmel", "tile_s": 2.0})
        spaces += [{"run": name, "kind": "own", "arm": f"own:{name}", "tile_s": 2.0} for name in own]
        self.words = _words(spaces)
        if opaque:
            spaces = [
                space | {key: self.words.get(space.get(key), space.get(key)) for key in NAMES} for space in spaces
            ]
        self.spaces = spaces
        made = MADE.setdefault((repr(points), seeds, labelled, score, own, opaque), {})
        if not made:
            self._make()
            made |= {name: path.read_bytes() for name, path in self.tables.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self.tables = {name: folder / f"{name}.tsv" for name in made}
        for name, content in made.items():
            self.tables[name].write_bytes(content)

    def _make(self) -> None:
        folder, spaces = self.folder, self.spaces
        self.tables = {
            name: self._path(name, pd.DataFrame(self._rows(name), columns=COLUMNS[name])) for name in COLUMNS
        }
        for name, table in self.judged().items():
            self.tables[name] = self._path(name, table)
        self.tables["runs"] = self._path("runs", pd.DataFrame(spaces).astype({"seed": "Int64"}))
        judge_moves(self.tables["runs"], self.tables["pairs"], folder / "moves.tsv")
        map_spaces(self.tables["runs"], self.tables["pairs"], folder / "map.tsv")
        self.tables |= {name: folder / f"{name}.tsv" for name in ("moves", "map")}
        judged = mechanisms(pd.DataFrame(spaces), self.frame("training"), self.frame("layers"))
        self.tables["mechanism"] = self._path("mechanism", judged)
        self.collect_runs(self.frame("training"))
        self.tables["clips"] = self._path("clips", self._clips())
        found = [
            (2.0, 4.0, "other_clip", split, name, kind, share, 0.3, 48)
            for split in ("train", "test")
            for name in ("", *sorted(set(self.classes) - {""}))
            for kind, share in (("label", 0.25 if self.labelled else np.nan), ("session", 0.0625), ("moment", 0.0213),
                ("node", 0.5))
        ]  # fmt: skip
        self.tables["distant"] = self._path("distant", pd.DataFrame(found, columns=DISTANT))
        rejected = [("audio/<bad>.wav", "frames as the header says", "80000", "160000")]
        columns = ["path", "rule", "found", "expected"]
        self.tables["rejected"] = self._path("rejected", pd.DataFrame(rejected, columns=columns))
        warnings = [("audio/quiet.wav", "it is silent", "zeros only", "sound")]
        columns = ["path", "warning", "found", "expected"]
        self.tables["warnings"] = self._path("warnings", pd.DataFrame(warnings, columns=columns))

    def collect_runs(self, training: pd.DataFrame) -> None:
        """Write the row of every run, with the losses and flags of this history."""
        took = {s["run"]: (10.0 * s["seed"], "Fake GPU") for s in self.spaces if s["kind"] == "trained"}
        found = every_run(
            self.frame_of_runs().astype({"seed": "Int64"}),
            self.sweep,
            training,
            *(self.frame(name) for name in ("scores", "geometry")),
            mechanisms(self.frame_of_runs(), *(self.frame(name) for name in ("training", "layers"))),
            pd.DataFrame(took, index=["seconds", "device"]).T,
        )
        self.tables["every_run"] = self._path("every_run", found)

    def _path(self, name: str, table: pd.DataFrame) -> Path:
        path = self.folder / f"{name}.tsv"
        write_table(table, path)
        return path

    def frame(self, name: str) -> pd.DataFrame:
        return pd.DataFrame(self._rows(name), columns=COLUMNS[name])

    @property
    def sweep(self) -> Sweep:
        return read_sweep(self.tables["runs"])

    def frame_of_runs(self) -> pd.DataFrame:
        return pd.DataFrame(self.spaces)

    def judged(self) -> dict[str, pd.DataFrame]:
        """Made-up tables of the arms against each other, which differ where their ranges over the seeds do not meet."""
        arms: dict[str, list[float]] = {}
        for space in self.spaces if self.labelled else []:
            if space["kind"] == "trained":
                arms.setdefault(space["arm"], []).append(self.value(space))
        best = max(arms, key=lambda arm: np.mean(arms[arm])) if arms else ""
        seeds = len(next(iter(arms.values()), []))
        others = [space for space in self.spaces if self.labelled and space["kind"] != "trained"]
        references = {space["arm"]: [self.value(space)] * seeds for space in others}
        families = [("arms", *pair) for pair in combinations(arms, 2)]
        families += [("references", *pair) for pair in product(arms, references)]
        pairs = []
        for family, first, second in families:
            a, b = np.array(arms[first]), np.array((arms | references)[second])
            p = (0.004 if min(a) > max(b) or min(b) > max(a) else 0.4) if seeds > 1 else np.nan
            gap = np.mean(a) - np.mean(b)
            ends = (gap - 0.03, gap + 0.03, 0.01, gap - 0.05, gap + 0.07)
            pairs.append(("clip", "macro_f1", family, first, second, gap, *ends, p, p, seeds, 12))
        choice = []
        for arm, scores in arms.items():
            mean, spread = np.mean(scores), np.std(scores, ddof=1) if seeds > 1 else np.nan
            sides = [value for m in (mean + 0.01, mean) for value in (m, m - 0.04, m + 0.06, spread, 12)]
            choice.append((arm, int(arm == best), float(arm == best), *sides, seeds))
        first = next(iter(arms), "")
        selection = [
            ("loss_all", "lower", -1.0, -1.0, 0.5, first, best, int(first == best), -0.2, -0.3, -0.1, seeds, 12),
            ("effective_rank", "higher", np.nan, np.nan, np.nan, best, best, 1, 0.0, 0.0, 0.0, seeds, 12),
            ("uniformity", "lower", np.nan, np.nan, np.nan, "", best, *[np.nan] * 4, seeds, 12),
        ]
        return {
            "comparisons": pd.DataFrame(pairs, columns=COMPARISON_COLUMNS),
            "choice": pd.DataFrame(choice, columns=CHOICE_COLUMNS),
            "selection": pd.DataFrame(selection if len(arms) > 1 else [], columns=SELECTION_COLUMNS),
        }

    def loss(self, space: dict[str, Any], epoch: int, split: str) -> float:
        return self.score(space, space["seed"]) / epoch + (0.05 if split == "test" else 0.0)

    def value(self, space: dict[str, Any]) -> float:
        references = {"untrained": 0.2, "mean_logmel": 0.3, "own": 0.01 * len(space["run"])}
        return references.get(space["kind"]) or self.score(space, space["seed"])

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        if name == "claims":
            return CLAIMS
        if name == "pairs":
            return self._pairs()
        if name == "unused_clips":
            return [("c0", "s0", "shorter than a tile")]
        if not self.labelled and name in ("scores", "confusion", "few_shot", "probe_epochs"):
            return []
        spaces = [s for s in self.spaces if name not in ("training", "layers") or s["kind"] == "trained"]
        return [row for space in spaces for row in getattr(self, f"_{name}")(space)]

    def _training(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        of = product(range(1, EPOCHS + 1), ("train", "train_inference", "test"), ("loss", "loss_all"))
        return [(space["run"], *key, self.loss(space, *key[:2])) for key in of]

    def size(self, space: dict[str, Any], epoch: int, group: str, measure: str) -> float:
        """A measure of the layers: no normalisation behind the head, no penalty without λ, else λ counts."""
        if group == "head" and measure in ("variance_over_epsilon", "moving_over_true_variance", "gamma"):
            return float("nan")
        if measure == "gradient_ratio":
            return float(space.get("l2", 0.0)) * epoch
        return self.score(space, space["seed"]) / epoch

    def _layers(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        of = product(range(1, EPOCHS + 1), GROUPS, SIZES)
        return [(space["run"], *key, self.size(space, *key)) for key in of]

    def _probe_epochs(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        of = product(range(1, EPOCHS + 1), ("train", "test"), ("macro_f1", "cross_entropy"))
        return [(space["run"], *key, self.value(space) * key[0] / EPOCHS) for key in of]

    def _scores(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        run, value = space["run"], self.value(space)
        nothing = (np.nan, np.nan)
        rows: list[tuple[Any, ...]] = [(run, "converged", "train", "", "c", "", 10.0, *nothing)]
        for unit, shift in (("clip", 0.0), ("tile", -0.05)):
            v = value + shift
            rows += [(run, "converged", "validation", unit, "macro_f1", "", v + 0.01, *nothing)]
            rows += [(run, "converged", "test", unit, "macro_f1", "", v, v - 0.04, v + 0.06)]
            rows += [(run, "converged", "test", unit, "accuracy", "", v + 0.1, v, v + 0.2)]
            rows += [(run, "converged", "test", unit, "f1", name, v, v - 0.1, v + 0.1) for name in self.classes]
        rows += [
            (run, probe, "test", unit, measure, "", value / divisor, *nothing)
            for probe, divisor in (("knn", 2), ("few_shot_1", 4), ("few_shot_20", 3))
            for unit in ("clip", "tile")
            for measure in ("macro_f1", "ece")
        ]
        return [*rows, (run, "by_epoch", "test", "tile", "macro_f1", "", value, *nothing)]

    def _few_shot(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        of = product(((1, 1.0), (20, 12.5)), range(3), ("clip", "tile"))
        value = self.value(space)
        return [(space["run"], k, n, draw, unit, value * n / 20 + 0.01 * draw) for (k, n), draw, unit in of]

    def _confusion(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        of = product(("clip", "tile"), self.classes, self.classes)
        return [(space["run"], "converged", *key, 6 if key[1] == key[2] else 2) for key in of]

    def _geometry(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        known = [("silhouette", 0.25), ("kmeans_ami", 0.25), ("retrieval_tiles", 60.0)] if self.labelled else []
        rows = [("effective_rank", 12.5), ("effective_rank_uncentred", 2.5), ("new_measure", 1.0)]
        rows += [("silhouette_session", 0.125), *known]
        missing = ("intrinsic_dimension", np.nan, "there are 9 sessions")
        return [(space["run"], "test", *row) for row in (*((*row, "") for row in rows), missing)]

    def _spectra(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [(space["run"], k, 2.0**-k, 2.0**-k / (1 - 2.0**-6)) for k in range(1, 7)]

    def difference(self, first: dict[str, Any], second: dict[str, Any]) -> float:
        """How far apart two spaces are: 0.1 for another seed, 0.3 for another point, 0.9 without training."""
        if (first["kind"], second["kind"]) != ("trained", "trained"):
            return 0.9
        points = [{key: value for key, value in s.items() if key not in IDENTITY} for s in (first, second)]
        return 0.1 * (first["seed"] != second["seed"]) + 0.3 * (points[0] != points[1])

    def _pairs(self) -> list[tuple[Any, ...]]:
        return [
            (
                *(a["run"], b["run"], m, int(m == "procrustes")),
                self.difference(a, b) if m == "procrustes" else 1 - self.difference(a, b),
                *((0.05, 0.125, "") if m == "cka" else (np.nan, np.nan, "")),
            )
            for a, b in combinations(self.spaces, 2)
            for m in ("procrustes", "cka", "jaccard_10", "jaccard_100", "rsa")
        ]

    def _clips(self) -> pd.DataFrame:
        rows = []
        for i in range(24):
            label, fold = self.classes[i % len(self.classes)], f"fold{i % 2 + 1}"
            rows += [(f"n{n}_c{i}", f"n{n}_c{i}.wav", label, f"s{i // 2}", n, f"c{i}", fold) for n in "12"]
        columns = ["clip", "path", "label", "session", "node", "moment", "fold"]
        form = {"rate": "16000", "channels": "1", "frames": "160000"}
        table = pd.DataFrame(rows, columns=columns).assign(**form)
        return table.assign(content=[f"{number:064x}" for number in range(len(table))])

    def embeddings(self) -> list[Path]:
        clips = self._clips()
        tiles = pd.concat([clips.assign(start_s=start) for start in (0.0, 2.0)], ignore_index=True)
        paths = []
        for i, space in enumerate(self.spaces):
            points = np.random.default_rng([i]).normal(size=(len(tiles), 5)).astype(np.float32)
            paths.append(self.folder / "embeddings" / f"{space['run']}.h5")
            write_embeddings(paths[-1], points, tiles, {})
        return paths


def _arm(point: dict[str, Any]) -> str:
    return "_".join(f"{key}~{value}" for key, value in point.items())


def _axis(points: list[dict[str, Any]]) -> str:
    """What the points vary, λ before anything else."""
    keys = dict.fromkeys(key for point in points for key in point)
    varying = [key for key in keys if len({repr(point.get(key)) for point in points}) > 1]
    return "l2" if "l2" in varying else next(iter(varying), "")


def _replicate(seed: int) -> dict[str, Any]:
    return {"replicate": f"seed{seed}_fold1", "seed": seed, "test_fold": "fold1"}


def _words(spaces: list[dict[str, Any]]) -> dict[str, str]:
    """A word without a meaning for each name of a run, an arm of the sweep and a replicate; no order is kept."""
    names = dict.fromkeys(space[key] for space in spaces if "seed" in space for key in NAMES)
    kept = {"untrained"}  # the arm of a reference is its kind
    return {name: f"{place * 37 % 101:x}q" for place, name in enumerate(names, 5) if name not in kept}


def with_identity(runs: pd.DataFrame, axis: str = "l2") -> pd.DataFrame:
    """Add what is missing of the identity to a table of runs made by hand: run, kind, maybe seed, and settings."""
    settings = [column for column in runs.columns if column not in IDENTITY]
    trained = runs["kind"] == "trained"
    varying = [column for column in settings if runs.loc[trained, column].nunique(dropna=False) > 1]
    arms = [_arm({key: row[key] for key in varying or settings[:1]}) for row in runs.to_dict("records")]
    seeds = runs["seed"] if "seed" in runs else pd.Series(1, runs.index)
    found = {
        "arm": pd.Series(arms, runs.index, dtype=object).where(trained, runs["kind"]),
        "seed": seeds,
        "replicate": [None if pd.isna(seed) else f"seed{int(seed)}_fold1" for seed in seeds],
        "test_fold": "fold1",
        "axis": axis if axis in varying else "",
        "value": runs[axis].where(trained) if axis in varying else np.nan,
    }
    return runs.assign(**{name: column for name, column in found.items() if name not in runs})
