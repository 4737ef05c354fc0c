"""The plan of a study says what Snakemake would start, by a dry run of its own."""

import re
import subprocess
from pathlib import Path

from support.checkouts import Checkout


def planned(checkout: Checkout, *words: str) -> subprocess.CompletedProcess[str]:
    return checkout.lambdascape("plan", "--study", "config.yaml", "tiny.yaml", *words)


def counts(text: str) -> dict[str, int]:
    """Rule to number of jobs, from the first table of a plan."""
    table = text.split("\n\n")[1]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+) ", table, re.MULTILINE)}


def test_a_finished_study_asks_for_nothing_and_all_of_it_for_every_job(finished: Checkout) -> None:
    said = planned(finished)
    assert said.returncode == 0, said.stderr
    assert "No job is left: everything is made." in said.stdout
    said = planned(finished, "--all")
    assert said.returncode == 0, said.stderr
    assert counts(said.stdout) == finished.planned("--forceall")
    assert "train_model" in said.stdout.split("estimated ")[-1]  # measured when the study was made
    assert "from the manifest results/datasets/tiny/clips.tsv" in said.stdout


def test_the_profile_of_a_cluster_counts(finished: Checkout, tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/profile.yaml").write_text(
        "executor: slurm\njobs: 9\ndefault-resources: {slurm_partition: long}\n"
        "set-resources: {train_model: {slurm_partition: cards, mem_mb: 7000 * attempt, runtime: 90 * attempt}}\n"
    )
    said = planned(finished, "--all", "--profile", str(tmp_path / "profile"))
    assert said.returncode == 0, said.stderr
    assert re.search(r"^train_model +2 +partition cards, 1 GPU +1 +7\.0 GB +1\.5 h +3\.0 h ", said.stdout, re.MULTILINE)
    assert re.search(r"^fit_probes +4 +partition long ", said.stdout, re.MULTILINE)
    assert re.search(r"^write_runs +1 +beside Snakemake ", said.stdout, re.MULTILINE)
