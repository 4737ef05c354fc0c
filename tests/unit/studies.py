"""A small finished study: its tables with made-up numbers, and embeddings of every space."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lambdascape.files import write_table
from lambdascape.similarity.layout import map_spaces
from lambdascape.similarity.moves import judge_moves
from lambdascape.store import write_embeddings

CLASSES = ("cooking", "<script>alert(1)</script>", "cost of $5 & $6")
EPOCHS = 4
COLUMNS = {
    "training": ["run", "epoch", "split", "measure", "value"],
    "probe_epochs": ["run", "epoch", "split", "measure", "value"],
    "scores": ["run", "probe", "split", "unit", "measure", "class", "value", "low", "high"],
    "geometry": ["run", "split", "measure", "value"],
    "spectra": ["run", "direction", "variance", "share"],
    "pairs": ["first", "second", "measure", "value"],
    "confusion": ["run", "unit", "label", "predicted", "count"],
    "unused_clips": ["clip", "session", "reason"],
    "claims": ["claim", "statement", "verdict", "evidence", "rule"],
}
CLAIMS = [
    (1, "The triplet loss is highest with λ=1.", "holds", "0.5 against 0.3", "greater for every seed"),
    (2, "F1 is highest with λ=0.01.", "does not hold", "0.4 <b>bold</b>", "another rule"),
    (3, "Nothing is known.", "undecided", "not tested", "no rule"),
]


class FakeStudy:
    """Tables in a folder, and the frames they were written from."""

    def __init__(
        self,
        folder: Path,
        points: tuple[dict[str, Any], ...] = ({"l2": 1.0}, {"l2": 0.1}, {"l2": 0.01}),
        seeds: tuple[int, ...] = (1, 2),
        labelled: bool = True,
        score: Any = lambda point, seed: 0.5 - 0.1 * float(np.log10(point.get("l2") or 1e-3)) + 0.001 * seed,
    ) -> None:
        self.folder, self.labelled, self.score = folder, labelled, score
        self.classes = CLASSES if labelled else ("",)
        fixed = {"margin": 1.0, "tile_s": 2.0}
        spaces = [
            {"run": _slug(point, seed), "kind": "trained", "seed": seed, **fixed, **point}
            for point in points
            for seed in seeds
        ]
        spaces += [{"run": f"untrained_seed~{s}", "kind": "untrained", "seed": s, **fixed} for s in seeds]
        spaces.append({"run": "mean_logmel", "kind": "mean_logmel", "tile_s": 2.0})
        self.spaces = spaces
        self.tables = {
            name: self._path(name, pd.DataFrame(self._rows(name), columns=COLUMNS[name])) for name in COLUMNS
        }
        self.tables["runs"] = self._path("runs", pd.DataFrame(spaces).astype({"seed": "Int64"}))
        judge_moves(self.tables["runs"], self.tables["pairs"], folder / "moves.tsv")
        map_spaces(self.tables["runs"], self.tables["pairs"], folder / "map.tsv")
        self.tables |= {name: folder / f"{name}.tsv" for name in ("moves", "map")}
        self.tables["clips"] = self._path("clips", self._clips())
        rejected = [("audio/<bad>.wav", "frames as the header says", "80000", "160000")]
        columns = ["path", "rule", "found", "expected"]
        self.tables["rejected"] = self._path("rejected", pd.DataFrame(rejected, columns=columns))
        warnings = [("audio/quiet.wav", "it is silent", "zeros only", "sound")]
        columns = ["path", "warning", "found", "expected"]
        self.tables["warnings"] = self._path("warnings", pd.DataFrame(warnings, columns=columns))

    def _path(self, name: str, table: pd.DataFrame) -> Path:
        path = self.folder / f"{name}.tsv"
        write_table(table, path)
        return path

    def frame(self, name: str) -> pd.DataFrame:
        return pd.DataFrame(self._rows(name), columns=COLUMNS[name])

    def loss(self, space: dict[str, Any], epoch: int, split: str) -> float:
        return self.score(space, space["seed"]) / epoch + (0.05 if split == "test" else 0.0)

    def value(self, space: dict[str, Any]) -> float:
        """Macro-F1 per clip of a space."""
        references = {"untrained": 0.2, "mean_logmel": 0.3}
        return references.get(space["kind"]) or self.score(space, space["seed"])

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        if name == "claims":
            return CLAIMS
        if name == "pairs":
            return self._pairs()
        if name == "unused_clips":
            return [("c0", "s0", "shorter than a tile")]
        if not self.labelled and name in ("scores", "confusion", "probe_epochs"):
            return []
        spaces = [s for s in self.spaces if name != "training" or s["kind"] == "trained"]
        return [row for space in spaces for row in getattr(self, f"_{name}")(space)]

    def _training(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [
            (space["run"], epoch, split, "triplet_loss", self.loss(space, epoch, split))
            for epoch in range(1, EPOCHS + 1)
            for split in ("train", "test")
        ]

    def _probe_epochs(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [
            (space["run"], epoch, split, measure, self.value(space) * epoch / EPOCHS)
            for epoch in range(1, EPOCHS + 1)
            for split in ("train", "test")
            for measure in ("macro_f1", "cross_entropy")
        ]

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
        return [*rows, (run, "by_epoch", "test", "tile", "macro_f1", "", value, *nothing)]

    def _confusion(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [
            (space["run"], unit, truth, predicted, 6 if truth == predicted else 2)
            for unit in ("clip", "tile")
            for truth in self.classes
            for predicted in self.classes
        ]

    def _geometry(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        known = [(space["run"], "test", name, 0.25) for name in ("silhouette", "kmeans_ami")] if self.labelled else []
        rows = [("effective_rank", 12.5), ("new_measure", 1.0), ("silhouette_session", 0.125)]
        return [(space["run"], "test", measure, value) for measure, value in rows] + known

    def _spectra(self, space: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [(space["run"], k, 2.0**-k, 2.0**-k / (1 - 2.0**-6)) for k in range(1, 7)]

    def difference(self, first: dict[str, Any], second: dict[str, Any]) -> float:
        """How far apart two spaces are: 0.1 for another seed, 0.3 for another point, 0.9 without training."""
        if (first["kind"], second["kind"]) != ("trained", "trained"):
            return 0.9
        points = [{key: value for key, value in s.items() if key not in ("run", "seed")} for s in (first, second)]
        return 0.1 * (first["seed"] != second["seed"]) + 0.3 * (points[0] != points[1])

    def _pairs(self) -> list[tuple[Any, ...]]:
        return [
            (a["run"], b["run"], m, self.difference(a, b) if m == "procrustes" else 1 - self.difference(a, b))
            for i, a in enumerate(self.spaces)
            for b in self.spaces[i + 1 :]
            for m in ("procrustes", "cka", "jaccard_10", "jaccard_100", "rsa")
        ]

    def _clips(self) -> pd.DataFrame:
        rows = []
        for i in range(24):
            label, fold = self.classes[i % len(self.classes)], f"fold{i % 2 + 1}"
            rows += [(f"n{n}_c{i}", f"n{n}_c{i}.wav", label, f"s{i // 2}", n, f"c{i}", fold) for n in "12"]
        columns = ["clip", "path", "label", "session", "node", "moment", "fold"]
        form = {"rate": "16000", "channels": "1", "frames": "160000", "content": "0"}
        return pd.DataFrame(rows, columns=columns).assign(**form)

    def embeddings(self) -> list[Path]:
        """Write the embeddings of every space; paths in the order of `spaces`."""
        clips = self._clips()
        tiles = pd.concat([clips.assign(start_s=start) for start in (0.0, 2.0)], ignore_index=True)
        paths = []
        for i, space in enumerate(self.spaces):
            points = np.random.default_rng([i]).normal(size=(len(tiles), 5)).astype(np.float32)
            paths.append(self.folder / "embeddings" / f"{space['run']}.h5")
            write_embeddings(paths[-1], points, tiles, {})
        return paths


def _slug(point: dict[str, Any], seed: int) -> str:
    return "_".join(f"{key}~{value}" for key, value in point.items()) + f"_seed~{seed}"
