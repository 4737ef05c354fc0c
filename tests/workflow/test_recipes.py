"""Every recipe of docs/how-to/recipes.md, its commands taken from the page, on a finished tiny study: what reruns."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lambdascape.core.files import file_digest
from lambdascape.operations.verify import verify
from lambdascape.study.validation import laid_over
from support.checkouts import Checkout

Plan = dict[str, int]
PROBES = ("fit_probes",)
# Rules that gather what runs have made: cheap, and other tests say which of them follow from what.
GATHERING = re.compile(
    r"(write|collect|compare|choose|rank|judge|map|list|plot|sample|draw|audit|predict|encode|export|count)_\w+"
)


class Recipe:
    """One section of the page: the YAML that it asks to write, and its commands."""

    def __init__(self, text: str) -> None:
        blocks = re.findall(r"^```(yaml|)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        here = [(kind, block.replace("mine", "tiny").replace("tiny.tar", "mine.tar")) for kind, block in blocks]
        self.files = {block.split("\n")[0].removeprefix("# "): yaml.safe_load(block) for kind, block in here if kind}
        self.commands = [line for kind, block in here if not kind for line in block.splitlines()]

    def write(self, folder: Path) -> None:
        """Lay the YAML over the files that it names, or make them."""
        for name, content in self.files.items():
            path = folder / name
            before = yaml.safe_load(path.read_text()) if path.exists() else {}
            path.write_text(yaml.safe_dump(laid_over(before, content)))

    def prepare(self, folder: Path) -> list[str]:
        """Write the YAML, carry out what comes before Snakemake, and give the words of its command."""
        self.write(folder)
        *others, last = map(shlex.split, self.commands)
        for command in others:
            subprocess.run(command, cwd=folder, check=True)
        assert last[0] == "snakemake"
        return last[1:]


@pytest.fixture(scope="module")
def page(repo: Path) -> dict[str, Recipe]:
    sections = re.split(r"^## ", (repo / "docs/how-to/recipes.md").read_text(), flags=re.MULTILINE)[1:]
    return {section.partition("\n")[0]: Recipe(section) for section in sections}


def ran(planned: Plan) -> Plan:
    return {rule: count for rule, count in planned.items() if not GATHERING.fullmatch(rule)}


def judged(spaces: int) -> Plan:
    return dict.fromkeys([*PROBES, "measure_geometry", "summarise_space"], spaces)


EXPECTED: dict[str, Plan] = {
    "Add a λ": {"train_model": 1, "embed_trained": 1} | judged(1),
    "Add a seed": {"train_model": 2, "embed_trained": 2, "embed_untrained": 1} | judged(3) | {"fit_probes": 4},
    "Only redo the figures": {"figures": 1},
    "Retrain one run": {"train_model": 1, "embed_trained": 1} | judged(1),
    "Probe the other folds": {"fit_probes": 4},
    "Hold another fold out": {"train_model": 2, "embed_trained": 2, "embed_untrained": 1, "embed_mean_logmel": 1}
    | judged(4),
    "Redo one stage": {"measure_geometry": 4, "geometry": 1},
    "Run one rule again": {"measure_geometry": 4},
}
PARTLY: dict[str, Plan] = {
    "See what is left to do": {"train_model": 1, "embed_trained": 1} | judged(1) | {"summarise_space": 4},
    "Report on the runs that are finished": {"summarise_space": 3},
}
OTHERWISE = {"Make a single file", "Share features", "Move results to another machine", "Continue after a crash"}


def test_every_recipe_of_the_page_is_tested(page: dict[str, Recipe]) -> None:
    assert set(page) == set(EXPECTED) | set(PARTLY) | OTHERWISE
    commands = [tuple(recipe.commands) + tuple(map(str, recipe.files.values())) for recipe in page.values()]
    assert len(set(commands)) == len(commands)


@pytest.mark.parametrize("name", EXPECTED)
def test_exactly_what_the_recipe_says_is_run(
    finished: Checkout, page: dict[str, Recipe], tmp_path: Path, name: str
) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    planned = checkout.planned(*page[name].prepare(checkout.folder), config="")
    assert ran(planned) == EXPECTED[name]
    if name == "Only redo the figures":
        assert set(planned) == {"plot_figure", "figures"}
        assert planned["plot_figure"] > 10
    else:
        assert planned["write_report"] == 1


@pytest.mark.parametrize(
    ("stage", "rule"),
    [
        *(("models", "train_model"), ("embeddings", "embed_trained"), ("probes", "fit_probes")),
        *(("similarity", "compare_spaces"), ("tables", "judge_claims"), ("figures", "plot_figure")),
        ("report", "write_report"),
    ],
)
def test_every_stage_that_the_page_names_is_made_again(
    finished: Checkout, page: dict[str, Recipe], tmp_path: Path, stage: str, rule: str
) -> None:
    """What `geometry` plans stands above; each of the others plans its own rules, and no features."""
    checkout = finished.copy_to(tmp_path / "checkout")
    recipe = page["Redo one stage"]
    commands = [command.replace("geometry", stage) for command in recipe.commands]
    assert commands != recipe.commands
    subprocess.run(shlex.split(commands[0]), cwd=checkout.folder, check=True)
    planned = checkout.planned(*shlex.split(commands[1])[1:], config="")
    assert planned[rule] >= 1
    assert not {"list_clips", "extract_shard", "consolidate_features"} & set(planned)


def test_one_run_is_retrained_from_its_first_epoch_and_gives_the_same_numbers(
    finished: Checkout, page: dict[str, Recipe], tmp_path: Path
) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    words = page["Retrain one run"].prepare(checkout.folder)
    weights = {path: file_digest(path) for path in (checkout.folder / "results/tiny/models").rglob("*.h5")}
    run = checkout.snakemake(words[0], "1", *words[2:], "--until", "train_model", config="")
    assert run.returncode == 0, run.stdout
    assert re.findall(r"^(?:local)?rule (\w+):", run.stdout, re.MULTILINE) == ["train_model"]
    assert {path: file_digest(path) for path in weights} == weights
    assert "epoch 1 of 2" in (checkout.folder / "results/logs/tiny/models/l2~0.01_seed~1.log").read_text()


def test_a_single_file_is_made_with_what_it_needs_and_nothing_else(
    finished: Checkout, page: dict[str, Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing in the environment, as on another node, but where programs are."""
    checkout = finished.copy_to(tmp_path / "checkout")
    words = page["Make a single file"].prepare(checkout.folder)
    product = checkout.folder / words[2]
    before = product.read_bytes()
    product.unlink()
    assert checkout.planned(*words, config="") == {"measure_geometry": 1}
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {"PATH": "/usr/bin:/bin"})
        run = checkout.snakemake(*words, config="")
    assert run.returncode == 0, run.stdout
    assert product.read_bytes() == before
    assert checkout.planned() == {}


def test_features_are_shared(finished: Checkout, page: dict[str, Recipe], tmp_path: Path) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    recipe = page["Share features"]
    recipe.files["tiny.yaml"]["features_store"] = str(tmp_path)
    assert checkout.planned(*recipe.prepare(checkout.folder), config="") == {"share_features": 1, "features": 1}


def test_moved_results_are_whole_and_have_nothing_to_do(
    finished: Checkout, page: dict[str, Recipe], repo: Path, tmp_path: Path
) -> None:
    here, there = finished.copy_to(tmp_path / "here"), Checkout(repo, tmp_path / "there")
    store = tmp_path / "features.h5"
    (features,) = here.folder.glob("results/features/tiny/*/features.h5")
    features.rename(store)
    features.symlink_to(store)
    pack, unpack, look = map(shlex.split, page["Move results to another machine"].commands)
    subprocess.run(pack, cwd=here.folder, check=True)
    (here.folder / "mine.tar").rename(there.folder / "mine.tar")
    store.unlink()
    subprocess.run(unpack, cwd=there.folder, check=True)
    run = there.snakemake(*look[1:], config="")
    assert run.returncode == 0, run.stdout
    assert "Nothing to be done" in run.stdout
    assert verify(there.folder / "results")[0] == []


def test_a_study_continues_after_a_crash(finished: Checkout, page: dict[str, Recipe], tmp_path: Path) -> None:
    """What a killed Snakemake leaves: its locks, and products that are not there yet."""
    checkout = finished.copy_to(tmp_path / "checkout")
    locks = checkout.folder / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    for kind in ("input", "output"):
        (locks / f"0.{kind}.lock").write_text("results/tiny/geometry/mean_logmel.tsv\n")
    for lost in ("geometry/mean_logmel.tsv", "tables/geometry.tsv", "report/index.html"):
        (checkout.folder / "results/tiny" / lost).unlink()
    (line,) = page["Continue after a crash"].commands
    again = shlex.split(line)[1:]
    assert ran(checkout.planned(*again, config="")) == {"measure_geometry": 1}
    locked = checkout.snakemake(*again, config="")
    assert locked.returncode != 0
    assert "LockException" in locked.stdout
    recovered = checkout.lambdascape("recover")  # as `make recover`, which the page names
    assert recovered.returncode == 0, recovered.stdout
    run = checkout.snakemake(*again, config="")
    assert run.returncode == 0, run.stdout
    assert (checkout.folder / "results/tiny/report/index.html").exists()
    assert checkout.planned(*again, config="") == {}


def stop_before_the_last_run(checkout: Checkout) -> None:
    """As after a kill: one run is not there, nor what gathers the runs."""
    for part in ("tables", "similarity", "figures", "report"):
        shutil.rmtree(checkout.folder / "results/tiny" / part)
    for path in (checkout.folder / "results/tiny").rglob("*l2~0.01_seed~1*"):
        for file in [path] if path.is_file() else path.rglob("*"):
            file.unlink()


@pytest.mark.parametrize("name", PARTLY)
def test_a_partly_finished_study_goes_on_where_it_stopped_or_reports_on_what_is_there(
    finished: Checkout, page: dict[str, Recipe], tmp_path: Path, name: str
) -> None:
    checkout = finished.copy_to(tmp_path / "checkout")
    stop_before_the_last_run(checkout)
    words = page[name].prepare(checkout.folder)
    planned = checkout.planned(*(word for word in words if word != "--dry-run"), config="")
    assert ran(planned) == PARTLY[name]
    assert planned["write_report"] == 1


def products(checkout: Checkout, allowed: Callable[[str], bool]) -> list[str]:
    run = checkout.snakemake("--summary")
    assert run.returncode == 0, run.stdout
    files = [line.split("\t")[0] for line in run.stdout.splitlines() if line.startswith("results/")]
    return [file for file in files if allowed(file)]


def test_every_product_can_be_asked_for_by_name(finished: Checkout) -> None:
    files = products(finished, lambda file: "/shards/" not in file)
    assert len(files) > 90
    kinds = {"", ".sha256", ".tsv", ".h5", ".svg", ".png", ".html", ".txt", ".webp", ".parquet"}
    assert {Path(file).suffix for file in files} == kinds
    assert finished.planned(*files) == {}
