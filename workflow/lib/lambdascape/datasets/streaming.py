"""An archive drained: fetched, checked, looked into, turned into a feature shard, and deleted with all its audio."""

import shutil
from pathlib import Path, PurePosixPath

import pandas as pd

from lambdascape.config.settings import FeatureRecipe
from lambdascape.datasets.archives import require_space_to_drain
from lambdascape.datasets.candidates import AUDIO
from lambdascape.datasets.downloads import have_archive
from lambdascape.datasets.inspection import inspect, write_looks
from lambdascape.datasets.unpacking import unpack
from lambdascape.features.extraction import write_shard


def drain_archive(
    name: str,
    archive: dict[str, str],
    dataset: str,
    given: str | Path | None,
    channels: str,
    recipe: FeatureRecipe,
    root: str | Path,
    shard: str | Path,
    looks: str | Path,
    threads: int = 1,
) -> None:
    """Turn one archive of a data set into features, and keep of it only what is no audio.

    Args:
        name: file name of the archive.
        archive: `url` and `md5`.
        dataset: its name in the table of archives.
        given: folder of archives that the user has, or None.
        channels: which are heard, see `manifest.list_clips`.
        recipe: see `extraction.extract_shard`.
        root: the data set's folder; gets the files that are no audio. The archive and its audio pass through a folder
            beside it, where a download that broke off waits for the next attempt.
        shard: the frames of every audio file that can be used, see `extraction.write_shard`.
        looks: what was seen of every audio file, see `inspection.write_looks`.
        threads: files looked at in parallel.

    Raises:
        InputError: what `downloads.have_archive`, `unpacking.unpack` and `extraction.write_shard` raise, or the disk
            has too little room.
    """
    root = Path(root)
    place = root.with_name("passing") / name
    place.mkdir(parents=True, exist_ok=True)
    require_space_to_drain(dataset, place, given, recipe, Path(shard).parent)
    have_archive(place / name, archive, given)
    audio = place / "audio"
    files = list(unpack(place / name, audio))
    heard = [path for path in files if PurePosixPath(path).suffix.lower() in AUDIO]
    clips, rejects = inspect(audio, pd.DataFrame({"path": heard}, dtype=str), threads)
    write_shard(_rows(clips, channels), audio, recipe, shard)
    for path in set(files) - set(heard):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (audio / path).replace(root / path)
    write_looks(audio, clips, rejects, looks)
    shutil.rmtree(place)


def _rows(clips: pd.DataFrame, channels: str) -> list[dict[str, str]]:
    """What `extraction.write_shard` asks of each clip, once for every channel that is heard."""
    heard = {"mean": lambda count: [""], "first": lambda count: ["1"], "each": lambda count: range(1, count + 1)}
    return [
        {"path": path, "content": content, "channel": str(channel)}
        for path, content, count in zip(clips["path"], clips["content"], clips["channels"], strict=True)
        for channel in heard[channels](count)
    ]
