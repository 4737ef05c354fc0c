"""A study through a real SLURM, from nothing to the report: the same numbers, each job once, cards side by side."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.heads import Head, Watch, about, make_site_profile, moments, of_run
from cluster.slurm import Slurm
from support.checkouts import Checkout, numbers_of_page, without_times

SPACES = 4  # two runs, the untrained network, the mean log-mel spectrum
PER_SPACE = ("fit_probes", "measure_geometry", "summarise_space")
ONCE = (
    "list_clips", "consolidate_features", "embed_untrained", "embed_mean_logmel", "compare_spaces", "audit_neighbours",
    "sample_points", "draw_thumbnails", "map_points", "predict_points", "encode_sound", "export_table",
)  # fmt: skip
TWICE = ("extract_shard", "train_model", "embed_trained")
SUBMITTED = dict.fromkeys(ONCE, 1) | dict.fromkeys(TWICE, 2) | dict.fromkeys(PER_SPACE, SPACES)
SAME = ("datasets", "features", "tiny")
OWN_TO_EACH_RUN = ("report/index.html", ".png", ".svg")


@dataclass
class Ran:
    """A study that ran on the cluster: what the controller knows of its jobs, and which cards they had."""

    checkout: Checkout
    head: Head
    status: int
    jobs: list[dict[str, str]]
    cards: dict[str, str]


@pytest.fixture(scope="session")
def ran(slurm: Slurm, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    checkout = Checkout(repo, tmp_path_factory.mktemp("cluster") / "checkout")
    make_site_profile(checkout)
    head = Head(checkout)
    try:
        with Watch(slurm) as watch:
            status = head.ended(1500)
        yield Ran(checkout, head, status, of_run(slurm.jobs(), head), watch.cards)
    finally:
        head.kill()


def test_the_study_ends_well_and_each_job_is_submitted_once(ran: Ran) -> None:
    assert ran.status == 0, ran.head.said[-6000:]
    assert {job["JobState"] for job in ran.jobs} == {"COMPLETED"}
    comments = [job["Comment"] for job in ran.jobs]
    assert len(set(comments)) == len(comments)
    rules = Counter(re.sub(r"_wildcards_.*", "", comment).removeprefix("rule_") for comment in comments)
    assert rules == SUBMITTED  # and with that, nothing light


def test_networks_are_asked_for_as_the_profile_says(ran: Ran) -> None:
    for job in about(ran.jobs, "train_model"):
        assert job["Partition"] == "cards"
        assert job["MinMemoryNode"] == "4000M"
        assert job["TimeLimit"] == "1-00:00:00"
        assert job["TresPerJob"] == "gres:gpu:1"
        assert job["Requeue"] == "0"
        assert job["JobName"].startswith("lambdascape_")
    other = about(ran.jobs, "measure_geometry")[0]
    assert (other["Partition"], other["MinMemoryNode"], other["TimeLimit"]) == ("work", "2000M", "01:00:00")
    assert "TresPerJob" not in other


def test_models_train_side_by_side_on_cards_of_their_own(ran: Ran) -> None:
    first, second = about(ran.jobs, "train_model")
    assert max(moments(first)[0], moments(second)[0]) < min(moments(first)[1], moments(second)[1])
    assert ran.cards[first["JobId"]] != ran.cards[second["JobId"]]
    assert all("IDX" in ran.cards[job["JobId"]] for job in (first, second))


def products(checkout: Checkout) -> dict[str, object]:
    """Every product that holds numbers, but how long trainings took; of large ones their digest."""
    root = checkout.folder / "results"
    found: dict[str, object] = {}
    for part in SAME:
        for path in sorted((root / part).rglob("*")):
            name = str(path.relative_to(root))
            if path.is_file() and path.suffix not in (".h5", ".wav") and not name.endswith(OWN_TO_EACH_RUN):
                found[name] = path.read_bytes() if path.suffix != ".tsv" else without_times(path)
    return found


def test_every_number_is_that_of_a_run_on_one_machine(ran: Ran, finished: Checkout) -> None:
    here, there = products(ran.checkout), products(finished)
    assert sorted(here) == sorted(there)
    assert len([name for name in here if name.startswith("tiny/tables/")]) > 10
    assert len([name for name in here if name.endswith(".h5.sha256")]) > 6
    assert [name for name in here if here[name] != there[name]] == []


def test_the_report_shows_the_same_numbers(ran: Ran, finished: Checkout) -> None:
    here, there = numbers_of_page(ran.checkout), numbers_of_page(finished)
    assert len(here) > 100
    assert here == there


def test_logs_of_jobs_that_ended_well_lie_where_they_always_do(ran: Ran) -> None:
    assert "done in" in (ran.checkout.folder / "results/logs/tiny/models/l2~1_seed~1.log").read_text()
    assert [*(ran.checkout.folder / "results/logs/slurm").rglob("*.log")] == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tiny.yaml", "study: tiny", "study: tiny"),
        ("tiny.yaml", "[1.0, 0.01]", "[1.0, 0.1, 0.01]"),
        ("tiny.yaml", "by_epoch: {epochs: 3}", "by_epoch: {epochs: 4}"),
        ("tiny.yaml", "n_mels: 16", "n_mels: 20"),
        ("workflow/lib/lambdascape/models/batches.py", "class Batches", "class OtherBatches"),
        ("workflow/lib/lambdascape/figures/maps.py", "import numpy", "import numpy as more\nimport numpy"),
        ("tiny.yaml", "seeds: [1]", "seeds: [1, 2]"),
        ("workflow/claims/regularisation.yaml", "share: 0.05", "share: 0.1"),
        ("workflow/lib/lambdascape/models/training.py", '"""\n', ' More words."""\n\n\n# A comment.\n'),
    ],
    ids=["nothing", "a new λ", "a probe", "features", "training code", "a figure", "a seed", "a claim", "a comment"],
)
def test_a_change_reruns_the_same_with_the_cluster_and_without(ran: Ran, file: str, old: str, new: str) -> None:
    with ran.checkout.edited(file, old, new):
        planned = ran.checkout.planned("--profile", "profiles/site")
        assert planned == ran.checkout.planned()
    assert bool(planned) == (new not in (old, ' More words."""\n\n\n# A comment.\n'))


def test_other_memory_time_cards_and_touched_files_rerun_nothing(ran: Ran) -> None:
    profile = (ran.checkout.folder / "profiles/site/profile.yaml").read_text()
    other = re.sub(r"(mem_mb|runtime): (\d+)", r"\1: 1\2", profile)
    assert other != profile
    with ran.checkout.edited("profiles/site/profile.yaml", profile, other), ran.checkout.touched("*"):
        assert ran.checkout.planned("--profile", "profiles/site", "--set-threads", "train_model=8") == {}
