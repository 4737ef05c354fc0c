"""`lambdascape verify` on a study that the workflow made."""

from pathlib import Path

import pytest

from support.checkouts import Checkout


def products(finished: Checkout) -> int:
    """Files under results/ that are no log, benchmark, receipt, checkpoint, lock or audio of the demo."""
    results = finished.folder / "results"
    others = {"logs", "benchmarks", "receipts", "checkpoints", "locks", "audio"}
    files = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return sum(len(path.parts) > 1 and not others & set(path.parts) for path in files)


@pytest.mark.parametrize("words", [(), ("--study", "tiny.yaml")])
def test_every_product_of_a_finished_study_has_a_receipt_and_fits(finished: Checkout, words: tuple[str, ...]) -> None:
    run = finished.lambdascape("verify", *words)
    assert run.returncode == 0, run.stdout
    assert run.stdout == f"{products(finished)} products checked: no fault.\n"


def test_a_damaged_product_comes_back_by_what_verify_says(finished: Checkout, tmp_path: Path) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    product = checkout.folder / "results/tiny/geometry/mean_logmel.tsv"
    good = product.read_text()
    product.write_text(good.replace("1", "2"))
    run = checkout.lambdascape("verify")
    assert run.returncode == 1
    target = "results/tiny/geometry/mean_logmel.tsv"
    assert f"delete it, then `make run STUDY=<its file> TARGET={target}`" in run.stdout
    product.unlink()
    assert checkout.snakemake("--cores", "1", target).returncode == 0
    assert product.read_text() == good
    assert checkout.lambdascape("verify").returncode == 0
    assert checkout.planned() == {}
