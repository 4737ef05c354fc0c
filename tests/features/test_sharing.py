"""Features in a folder that users share: put there once and whole, and used only where they are whole and the same."""

import json
import multiprocessing
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lambdascape.config.settings import FeatureRecipe
from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest, write_digest
from lambdascape.core.tsv import read_table
from lambdascape.features import sharing
from lambdascape.features.shared_store import FeaturesStore
from lambdascape.features.store import open_features
from support.stores import write_store

RECIPE = {"sr": 8000, "n_mels": 4}
NAMES = ["clips.tsv", "features.h5", "features.h5.sha256"]
NOBODY = 65534


class User:
    """The working directory of one user: a manifest and, when made, the features of its clips."""

    def __init__(self, folder: Path, store: Path, content: str = "a") -> None:
        folder.mkdir(parents=True)
        self.folder, self.shared = folder, store / "rooms" / "logmel4-12345678"
        self.clips, self.features = folder / "clips.tsv", folder / "features.h5"
        self.clips.write_text(f"clip\tcontent\nx\t{content}\ny\tb\n")

    def make(self, seed: int = 1) -> "User":
        frames = np.random.default_rng(seed).normal(size=(100, 4))
        about = {"recipe": RECIPE, "manifest": file_digest(self.clips)}
        write_store(self.features, frames, [0, 60, 100], ["x", "y"], about)
        write_digest(self.features, self.folder / "features.h5.sha256")
        return self

    def share(self) -> str:
        sharing.share(self.features, self.clips, FeatureRecipe.of(RECIPE), self.shared, self.folder / "shared.tsv")
        return str(read_table(self.folder / "shared.tsv")["state"][0])

    def fetch(self, settings: dict[str, Any] = RECIPE) -> None:
        output = self.folder / "features.h5"
        sharing.fetch(str(self.shared), self.clips, FeatureRecipe.of(settings), output)
        write_digest(output, self.folder / "features.h5.sha256")  # as every job does


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o2775)
    return folder


@pytest.fixture
def first(tmp_path: Path, store: Path) -> User:
    return User(tmp_path / "first", store).make()


@pytest.fixture
def second(tmp_path: Path, store: Path) -> User:
    return User(tmp_path / "second", store)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_who_made_them_puts_them_there_and_another_links_to_the_same_bytes(first: User, second: User) -> None:
    assert first.share() == "put there by this study"
    assert sorted(path.name for path in first.shared.iterdir()) == NAMES
    second.fetch()
    assert second.features.readlink() == first.shared / "features.h5"
    assert second.features.read_bytes() == first.features.read_bytes()
    assert (second.folder / "features.h5.sha256").read_text() == (first.folder / "features.h5.sha256").read_text()
    assert open_features(second.features).clips == ["x", "y"]


def test_others_may_read_what_lies_there_and_add_to_it_as_far_as_to_the_store_itself(first: User, store: Path) -> None:
    first.share()
    assert stat.S_IMODE((store / "rooms").stat().st_mode) == 0o2775
    assert stat.S_IMODE(first.shared.stat().st_mode) == 0o2755
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.shared.iterdir()} == {0o444}


def test_who_comes_second_replaces_nothing(first: User, second: User) -> None:
    first.share()
    before = everything_in(first.shared)
    assert second.make(seed=2).share() == "there already, of the same clips"
    assert everything_in(first.shared) == before


def test_who_is_overtaken_replaces_nothing(
    tmp_path: Path, first: User, second: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one finishes after this one has looked whether something is there."""
    first.share()
    before = everything_in(first.shared)
    first.shared.rename(tmp_path / "kept")
    checked = sharing.check_whole

    def overtaken(features: Path, remedy: str) -> None:
        if not first.shared.exists():
            shutil.copytree(tmp_path / "kept", first.shared)
        checked(features, remedy)

    monkeypatch.setattr(sharing, "check_whole", overtaken)
    assert second.make(seed=2).share() == "there already, of the same clips"
    assert everything_in(first.shared) == before
    assert [path.name for path in first.shared.parent.iterdir()] == [first.shared.name]


def in_another_process(work: Callable[[], None]) -> int | None:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


def test_a_killed_one_leaves_nothing_under_the_name_and_the_next_sweeps_up(
    first: User, second: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(source: Path, target: Path) -> None:
        if source.name == "features.h5":
            target.write_bytes(source.read_bytes()[:1000])
            os.kill(os.getpid(), 9)
        shutil.copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(sharing.shutil, "copyfile", die)
        assert in_another_process(lambda: first.share() and None) == -9
    (left,) = first.shared.parent.iterdir()
    assert left.name.startswith(f".{first.shared.name}.")
    assert second.make().share() == "put there by this study"
    assert [path.name for path in first.shared.parent.iterdir()] == [first.shared.name]


@pytest.mark.parametrize("place", [0, 3000, -1])
def test_an_altered_byte_is_refused(first: User, second: User, place: int) -> None:
    first.share()
    shared = first.shared / "features.h5"
    content = bytearray(shared.read_bytes())
    content[place] ^= 1
    shared.chmod(0o644)
    shared.write_bytes(content)
    with pytest.raises(InputError, match=r"it is damaged. Ask who put it there to delete .*, or set features_st"):
        second.fetch()
    (first.shared / "features.h5.sha256").unlink()
    with pytest.raises(InputError, match="set features_store: null"):
        second.fetch()
    assert not second.features.exists()


def test_a_damaged_original_is_not_shared(first: User) -> None:
    with first.features.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(InputError, match=r"it is damaged. Delete .*first/features.h5 and rerun"):
        first.share()
    assert list(first.shared.parent.iterdir()) == []


def test_features_of_other_audio_are_refused_and_their_place_is_taken(tmp_path: Path, store: Path, first: User) -> None:
    first.share()
    before = everything_in(store)
    other = User(tmp_path / "other", store, content="c")
    message = (
        r"must be made from the clips of .*other/clips.tsv; it was made from others \(1 of 2 clips differ, the first is"
        r" x\). Give your data set another dataset.name, or set features_store: null"
    )
    with pytest.raises(InputError, match=message):
        other.fetch()
    assert not other.features.exists()
    with pytest.raises(InputError, match=message):
        other.make().share()
    other.clips.write_text("clip\tcontent\nx\ta\n")
    with pytest.raises(InputError, match=r"others \(2 clips, here are 1\)"):
        other.fetch()
    assert everything_in(store) == before


def test_features_of_another_recipe_are_refused(first: User, second: User) -> None:
    first.share()
    with pytest.raises(InputError, match="must be made by the recipe"):
        second.fetch(RECIPE | {"sr": 16000})


def test_a_link_that_must_be_made_anew_without_a_store_says_what_to_do(second: User) -> None:
    with pytest.raises(InputError, match=r"is a link to features that were made elsewhere\. Delete it and rerun"):
        sharing.fetch("", second.clips, FeatureRecipe.of(RECIPE), second.features)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user: the rights of others are not tested")
def test_who_may_not_write_there_reads_and_shares_nothing(open_folder: Path) -> None:
    store = open_folder / "store"
    store.mkdir(mode=0o755)
    User(open_folder / "first", store).make().share()
    second = User(open_folder / "second", store)
    there = place(store, open_folder / "second/features.h5")
    elsewhere = replace(there, recipe="logmel4-87654321", here=open_folder / "second/other.h5")
    for path in (second.folder, *second.folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)

    def work() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        assert there.fetches
        second.fetch()
        assert open_features(second.features).clips == ["x", "y"]
        assert elsewhere.receipts == []
        with pytest.raises(PermissionError):
            (second.shared / "features.h5").open("r+b")

    assert in_another_process(work) == 0


def place(root: Path | None, here: Path) -> FeaturesStore:
    receipt = here.with_name("receipt.json")
    return FeaturesStore(str(root) if root else None, "rooms", "logmel4-12345678", here, receipt)


def test_features_are_fetched_where_they_are_there_and_not_here_and_stay_what_they_are(
    first: User, second: User, store: Path
) -> None:
    told = [str(second.folder / "shared.tsv")]
    assert not place(None, second.features).fetches
    assert place(None, second.features).receipts == []
    assert not place(store, second.features).fetches
    assert place(store, second.features).receipts == told
    first.share()
    assert place(store, second.features).fetches
    assert place(store, second.features).receipts == []
    second.fetch()
    assert place(store, second.features).fetches
    assert place(None, second.features).fetches  # nothing changes for who no longer names the store
    second.features.unlink()
    second.make()
    assert not place(store, second.features).fetches
    assert place(store, second.features).receipts == told


def test_fetched_features_that_were_moved_as_a_file_stay_fetched_ones(first: User, second: User, store: Path) -> None:
    second.make()
    receipt = second.folder / "receipt.json"
    for params, fetched in (({"code": "x"}, False), ({"code": "x", "shared": str(store)}, True)):
        receipt.write_text(json.dumps({"params": params, "inputs": {}, "outputs": {}}))
        assert place(None, second.features).fetches == fetched


def test_a_link_to_a_store_that_is_gone_is_no_features(second: User, store: Path) -> None:
    second.features.symlink_to(store / "gone/features.h5")
    assert not place(store, second.features).fetches
    (found,) = place(store, second.features).problems()
    assert "which is not there. Delete the link, and they are fetched or made again" in found


def test_a_store_that_is_not_there_is_a_problem_and_is_not_made(tmp_path: Path) -> None:
    (found,) = place(tmp_path / "lost", tmp_path / "features.h5").problems()
    assert found == f"features_store: must name a folder that is there; there is no {tmp_path}/lost"
    assert place(tmp_path, tmp_path / "features.h5").problems() == place(None, tmp_path).problems() == []
