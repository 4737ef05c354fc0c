"""Another workflow can use this one as a module, from another folder, with its defaults."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.checkouts import TINY, Checkout

SNAKEFILE = """\
configfile: "config.yaml"


module lambdascape:
    snakefile: "{checkout}/workflow/Snakefile"
    config: config


use rule * from lambdascape
"""


@pytest.fixture
def user(checkout: Checkout, tmp_path: Path) -> Path:
    """A folder with a workflow that uses a checkout elsewhere, as snakedeploy writes one."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(checkout=checkout.folder))
    return folder


def snakemake(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_what_the_user_does_not_set_is_the_default(user: Path, repo: Path) -> None:
    (user / "config.yaml").write_text("study: mine\n")
    said = snakemake(user, "all", "--dry-run")
    default = yaml.safe_load((repo / "config.yaml").read_text())["sweep"]
    runs = len(default["axes"]["l2"]) * len(default["seeds"])
    assert re.search(rf"^train_model +{runs}$", said, re.MULTILINE)


def test_jobs_run_from_another_folder(user: Path) -> None:
    (user / "config.yaml").write_text(TINY)
    snakemake(user, "features", "results/tiny/runs.tsv", "results/tiny/figures/dataset.svg")
    assert (user / "results/tiny/figures/dataset.svg").exists()
    assert list(user.glob("results/features/tiny/*/features.h5"))
