"""How often distant tiles are near all the same, in a sentence and in tables."""

from typing import Any

import pandas as pd

from lambdascape.config.settings import Config
from lambdascape.report.formatting import NOTHING, Table
from lambdascape.tables.distant_tiles import SETTINGS, SHARED

SPLITS = {"train": "training", "test": "held-out"}
RULES = {"other_clip": "any other clip", "other_session": "a clip of another session"}
HEADER = ["Triplets", "Tile (s)", "Distant clip", "Same class", "Same session", "Same moment", "Same node"]
# Of the full published data set, which the adapter reads (its author's sampler, `other_clip`).
PUBLISHED_BY = "dcase2018_task5"
PUBLISHED = ["published study", "5", RULES["other_clip"], "20.9 %", "1.2 %", NOTHING, NOTHING]


def percent(share: float) -> str:
    """A share in per cent; a dash for none."""
    return NOTHING if pd.isna(share) else f"{100 * share:.1f} %"


def distant_tables(distant: pd.DataFrame, config: Config) -> dict[str, Any]:
    """The section on distant tiles, by the name that the template uses.

    Args:
        distant: distant.tsv, see `distant_tiles.count_distant`.
        config: the whole config.
    """
    overall = distant[distant["class"] == ""]
    rows = [_row(keys, found) for keys, found in overall.groupby([*SETTINGS, "split"], sort=False)]
    published = [PUBLISHED] if config.dataset.adapter == PUBLISHED_BY else []
    table = Table(
        "How often a distant tile shares something with its anchor",
        HEADER,
        rows + published,
        words=3,
        note="Exact expectations over all triplets that can be sampled, not counts; in brackets that of a clip out of "
        "all clips of the split. Same moment: recorded by another node at the same time.",
    )
    by_class = distant[(distant["class"] != "") & (distant["split"] == "train")]
    classes = Table(
        "The same by class of the anchor, training triplets",
        ["Class", *HEADER[1:]],
        [
            [str(keys[-1]), *_row((*keys[:-1], "train"), found)[1:]]
            for keys, found in by_class.groupby([*SETTINGS, "class"], sort=False)
        ],
        words=3,
    )
    return {
        "distant_sentence": _sentence(overall),
        "distant_table": table,
        "distant_classes": classes if classes.rows else None,
    }


def _row(keys: Any, found: pd.DataFrame) -> list[str]:
    tile_s, _, distant, split = keys
    cells = []
    for kind in SHARED:
        one = found[found["shared"] == kind].iloc[0]
        cells.append(percent(one["share"]) + ("" if pd.isna(one["share"]) else f" ({percent(one['chance'])})"))
    return [SPLITS[split], f"{tile_s:g}", RULES[distant], *cells]


def _sentence(overall: pd.DataFrame) -> str:
    """What the first setting's training triplets are like."""
    first = overall[overall["split"] == "train"].drop_duplicates("shared").set_index("shared")["share"]
    words = {"label": "class", "session": "session", "moment": "moment"}
    parts = [
        f"of its anchor’s {name} in {percent(first[kind])}" for kind, name in words.items() if not pd.isna(first[kind])
    ]
    if not parts:
        return "There are no training triplets of which this could be said."
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return (
        f"The distant tile of a training triplet is {listed}: training pushes these apart although they may sound the "
        "same."
    )
