"""Five trainings of one study meet five ends on a real SLURM: all come back, but the one that cannot, which is told."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.heads import Head, about, assert_one_writer, freeze, make_site_profile, of_run
from cluster.slurm import Slurm, run
from cluster.test_recovery import without_models
from support.checkouts import Checkout, without_times

pytestmark = pytest.mark.fault("Q1")
CANCELLED, LATE, LARGE, LOST = "l2~0.4_", "l2~0.3_", "l2~0.2_", "l2~0.1_"
# Decay by so much at such a rate multiplies every kernel by -99 in each step.
TORN = "learning_rate~10_"
GOOD_ARMS = "{l2: 0.4}, {l2: 0.3}, {l2: 0.2}, {l2: 0.1}"
BAD_ARM = "{l2: 1.0, learning_rate: 10.0, weight_decay: 10.0}"
# Megabytes: too little for a training at the first try, and enough at a later one.
SCARCE = 700
RESOURCES = {
    "train_model": {
        "mem_mb": f"({SCARCE} if '{LARGE}' in wildcards.run else 3000) * attempt",
        "runtime": f"(1 if '{LATE}' in wildcards.run else 20) * attempt",
        # The other way to ask for a card. One run begins alone on a node, which will be lost.
        "gpu": 0,
        "gres": "gpu:1",
        "slurm_extra": f"'--nodelist=n2' if '{LOST}' in wildcards.run and attempt == 1 else '--nodelist=n1'",
    }
}


@dataclass
class Ended:
    """A study whose trainings were disturbed, and the same study undisturbed on one machine."""

    checkout: Checkout
    undisturbed: Checkout
    head: Head
    status: int
    jobs: list[dict[str, str]]

    def tries(self, run: str) -> list[dict[str, str]]:
        """The jobs of one run's training."""
        return about(self.jobs, "train_model", run)


def with_arms(finished: Checkout, folder: Path, arms: str) -> Checkout:
    """A checkout whose study `fates` has features and nothing else."""
    checkout = without_models(finished, folder)
    config = (checkout.folder / "tiny.yaml").read_text().replace("study: tiny", "study: fates")
    config = config.replace("training: {epochs: 2,", "training: {epochs: 5,")
    (checkout.folder / "fates.yaml").write_text(config.replace("sweep:\n", f"sweep:\n  arms: [{arms}]\n"))
    make_site_profile(checkout, RESOURCES)
    return checkout


@pytest.fixture(scope="module")
def ended(slurm: Slurm, finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    folder = tmp_path_factory.mktemp("fates")
    checkout = with_arms(finished, folder / "disturbed", f"{GOOD_ARMS}, {BAD_ARM}")
    undisturbed = with_arms(finished, folder / "undisturbed", GOOD_ARMS)
    heads = [Head(checkout, "models", config="fates.yaml")]
    try:
        stops = {LATE: False, CANCELLED: True, LOST: True}
        numbers = freeze(slurm, heads[0], stops, checkout.folder / "results/checkpoints/fates")
        run("scancel", numbers[CANCELLED])
        assert slurm.crash("n2")
        heads.append(Head(undisturbed, "models", config="fates.yaml", local=True))
        assert heads[1].ended() == 0, heads[1].said
        status = heads[0].ended()
        yield Ended(checkout, undisturbed, heads[0], status, of_run(slurm.jobs(), heads[0]))
    finally:
        for head in heads:
            head.kill()
        slurm.start_node("n2")


def test_all_end_well_but_the_one_that_cannot(ended: Ended) -> None:
    assert ended.status != 0
    models = ended.checkout.folder / "results/fates/models"
    histories = sorted(path.parent.name for path in models.glob("*/history.tsv"))
    assert len(histories) == 4
    assert not any(TORN in run for run in histories)


def test_what_ended_early_has_the_numbers_of_what_nobody_disturbed(ended: Ended) -> None:
    folders = sorted((ended.checkout.folder / "results/fates/models").iterdir())
    for folder in folders:
        if TORN in folder.name:
            continue
        # Without the arm that cannot there is nothing but λ to name a run by.
        other = next((ended.undisturbed.folder / "results/fates/models").glob(f"{folder.name.split('_')[0]}_*"))
        for name in ("embedder.weights.h5.sha256", "layers.tsv"):
            assert (folder / name).read_bytes() == (other / name).read_bytes(), folder.name
        assert without_times(folder / "history.tsv") == without_times(other / "history.tsv")


def test_a_failing_job_is_told_with_the_place_and_the_end_of_its_log(ended: Ended) -> None:
    said = ended.head.said
    assert [job["JobState"] for job in ended.tries(TORN)] == ["FAILED"] * 3
    log = next((ended.checkout.folder / "results/logs/fates/models").glob(f"*{TORN}*.log"))
    assert str(log.relative_to(ended.checkout.folder)) in said
    assert re.search(r"error: the loss must stay finite; it became (nan|inf) in epoch \d, (train|test) batch \d+", said)
    assert re.search(rf"{ended.checkout.folder}/results/logs/slurm/rule_train_model/\S+/\d+\.log", said)
    assert "error: the loss must stay finite" in log.read_text()


def test_a_job_over_its_time_comes_back_with_more(ended: Ended) -> None:
    tries = ended.tries(LATE)
    assert [job["JobState"] for job in tries] == ["TIMEOUT"] * (len(tries) - 1) + ["COMPLETED"]
    assert [job["TimeLimit"] for job in tries] == ["00:01:00", "00:02:00", "00:03:00"][: len(tries)]
    assert len(tries) > 1
    assert "SLURM status is: 'TIMEOUT'" in ended.head.said


def test_a_job_over_its_memory_comes_back_with_more(ended: Ended) -> None:
    tries = ended.tries(LARGE)
    # Without control groups SLURM calls it a failure like any other; its log, which Snakemake shows, says what it was.
    assert tries[-1]["JobState"] == "COMPLETED"
    assert not [job for job in tries[:-1] if job["JobState"] not in ("FAILED", "CANCELLED", "OUT_OF_MEMORY")]
    assert re.search(rf"exceeded memory limit \(\d+ > {SCARCE * 2**20}\)", ended.head.said)
    assert [job["MinMemoryNode"] for job in tries] == [f"{SCARCE * n}M" for n in (1, 2, 3)][: len(tries)]
    assert len(tries) > 1


def test_a_cancelled_job_comes_back(ended: Ended) -> None:
    assert [job["JobState"] for job in ended.tries(CANCELLED)] == ["CANCELLED", "COMPLETED"]


def test_a_job_whose_node_died_goes_on_from_its_checkpoint_on_another(ended: Ended) -> None:
    first, second = ended.tries(LOST)
    assert (first["JobState"], first["NodeList"]) == ("NODE_FAIL", "n2")
    assert (second["JobState"], second["NodeList"]) == ("COMPLETED", "n1")
    log = next((ended.checkout.folder / "results/logs/fates/models").glob(f"{LOST}*.log")).read_text()
    assert "going on after epoch" in log
    assert "epoch 1 of 5" not in log


def test_no_two_jobs_of_one_run_at_a_time(ended: Ended) -> None:
    assert_one_writer(ended.jobs)


def test_a_card_can_be_asked_for_as_a_generic_resource(ended: Ended) -> None:
    assert {job["TresPerNode"] for job in ended.jobs} == {"gres:gpu:1"}
