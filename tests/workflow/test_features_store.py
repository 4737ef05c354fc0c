"""Two users with one features_store: the second computes no feature, and neither can harm the other."""

import shutil
from pathlib import Path

import pytest

from lambdascape.core.files import file_digest
from support.checkouts import Checkout

EXTRACTION = {"extract_shard", "consolidate_features"}


def sharing(checkout: Checkout, store: Path) -> Checkout:
    with (checkout.folder / "tiny.yaml").open("a") as file:
        file.write(f"features_store: {store}\n")
    return checkout


@pytest.fixture(scope="module")
def shared(finished: Checkout, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Checkout, Path]:
    """The one who has made and shared the features, the other one who has fetched them, and the store."""
    folder = tmp_path_factory.mktemp("users")
    store = folder / "store"
    store.mkdir()
    first = sharing(finished.copy_to(folder / "first"), store)
    assert first.planned() == {"share_features": 1, "write_report": 1}
    run = first.snakemake("features", "--cores", "1")
    assert run.returncode == 0, run.stdout
    second = sharing(Checkout(repo, folder / "second"), store)
    planned = second.planned()
    assert planned["fetch_features"] == 1
    assert not EXTRACTION & set(planned)
    run = second.snakemake("features", "results/tiny/embeddings/mean_logmel.h5", "--cores", "1")
    assert run.returncode == 0, run.stdout
    return first, second, store


def the(checkout: Checkout, pattern: str) -> Path:
    (path,) = checkout.folder.glob(pattern)
    return path


def test_the_second_user_computes_no_feature_and_gets_the_same_numbers(shared: tuple[Checkout, Checkout, Path]) -> None:
    first, second, store = shared
    link = the(second, "results/features/tiny/*/features.h5")
    assert link.is_symlink()
    assert link.resolve().is_relative_to(store)
    product = "results/tiny/embeddings/mean_logmel.h5"
    assert file_digest(second.folder / product) == file_digest(first.folder / product)
    assert first.planned("features") == second.planned("features") == {}


def test_a_store_that_moved_or_that_the_config_no_longer_names_repeats_nothing(
    shared: tuple[Checkout, Checkout, Path], tmp_path: Path
) -> None:
    _, second, store = shared
    product = "results/tiny/embeddings/mean_logmel.h5"
    for value in (tmp_path, "null"):
        with second.edited("tiny.yaml", f"features_store: {store}", f"features_store: {value}"):
            assert second.planned(product) == {}


def test_what_is_lost_from_the_store_is_named_and_made_up_for(
    shared: tuple[Checkout, Checkout, Path], tmp_path: Path
) -> None:
    _, second, store = shared
    lost = second.copy_to(tmp_path / "lost")
    link = the(lost, "results/features/tiny/*/features.h5")
    shutil.move(store / "tiny", tmp_path)
    try:
        refused = lost.dry_run()
        link.unlink()
        planned = lost.planned("features")
    finally:
        shutil.move(tmp_path / "tiny", store)
    assert refused.returncode != 0
    assert f"{link.relative_to(lost.folder)}: must lead to features; it leads to {store}" in refused.stdout
    assert "Delete the link, and they are fetched or made again" in refused.stdout
    assert {name: planned[name] for name in EXTRACTION} == {"extract_shard": 2, "consolidate_features": 1}
    assert planned["share_features"] == 1


def test_a_store_that_is_not_there_is_refused_before_any_job(checkout: Checkout) -> None:
    run = sharing(checkout, checkout.folder / "lost").snakemake("--cores", "1")
    assert run.returncode != 0
    assert f"features_store: must name a folder that is there; there is no {checkout.folder}/lost" in run.stdout
    assert "Traceback" not in run.stdout
    assert not list(checkout.folder.glob("results/*/"))
    assert not (checkout.folder / "lost").exists()


def test_the_link_is_part_of_what_verify_checks(shared: tuple[Checkout, Checkout, Path]) -> None:
    from lambdascape.operations.verify import verify

    _, second, store = shared
    assert verify(second.folder / "results")[0] == []
    (features,) = store.rglob("features.h5")
    good = features.read_bytes()
    features.chmod(0o644)
    features.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    found = [fault.path for fault in verify(second.folder / "results")[0]]
    features.write_bytes(good)
    assert found == [str(the(second, "results/features/tiny/*/features.h5"))]
