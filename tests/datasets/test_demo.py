import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lambdascape.config.settings import Demo
from lambdascape.core.errors import InputError
from lambdascape.datasets import demo
from lambdascape.datasets.synthesis import RATE, RECIPES

SETTINGS: dict[str, Any] = {
    "seed": 1, "classes": ["absence", "cooking", "watching_tv"], "sessions_per_class": 3, "nodes": 2, "channels": 3,
    "clip_s": 0.5, "shortest_session": 1, "longest_session": 4, "folds": 2,
}  # fmt: skip


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def columns(path: Path) -> list[list[str]]:
    return [line.rstrip("\t").split("\t") for line in path.read_text().split("\n") if line]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "data"
    demo.synthesise(root, Demo.of(SETTINGS))
    return root


def test_the_same_settings_make_the_same_bytes_and_another_seed_other_sound(root: Path, tmp_path: Path) -> None:
    demo.synthesise(tmp_path / "again", Demo.of(dict(reversed(SETTINGS.items()))))
    assert digests(tmp_path / "again") == digests(root)
    demo.synthesise(tmp_path / "other", Demo.of(SETTINGS | {"seed": 2}))
    sounds = {digest for name, digest in digests(root).items() if name.endswith(".wav")}
    assert not set(digests(tmp_path / "other").values()) & sounds


def test_the_index_has_the_quirks_of_the_original(root: Path) -> None:
    assert "SYNTHETIC" in (root / "README.md").read_text()
    assert {soundfile.info(path).subtype for path in (root / "audio").iterdir()} == {"PCM_16"}
    assert not (root / "meta.txt").read_text().endswith("\n")
    meta = columns(root / "meta.txt")
    assert {file for file, *_ in meta} == {f"audio/{path.name}" for path in (root / "audio").iterdir()}
    numbers = {int(session.removeprefix("s")) for *_, session in meta}
    assert demo.MISSING not in numbers
    assert numbers == set(range(1, max(numbers) + 1)) - {demo.MISSING}
    nodes = defaultdict(set)
    for file, _, session in meta:
        nodes[session].add(file.split("_")[0])
    assert [session for session in nodes if len(nodes[session]) == 1] == ["s1"]
    lengths = Counter(session for file, _, session in meta if "DevNode1" in file)
    assert (min(lengths.values()), max(lengths.values())) == (1, 4)


def test_folds_split_by_session_and_test_every_class(root: Path) -> None:
    meta = {file: (label, session) for file, label, session in columns(root / "meta.txt")}
    tested: list[str] = []
    for fold in ("fold1", "fold2"):
        train, test, evaluate = (
            columns(root / "evaluation_setup" / f"{fold}_{part}.txt") for part in ("train", "test", "evaluate")
        )
        assert ([len(row) for row in (train[0], test[0], evaluate[0])]) == [3, 1, 2]
        assert {meta[file][0] for (file,) in test} == set(SETTINGS["classes"])
        assert not {meta[file][1] for (file,) in test} & {session for *_, session in train}
        assert dict(evaluate) == {file: meta[file][0] for (file,) in test}
        tested += [file for (file,) in test]
    assert sorted(tested) == sorted(meta)
    assert "\t\n" in (root / "evaluation_setup" / "fold1_test.txt").read_text()


def test_nodes_hear_the_same_moment_and_other_sessions_do_not() -> None:
    """The envelopes of two nodes go together; those of two sessions of one class do not."""
    settings = Demo.of(SETTINGS | {"classes": list(RECIPES)})
    one = demo.session_sound(demo.Session(7, "watching_tv", 1, 1, 2), 4 * RATE, settings)
    two = demo.session_sound(demo.Session(8, "watching_tv", 1, 1, 2), 4 * RATE, settings)
    assert one.shape == (2, 4 * RATE, 3)
    level = [
        np.log(np.abs(sound[..., 0].astype(float)).reshape(80, -1).mean(axis=1) + 1)
        for sound in (one[0], one[1], two[0])
    ]
    same, other = np.corrcoef(level[0], level[1])[0, 1], np.corrcoef(level[0], level[2])[0, 1]
    assert same > 0.8 > other + 0.3
    assert not np.array_equal(one[0], one[1])


def test_a_node_hears_the_same_however_many_there_are() -> None:
    one, two = (
        demo.session_sound(demo.Session(7, "working", 1, 1, nodes), RATE, Demo.of(SETTINGS)) for nodes in (1, 2)
    )
    np.testing.assert_array_equal(one[0], two[0])


@pytest.mark.parametrize("label", RECIPES)
def test_every_recipe_is_audible_and_not_clipped(label: str) -> None:
    for source in RECIPES[label](np.random.default_rng([3, 4]), 4 * RATE):
        assert source.shape == (4 * RATE,)
        assert np.isfinite(source).all()
        assert np.abs(source).max() > 1e-5
        assert np.sqrt(np.mean(source**2)) < 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [({"classes": ["cooking", "singing"]}, "singing"), ({"classes": []}, "got none"), ({"folds": 4}, "got 3")],
)
def test_impossible_settings_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        demo.synthesise(tmp_path / "data", Demo.of(SETTINGS | change))
    assert not list(tmp_path.iterdir())
