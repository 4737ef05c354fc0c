"""How much audio a study has: from its manifest, or from what is known of its data set."""

from dataclasses import dataclass
from pathlib import Path

from lambdascape.config.settings import Config
from lambdascape.core.tsv import iterate_rows

# Clips, seconds of each (their mean where they differ) and the share of the clips that is not held out, of the
# published sets: as their authors tell, and for DCASE 2018 Task 5 as its metadata count (fold 1 held out).
PUBLISHED = {
    "dcase2018_task5": (72_984, 10.0, 54_964 / 72_984),
    "tau2019": (14_400, 10.0, 0.7),
    "tau2020": (23_040, 10.0, 0.7),
    "tau2022": (230_350, 1.0, 0.7),
    "esc50": (2_000, 5.0, 0.8),
    "urbansound8k": (8_732, 8.75 * 3600 / 8_732, 0.9),
}
CHANNELS = {"dcase2018_task5": 4, "tau2019": 2}  # microphones, where each can be a clip of its own


@dataclass(frozen=True)
class Extent:
    """The audio of a study, as far as time and disk depend on it.

    Attributes:
        clips: number of clips.
        seconds: of all of them.
        tiles: of one length in all of them.
        triplets: that an epoch of training has: training tiles of clips with two tiles or more.
        source: where the numbers come from, in words.
    """

    clips: int
    seconds: float
    tiles: int
    triplets: int
    source: str


def extent_of(config: Config, manifest: str | Path, tile_s: float) -> Extent | None:
    """The audio of a study: of its manifest where there is one, else what is known; None where nothing is.

    Args:
        config: the whole config.
        manifest: clips.tsv of the data set.
        tile_s: length of a tile in seconds.
    """
    if Path(manifest).is_file():
        return of_manifest(manifest, tile_s, config.split.test_fold)
    dataset = config.dataset
    if dataset.adapter == "demo":
        demo = dataset.demo
        sessions = len(demo.classes) * demo.sessions_per_class
        clips = sessions * demo.nodes * (demo.shortest_session + demo.longest_session) / 2
        return _regular(clips, demo.clip_s, 1 - 1 / demo.folds, tile_s, "the mean of what the config lets be drawn")
    if dataset.adapter not in PUBLISHED:
        return None
    clips, clip_s, training = PUBLISHED[dataset.adapter]
    copies = CHANNELS.get(dataset.adapter, 1) if dataset.channels == "each" else 1
    return _regular(clips * copies, clip_s, training, tile_s, "the known size of the data set")


def of_manifest(path: str | Path, tile_s: float, test_fold: str) -> Extent:
    """The audio of the clips that a manifest lists.

    Args:
        path: clips.tsv.
        tile_s: length of a tile in seconds.
        test_fold: the fold that training does not hear.
    """
    lengths, trained = [], []
    for row in iterate_rows(path):
        lengths.append(int(row["frames"]) / int(row["rate"]))
        trained.append(row["fold"] != test_fold)
    tiles = [tiles_in(length, tile_s) for length in lengths]
    triplets = sum(count for count, used in zip(tiles, trained, strict=True) if used and count > 1)
    return Extent(len(lengths), sum(lengths), sum(tiles), triplets, f"the manifest {path}")


def tiles_in(seconds: float, tile_s: float) -> int:
    """Whole tiles in a clip; the one hop by which clips may be too short is left out of account."""
    return int(seconds / tile_s + 1e-6)


def _regular(clips: float, clip_s: float, training: float, tile_s: float, source: str) -> Extent:
    each = tiles_in(clip_s, tile_s)
    triplets = round(clips * training * each) if each > 1 else 0
    return Extent(round(clips), clips * clip_s, round(clips * each), triplets, source)
