"""The sampler keeps its rules for every layout of clips, and is a pure function of seed and epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.features.tile_grid import Tiles, lay_tiles, seconds_to_frames, tile_frames
from lambdascape.models.triplets import check_within, sample_triplets

PUBLISHED = FeatureRecipe.of({"sr": 16000, "win_length": 480, "hop_length": 160})
FRAMES, STEP = 8, 10


def layout(lengths: list[int], sessions: list[str], rows: list[int] | None = None) -> Tiles:
    clip_start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    chosen = np.array(range(len(lengths)) if rows is None else rows)
    return lay_tiles(clip_start, sessions, chosen, FRAMES, STEP)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[int], list[str], int]:
    lengths = draw(st.lists(st.integers(0, 60), min_size=2, max_size=12))
    sessions = draw(st.lists(st.sampled_from("abc"), min_size=len(lengths), max_size=len(lengths)))
    return lengths, sessions, draw(st.integers(STEP, 45))


def test_frames_of_a_tile_are_those_of_whole_hops_and_a_window() -> None:
    assert tile_frames(5.0, PUBLISHED) == 498
    assert seconds_to_frames(5.0, PUBLISHED) == 500
    with pytest.raises(InputError, match=r"at least one window of 480 samples; got 0\.02 s"):
        tile_frames(0.02, PUBLISHED)
    with pytest.raises(InputError, match=r"whole numbers of hops of 10 ms; got 1\.005 s"):
        seconds_to_frames(1.005, PUBLISHED)


def test_tiles_lie_on_a_grid_and_short_clips_have_none() -> None:
    tiles = layout([28, 7, 18], ["b", "a", "a"])
    assert tiles.row.tolist() == [2, 0]  # in order of session; clip 1 is shorter than a tile
    assert tiles.start.tolist() == [0, 10, 0, 10, 20]
    assert tiles.clip.tolist() == [0, 0, 1, 1, 1]
    assert tiles.session_block.tolist() == [[0, 1], [1, 2]]


def refusal(lengths: list[int], sessions: list[str], distant: str) -> str:
    """What the sampler must say of a layout; empty where it has triplets."""
    if all(length < FRAMES + STEP for length in lengths):
        return "a clip that holds two tiles side by side"
    with_tiles = [row for row, length in enumerate(lengths) if length >= FRAMES]
    places = with_tiles if distant == "other_clip" else {sessions[row] for row in with_tiles}
    one = f"distant: {distant} needs a second .* in the train split; its {len(with_tiles)} clips are of one"
    return one if len(places) < 2 else ""


@settings(max_examples=150, deadline=None)
@given(layouts(), st.integers(0, 2**32 - 1), st.sampled_from(["other_clip", "other_session"]))
def test_rules_of_a_triplet(drawn: tuple[list[int], list[str], int], seed: int, distant: str) -> None:
    lengths, sessions, neighbourhood = drawn
    tiles = layout(lengths, sessions)
    refused = refusal(lengths, sessions, distant)
    if refused:
        with pytest.raises(InputError, match=refused):
            sample_triplets(tiles, neighbourhood, distant, seed, 1, "train")
        return
    starts, rows = sample_triplets(tiles, neighbourhood, distant, seed, 1, "train")
    clip_start = np.concatenate([[0], np.cumsum(lengths)])
    within = starts - clip_start[rows]  # (triplet, 3): start in the own clip
    assert (within >= 0).all()
    assert (within + FRAMES <= np.array(lengths)[rows]).all()
    assert (rows[:, 0] == rows[:, 1]).all()
    apart = np.abs(within[:, 0] - within[:, 1])
    assert ((apart >= STEP) & (apart <= neighbourhood)).all()
    assert (within[:, [0, 2]] % STEP == 0).all()
    own = rows if distant == "other_clip" else np.array(sessions)[rows]
    assert (own[:, 0] != own[:, 2]).all()


@settings(max_examples=50, deadline=None)
@given(layouts())
def test_every_tile_with_a_neighbour_is_an_anchor_once(drawn: tuple[list[int], list[str], int]) -> None:
    lengths, sessions, neighbourhood = drawn
    tiles = layout(lengths, sessions)
    expected = {
        (row, start)
        for row, length in enumerate(lengths)
        for start in range(0, length - FRAMES + 1, STEP)
        if any(STEP <= abs(other - start) <= neighbourhood for other in range(length - FRAMES + 1))
    }
    if not expected or len(tiles.row) < 2:
        return
    starts, rows = sample_triplets(tiles, neighbourhood, "other_clip", 1, 1, "train")
    clip_start = np.concatenate([[0], np.cumsum(lengths)])
    anchors = list(zip(rows[:, 0].tolist(), (starts[:, 0] - clip_start[rows[:, 0]]).tolist(), strict=True))
    assert len(anchors) == len(expected)
    assert set(anchors) == expected


def test_the_published_setting_has_two_triplets_a_clip_whose_neighbour_is_the_other_half() -> None:
    lengths, sessions = [998] * 6, ["1", "1", "2", "2", "3", "3"]
    clip_start = np.arange(7) * 998
    tiles = lay_tiles(clip_start, sessions, np.arange(6), 498, 500)
    starts, rows = sample_triplets(tiles, 500, "other_clip", 1234, 1, "train")
    assert len(starts) == 12
    pairs = (starts - clip_start[rows])[:, :2]
    assert sorted(map(tuple, pairs.tolist())) == [(0, 500)] * 6 + [(500, 0)] * 6
    assert len(lengths) == len(tiles.row)


def test_neighbours_and_distant_clips_are_drawn_evenly() -> None:
    tiles = layout([38, 18, 18, 18], ["a", "a", "b", "c"])
    neighbours: dict[int, int] = {}
    others: dict[int, int] = {}
    epochs = 3000
    for epoch in range(epochs):
        starts, rows = sample_triplets(tiles, 20, "other_clip", 7, epoch, "train")
        first = (rows[:, 0] == 0) & (starts[:, 0] == 10)
        neighbours[int(starts[first, 1][0])] = neighbours.get(int(starts[first, 1][0]), 0) + 1
        others[int(rows[first, 2][0])] = others.get(int(rows[first, 2][0]), 0) + 1
    possible = [0, *range(20, 31)]
    assert sorted(neighbours) == possible
    assert sorted(others) == [1, 2, 3]
    for counts, share in ((neighbours, 1 / len(possible)), (others, 1 / 3)):
        tolerance = 5 * np.sqrt(epochs * share * (1 - share))
        assert all(abs(count - epochs * share) < tolerance for count in counts.values())


def test_a_pure_function_of_seed_epoch_and_split() -> None:
    tiles = layout([38, 28, 18, 58], ["a", "b", "b", "c"])

    def drawn(seed: int, epoch: int, split: str) -> list[list[int]]:
        return sample_triplets(tiles, 30, "other_session", seed, epoch, split)[0].tolist()

    once = drawn(1, 1, "train")
    np.random.default_rng(0).random(10)
    assert drawn(1, 1, "train") == once
    assert len({str(drawn(*key)) for key in [(1, 1, "train"), (1, 2, "train"), (2, 1, "train"), (1, 1, "test")]}) == 4


@pytest.mark.parametrize("distant", ["other_clip", "other_session"])
def test_no_tile_of_a_whole_epoch_lies_in_a_clip_of_the_test_split(distant: str) -> None:
    """M2, by the frames that would be read: the clips of both splits alternate in the store."""
    lengths, sessions = [28, 41, 0, 33] * 6, [f"s{i // 2}" for i in range(24)]
    clip_start = np.concatenate([[0], np.cumsum(lengths)])
    owner = np.repeat(np.arange(24), lengths)  # (frame,) clip of each frame
    test = {row for row in range(24) if row // 2 % 3 == 0}
    train = sorted(set(range(24)) - test)
    tiles = layout(lengths, sessions, rows=train)
    seen: set[int] = set()
    for epoch in range(1, 6):
        starts, rows = sample_triplets(tiles, 20, distant, 1, epoch, "train")
        read = {int(clip) for start in starts.flat for clip in owner[start : start + FRAMES]}
        assert read == set(rows.flat)
        seen |= read
        check_within(starts, FRAMES, clip_start, np.array(train), "train")
    assert seen == {row for row in train if lengths[row]}


@pytest.mark.parametrize(("start", "clip"), [(28, 1), (21, 0), (28 + 12 - FRAMES + 1, 1)])
def test_a_tile_of_another_split_or_across_two_clips_is_refused(start: int, clip: int) -> None:
    clip_start = np.array([0, 28, 40, 68])
    check_within(np.array([[0, 20], [40, 60]]), FRAMES, clip_start, np.array([0, 2]), "train")
    with pytest.raises(InputError, match=rf"one clip of the train split; 1 of 3 do not, the first in clip {clip} of"):
        check_within(np.array([0, start, 40]), FRAMES, clip_start, np.array([0, 2]), "train")
