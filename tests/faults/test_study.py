"""One run of a study that fails leaves the others alone (row T1 of the table of faults)."""

import re
from pathlib import Path

import pytest

from support.checkouts import Checkout

# Decay by so much at such a rate multiplies every kernel by -99 in each step: within ten epochs the penalty overflows.
ARMS = "  arms: [{l2: 0.01}, {l2: 1.0, learning_rate: 10.0, weight_decay: 10.0, epochs: 10}]\n"


@pytest.mark.fault("T1")
def test_a_run_that_diverges_is_named_and_the_others_finish(finished: Checkout, tmp_path: Path) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    config = (checkout.folder / "tiny.yaml").read_text().replace("study: tiny", "study: torn")
    (checkout.folder / "torn.yaml").write_text(config.replace("sweep:\n", "sweep:\n" + ARMS))
    run = checkout.snakemake("embeddings", "--cores", "2", config="torn.yaml")
    assert run.returncode != 0
    good, bad = sorted(path.stem for path in (checkout.folder / "results/logs/torn/models").glob("*.log"))
    assert "learning_rate~10" in bad
    results = checkout.folder / "results/torn"
    for product in (f"models/{good}/history.tsv", f"embeddings/{good}.h5", "embeddings/untrained_seed~1.h5"):
        assert (results / product).exists(), product
    assert not (results / f"models/{bad}/history.tsv").exists()
    assert not (results / f"embeddings/{bad}.h5").exists()
    assert f"results/logs/torn/models/{bad}.log" in run.stdout
    said = r"error: the loss must stay finite; it became (nan|inf) in epoch \d, (train|test) batch \d+"
    assert re.search(said, run.stdout)
    assert "Traceback" not in run.stdout
    assert checkout.planned("embeddings", config="torn.yaml") == {"train_model": 1, "embed_trained": 1, "embeddings": 1}
