"""A profile limits what runs at once, as it says."""

import re
from itertools import accumulate
from pathlib import Path

from support.checkouts import Checkout

# In the place of every job, of which only trainings are asked for: notes when it began and ended, and makes its files.
STAND_IN = """
import time
from pathlib import Path

began = time.monotonic()
time.sleep(3)  # longer than a busy machine takes to start the other
with open("journal", "a") as journal:
    print(began, time.monotonic(), file=journal)
for name in snakemake.output:
    Path(name).write_text("made")
"""


def at_once(journal: Path) -> int:
    """The most jobs that ran at one moment."""
    spans = [tuple(map(float, line.split())) for line in journal.read_text().splitlines()]
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    return max(accumulate(step for _, step in changes))


def test_a_workstation_trains_as_many_networks_at_once_as_it_has_cards(finished: Checkout, tmp_path: Path) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    (checkout.folder / "workflow/scripts/call.py").write_text(STAND_IN)
    config = (checkout.folder / "tiny.yaml").read_text().replace("[1.0, 0.01]", "[1.0, 0.1, 0.01, 0.001]")
    (checkout.folder / "four.yaml").write_text(config)
    words = ["--cores", "4", "--forcerun", "train_model", "--profile", "profiles/workstation"]
    limited = checkout.snakemake("models", *words, config="four.yaml")
    assert limited.returncode == 0, limited.stdout
    assert re.search(r"Provided resources: .*gpu\D+2", limited.stdout)
    journal = checkout.folder / "journal"
    assert len(journal.read_text().splitlines()) == 4
    assert at_once(journal) == 2
    journal.unlink()
    one = checkout.snakemake("models", *words, "--resources", "gpu=1", config="four.yaml")
    assert one.returncode == 0, one.stdout
    assert at_once(journal) == 1
