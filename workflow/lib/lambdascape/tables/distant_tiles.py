"""How often a distant tile is of its anchor's class, session, moment or node: the exact expectation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lambdascape.config.settings import Triplets
from lambdascape.core.tsv import write_table
from lambdascape.embeddings.splits import in_test_split
from lambdascape.features.store import open_features, read_manifest
from lambdascape.features.tile_grid import Ints, Tiles, lay_tiles, seconds_to_frames, tile_frames
from lambdascape.models.triplets import anchors

SETTINGS = ("tile_s", "neighbourhood_s", "distant")
SHARED = ("label", "session", "moment", "node")
COLUMNS = [*SETTINGS, "split", "class", "shared", "share", "chance", "anchors"]
TEXT = ("distant", "split", "class", "shared")


def count_distant(
    features_path: str | Path,
    clips_path: str | Path,
    test_fold: str,
    settings: Sequence[Triplets],
    output: str | Path,
) -> None:
    """Write how often anchor and distant tile share a label, a session, a moment (on another node) or a node.

    Args:
        features_path: a feature store.
        clips_path: clips.tsv of the data set.
        test_fold: the fold held out.
        settings: the different ones of the study's runs.
        output: table tile_s, neighbourhood_s, distant, split (train | test), class (of the anchor; empty for all
            anchors), shared (label | session | moment | node), share, chance, anchors (how many tiles it is a mean
            over): see `shares`. Shares are missing where no anchor's label, or node, is known.

    Raises:
        InputError: the manifest and the store disagree; no clip belongs to the fold; a tile is no whole number of hops.
    """
    features = open_features(features_path)
    clips = read_manifest(clips_path, features)
    held_out, sessions, recipe = in_test_split(clips, test_fold), clips["session"].tolist(), features.recipe
    parts = []
    for setting in settings:
        frames, step, reach = (
            tile_frames(setting.tile_s, recipe),
            *(seconds_to_frames(seconds, recipe) for seconds in (setting.tile_s, setting.neighbourhood_s)),
        )
        for split, chosen in (("train", ~held_out), ("test", held_out)):
            tiles = lay_tiles(features.clip_start, sessions, np.flatnonzero(chosen), frames, step)
            found = shares(tiles, clips.iloc[tiles.row].reset_index(drop=True), reach, setting.distant)
            parts.append(found.assign(split=split, **setting.plain()))
    write_table(pd.concat(parts)[COLUMNS], output)


def shares(tiles: Tiles, clips: pd.DataFrame, neighbourhood: int, distant: str) -> pd.DataFrame:
    """The expectation over all triplets that `triplets.sample_triplets` can take.

    Every tile with a neighbour is an anchor as often as any other; its distant clip is one of the allowed clips, each
    as likely. Let k be what clip c of the anchor is (its label, say), o what is left out for it (c itself, or its
    session), N(k) the number of clips that are k, N(o) of those left out, N(k, o) of those that are both. The share of
    the anchor is (N(k) - N(k, o)) / (N - N(o)); `chance` is N(k) / N, that of a clip out of all clips of the split, c
    included. Both are means over the anchors of which k is known.

    Args:
        tiles: of one split, see `tile_grid.lay_tiles`.
        clips: one row per clip of `tiles`, in its order: label, session, moment, node.
        neighbourhood: largest distance between the starts of anchor and neighbour, in frames.
        distant: `other_clip` or `other_session`.

    Returns:
        Table class (of the anchor; empty for all), shared, share, chance, anchors.
    """
    count = np.bincount(tiles.clip[anchors(tiles, neighbourhood)], minlength=len(clips))  # (clip,)
    own = np.arange(len(clips)) if distant == "other_clip" else tiles.session_block[:, 0]
    allowed = len(clips) - _size(own)
    rows = []
    for kind in SHARED:
        code = pd.factorize(clips[kind])[0]
        both = pd.factorize(code * len(clips) + own)[0]
        same = _size(code)
        share = np.divide(same - _size(both), allowed, out=np.full(len(clips), np.nan), where=allowed > 0)
        known = (clips[kind] != "").to_numpy(bool)
        for name in ("", *sorted(set(clips["label"]) - {""})):
            weight = count * (known & (clips["label"] == name).to_numpy(bool) if name else known)
            means = (np.average(x, weights=weight) if weight.any() else np.nan for x in (share, same / len(clips)))
            rows.append((name, kind, *means, int(weight.sum())))
    return pd.DataFrame(rows, columns=["class", "shared", "share", "chance", "anchors"])


def _size(code: Ints) -> Ints:
    """How many clips have the same number as each, shape (clip,)."""
    return np.bincount(code, minlength=1)[code].astype(np.int64)
