"""How often a distant tile is near all the same: the closed form, a plain double loop and the sampler itself agree."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lambdascape.config.settings import Config, Dataset, Triplets
from lambdascape.core.errors import InputError
from lambdascape.core.tsv import read_table, write_table
from lambdascape.features.tile_grid import Tiles, lay_tiles
from lambdascape.models.triplets import sample_triplets
from lambdascape.report.triplets_section import distant_tables
from lambdascape.tables.distant_tiles import SHARED, TEXT, count_distant, shares
from support.stores import write_store

FRAMES, STEP, REACH = 8, 10, 20
RECIPE = {"sr": 16000, "hop_length": 160, "win_length": 480}
RULES = ["other_clip", "other_session"]


def layout(seed: int = 1, moments: int = 12, labels: str = "ab") -> tuple[Tiles, pd.DataFrame]:
    """Clips of two nodes a moment and one to three tiles each, some too short to hold an anchor, and what they are."""
    rng = np.random.default_rng(seed)
    session = np.sort(rng.integers(5, size=moments))
    rows = [
        (f"m{k}-n{n}", rng.choice(list(labels)), f"s{session[k]}", f"m{k}", f"n{n}")
        for k in range(moments)
        for n in (1, 2)
    ]
    clips = pd.DataFrame(rows, columns=["clip", *SHARED[:3], "node"])
    lengths = rng.choice([3, 9, 18, 28, 38], size=len(clips))
    tiles = lay_tiles(
        np.concatenate([[0], np.cumsum(lengths)]), clips["session"].tolist(), np.arange(len(clips)), FRAMES, STEP
    )
    return tiles, clips


def of(found: pd.DataFrame, shared: str, name: str = "", column: str = "share") -> float:
    return found[(found["shared"] == shared) & (found["class"] == name)][column].item()


def plain(tiles: Tiles, clips: pd.DataFrame, distant: str, shared: str, name: str = "") -> tuple[float, float, int]:
    """Share, chance and anchors, one anchor and one clip at a time."""
    share, chance = [], []
    count = len(tiles.row)
    for k, (first, end) in enumerate(pairwise(tiles.first_tile)):
        own = clips.iloc[tiles.row[k]]
        places = [tile for tile in range(first, end) if end - first > 1]  # another tile is near enough
        if name and own["label"] != name:
            continue
        for _ in places:
            others = [clips.iloc[tiles.row[j]] for j in range(count) if j != k]
            if distant == "other_session":
                others = [other for other in others if other["session"] != own["session"]]
            share.append(np.mean([other[shared] == own[shared] for other in others]))
            chance.append(np.mean([clips.iloc[row][shared] == own[shared] for row in tiles.row]))
    return float(np.mean(share)), float(np.mean(chance)), len(share)


@pytest.mark.finding("C13")
@pytest.mark.parametrize("distant", RULES)
@pytest.mark.parametrize("shared", SHARED)
def test_the_shares_are_those_of_a_plain_double_loop(shared: str, distant: str) -> None:
    tiles, clips = layout()
    found = shares(tiles, clips.iloc[tiles.row].reset_index(drop=True), REACH, distant)
    for name in ("", "a", "b"):
        got = tuple(of(found, shared, name, column) for column in ("share", "chance", "anchors"))
        assert got == pytest.approx(plain(tiles, clips, distant, shared, name))


@pytest.mark.finding("C13")
@pytest.mark.parametrize("distant", RULES)
def test_the_shares_are_those_of_the_sampler(distant: str) -> None:
    tiles, clips = layout()
    found = shares(tiles, clips.iloc[tiles.row].reset_index(drop=True), REACH, distant)
    rows = np.concatenate([sample_triplets(tiles, REACH, distant, 1, epoch, "train")[1] for epoch in range(1, 1501)])
    for shared in SHARED:
        kind = clips[shared].to_numpy(object)
        share = of(found, shared)
        assert np.mean(kind[rows[:, 0]] == kind[rows[:, 2]]) == pytest.approx(share, abs=4 * np.sqrt(0.25 / len(rows)))
        assert share > 0 or (distant == "other_session" and shared in ("session", "moment"))


def test_what_is_unknown_is_missing_and_is_no_kind_of_its_own() -> None:
    tiles, clips = layout()
    known = clips.iloc[tiles.row].reset_index(drop=True)
    found = shares(tiles, known.assign(label=""), REACH, "other_clip")
    assert set(found["class"]) == {""}
    assert np.isnan(of(found, "label"))
    assert of(found, "label", column="anchors") == 0
    assert of(found, "session") == of(shares(tiles, known, REACH, "other_clip"), "session")
    half = known.assign(label=known["label"].where(known["label"] == "a", ""))
    assert of(shares(tiles, half, REACH, "other_clip"), "label") == pytest.approx(
        of(shares(tiles, known, REACH, "other_clip"), "label", "a")
    )


def test_one_session_has_no_distant_tile_in_another() -> None:
    tiles, clips = layout()
    alone = lay_tiles(np.arange(0, 100, 18), ["s"] * 5, np.arange(5), FRAMES, STEP)
    found = shares(alone, clips.head(5).assign(session="s"), REACH, "other_session")
    assert found[found["class"] == ""]["share"].isna().all()
    assert len(tiles.row) > 5


def written(tmp_path: Path, settings: list[Triplets], fold: str = "fold2") -> pd.DataFrame:
    """The table of two folds of six clips, three tiles each: two nodes, a session of two moments and one of one."""
    clips = pd.DataFrame(
        [
            (f"{fold}-{moment}-{node}", label, f"{fold}-{session}", f"{fold}-{moment}", node, fold)
            for fold in ("fold1", "fold2")
            for moment, session, label in (("m1", "s1", "x"), ("m2", "s1", "x"), ("m3", "s2", "y"))
            for node in ("1", "2")
        ],
        columns=["clip", *SHARED[:3], "node", "fold"],
    )
    frames = 298 * len(clips)
    write_store(
        tmp_path / "features.h5", np.zeros((frames, 4)), np.arange(0, frames + 1, 298), list(clips["clip"]),
        {"recipe": RECIPE},
    )  # fmt: skip
    write_table(clips, tmp_path / "clips.tsv")
    count_distant(tmp_path / "features.h5", tmp_path / "clips.tsv", fold, settings, tmp_path / "distant.tsv")
    return read_table(tmp_path / "distant.tsv", TEXT)


SETTING = Triplets.of({"tile_s": 1.0, "neighbourhood_s": 2.0, "distant": "other_clip"})


@pytest.mark.finding("C13")
def test_the_table_has_each_setting_split_and_class(tmp_path: Path) -> None:
    table = written(tmp_path, [SETTING, SETTING.model_copy(update={"distant": "other_session"})])
    assert len(table) == 2 * 2 * 3 * len(SHARED)
    first = table[(table["distant"] == "other_clip") & (table["split"] == "train") & (table["class"] == "")]
    # Of the five other clips three are of the class (x; one where it is y), three of the session, one of the moment.
    expected = [(4 * 3 + 2 * 1) / 6 / 5, (4 * 3 + 2 * 1) / 6 / 5, 1 / 5, 2 / 5]
    assert first["share"].tolist() == pytest.approx(expected)
    assert first["anchors"].tolist() == [18] * 4
    with pytest.raises(InputError, match=r"split\.test_fold must be a fold"):
        written(tmp_path, [SETTING], "fold9")


@pytest.mark.finding("C13")
def test_the_report_says_it_and_shows_the_published_numbers_beside_the_published_data(tmp_path: Path) -> None:
    table = written(tmp_path, [SETTING])
    own = distant_tables(table, Config(dataset=Dataset(adapter="folder")))
    assert own["distant_table"].rows == [
        [split, "1", "any other clip", "46.7 % (55.6 %)", "46.7 % (55.6 %)", "20.0 % (33.3 %)", "40.0 % (50.0 %)"]
        for split in ("training", "held-out")
    ]
    assert own["distant_sentence"].startswith(
        "The distant tile of a training triplet is of its anchor’s class in 46.7 %, of its anchor’s session in 46.7 % "
        "and of its anchor’s moment in 20.0 %: "
    )
    assert [row[0] for row in own["distant_classes"].rows] == ["x", "y"]
    published = distant_tables(table, Config(dataset=Dataset(adapter="dcase2018_task5")))["distant_table"].rows
    assert published[-1][:5] == ["published study", "5", "any other clip", "20.9 %", "1.2 %"]
    unknown = table.assign(share=table["share"].where(table["shared"] != "label"))
    unlabelled = distant_tables(unknown[unknown["class"] == ""], Config(dataset=Dataset(adapter="folder")))
    assert "class" not in unlabelled["distant_sentence"]
    assert unlabelled["distant_classes"] is None
    assert unlabelled["distant_table"].rows[0][3] == "–"
