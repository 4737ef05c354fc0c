"""A study whose models and embeddings are stored gives the tables that it gave before the library was rearranged."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from support.checkouts import Checkout

STORED = Path(__file__).parents[1] / "data/stored_study"
# Their products are stored; without these rules Snakemake takes them as given.
BEFORE = {
    *("synthesise_demo", "list_clips", "download_archive", "unpack_archive", "drain_archive"),
    *("extract_shard", "consolidate_features", "fetch_features", "share_features", "train_model"),
    *("embed_trained", "embed_recomputed", "embed_untrained", "embed_mean_logmel", "embed_own"),
}
# Sentences, which may be worded anew, and what depends on the machine.
NOT_COMPARED = {
    *("sentence", "estimated", "power", "brief", "evidence", "published", "refuted_when", "source", "note", "reason"),
    *("test", "mechanism_rule", "minutes", "device", "backend", "machine"),
}


@pytest.fixture(scope="module")
def judged(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the study, from its stored embeddings on."""
    checkout = Checkout(repo, tmp_path_factory.mktemp("stored") / "checkout")
    shutil.copytree(STORED / "given", checkout.folder / "results", dirs_exist_ok=True)
    shutil.copy(STORED / "study.yaml", checkout.folder / "stored.yaml")
    listed = checkout.snakemake("--list-rules", config="stored.yaml")
    assert listed.returncode == 0, listed.stdout
    rules = [word for word in listed.stdout.split() if word.isidentifier() and word not in BEFORE]
    run = checkout.snakemake("tables", "similarity", "--cores", "2", "--allowed-rules", *rules, config="stored.yaml")
    assert run.returncode == 0, run.stdout
    return checkout.folder / "results/stored"


@pytest.mark.parametrize("name", sorted(path.stem for path in (STORED / "expected").glob("*.tsv")))
def test_the_tables_are_what_they_were(judged: Path, name: str) -> None:
    found, expected = (pd.read_csv(path, sep="\t") for path in (_table(judged, name), STORED / f"expected/{name}.tsv"))
    if "measure" in expected:  # rows are in the order of the measures' names
        keys = [key for key in ("first", "second", "run", "epoch", "split", "measure") if key in expected]
        found, expected = (table.sort_values(keys, kind="stable", ignore_index=True) for table in (found, expected))
    columns = [column for column in expected.columns if column in found.columns and column not in NOT_COMPARED]
    assert len(columns) >= 4
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_dtype=False, rtol=1e-6, atol=1e-9)


def _table(judged: Path, name: str) -> Path:
    return next(path for folder in (".", "tables", "similarity") if (path := judged / folder / f"{name}.tsv").exists())
