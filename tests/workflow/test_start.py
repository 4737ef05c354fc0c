"""What Snakemake says before any job: lint, dry runs of every study, refused configs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkouts import Checkout


def test_lint_finds_nothing(checkout: Checkout) -> None:
    run = checkout.snakemake("--lint", config="")
    assert run.returncode == 0, run.stdout


def test_the_default_and_the_published_studies_plan_their_arms_without_the_data(checkout: Checkout, repo: Path) -> None:
    run = checkout.dry_run(config=str(repo / "studies/regularisation.yaml"))
    assert run.returncode == 0, run.stdout
    for arm in ("l2~1_epochs~50", "l2~0.1_epochs~50", "l2~0.01_epochs~30"):
        assert f"results/regularisation/models/{arm}_seed~1234/history.tsv" in run.stdout
    assert "workflow/report/published_curves.csv" in run.stdout
    protocols = [str(repo / f"studies/regularisation_{name}.yaml") for name in ("as_published", "strict")]
    for config, models, probes in (("", 6, 9), (protocols[0], 3, 8), (protocols[1], 30, 36)):
        planned = checkout.planned(config=config)
        assert (planned["train_model"], planned["fit_probes"], planned["write_report"]) == (models, probes, 1)
    assert "compare_protocols" not in planned


def test_a_wrong_config_is_refused_before_any_job(checkout: Checkout) -> None:
    (checkout.folder / "wrong.yaml").write_text("network: {widths: 8}\ntraining: {learning_rate: 1e-5}\n")
    run = checkout.snakemake("--cores", "1", config="wrong.yaml")
    assert run.returncode != 0
    assert "network.widths: must be a known key; did you mean width?" in run.stdout
    assert "training.learning_rate: must be a number; got the text '1e-5'" in run.stdout
    assert "Traceback" not in run.stdout
    assert not list(checkout.folder.glob("results/*/"))


def test_a_wrong_claims_file_is_refused_before_any_job(checkout: Checkout) -> None:
    (checkout.folder / "mine.yaml").write_text("study: mine\nclaims: claims.yaml\n")
    run = checkout.snakemake("--cores", "1", config="mine.yaml")
    assert run.returncode != 0
    assert "claims: must name a file in the working directory or in the checkout; there is no claims.yaml" in run.stdout
    text = (checkout.folder / "workflow/claims/regularisation.yaml").read_text()
    (checkout.folder / "claims.yaml").write_text(text.replace("{highest: largest}", "{highst: largest}"))
    run = checkout.snakemake("--cores", "1", config="mine.yaml")
    assert run.returncode != 0
    assert "claims.yaml: claim 1, test.highst: must be a known key; did you mean highest?" in run.stdout
    assert "Traceback" not in run.stdout
    assert not list(checkout.folder.glob("results/*/"))


HEAVY = {
    *("tensorflow", "keras", "jax", "librosa", "numba", "pandas", "scipy", "sklearn", "h5py", "matplotlib", "seaborn"),
}
IMPORTS = """
import sys
sys.path.insert(0, "workflow/lib")
{imports}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
# Snakemake, with an ear on the folders that it lists.
LISTENING = """
import os, sys
listed = set()
def hear(event, values):
    if event in ("os.listdir", "os.scandir") and not isinstance(values[0], int):
        listed.add(os.path.abspath(values[0] or "."))
sys.addaudithook(hear)
from snakemake.cli import main
try:
    main(sys.argv[1:])
finally:
    print("audio was listed:", os.path.abspath("data/audio") in listed)
"""


def test_nothing_heavy_is_imported_when_the_workflow_is_read(checkout: Checkout) -> None:
    """Snakemake's own plugins may import pandas; what this workflow adds must not."""
    common = (checkout.folder / "workflow/rules/common.smk").read_text()
    imports = "\n".join(re.findall(r"^(?:from|import) .*", common, re.MULTILINE))
    assert "from lambdascape.study.paths import Study" in imports
    own = "\n".join(line for line in imports.splitlines() if "snakemake" not in line)
    words = [sys.executable, "-c", IMPORTS.format(imports=own)]
    run = subprocess.run(words, cwd=checkout.folder, capture_output=True, text=True, check=True)
    assert "lambdascape" in run.stdout.split()
    assert HEAVY & set(run.stdout.split()) == set()


@pytest.mark.parametrize(("words", "listed"), [(["--list-rules"], False), (["--dry-run"], True)])
def test_no_audio_is_looked_for_when_the_workflow_is_read(checkout: Checkout, words: list[str], listed: bool) -> None:
    """A dry run plans the manifest and looks; a job that starts, and reads the workflow again, must not."""
    (checkout.folder / "data/audio").mkdir(parents=True)
    (checkout.folder / "data/audio/a.wav").touch()
    dataset = "{name: mine, adapter: folder, path: data/audio, title: Mine, licence: mine}"
    (checkout.folder / "mine.yaml").write_text(f"study: mine\ndataset: {dataset}\n")
    run = subprocess.run(
        [sys.executable, "-c", LISTENING, *words, "--configfile", "mine.yaml"],
        cwd=checkout.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert f"audio was listed: {listed}" in run.stdout


@pytest.mark.parametrize("words", [["--list-rules"], ["--dry-run"], ["--summary"], ["--lint"]])
def test_reading_the_workflow_changes_no_file(checkout: Checkout, words: list[str]) -> None:
    """No lock is taken, none is removed, nothing is made, whatever a killed Snakemake has left."""
    left = (".snakemake/locks/0.output.lock", "results/locks/x.lock", "results/.a.tsv.elsewhere-1-r01234567.tsv")
    for name in left:
        (checkout.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.folder / name).write_text("process 1 on elsewhere")

    def files() -> dict[Path, bytes]:
        found = (path for path in checkout.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path: path.read_bytes() for path in found}

    before = files()
    assert checkout.snakemake(*words).returncode == 0
    after = files()
    own = {path for path in after if path.parts[len(checkout.folder.parts)] == ".snakemake"}
    assert {path: text for path, text in after.items() if path in before} == before
    assert set(after) - own == set(before) - own
