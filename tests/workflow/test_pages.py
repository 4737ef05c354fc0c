"""The documentation: its links hold, its commands and config files work, and its generated pages are up to date."""

import importlib.util
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from lambdascape.cli.main import _parser
from lambdascape.jobs.call import find
from lambdascape.study.validation import laid_over
from support.checkouts import Checkout

REPO = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    *sorted(str(path.relative_to(REPO)) for path in REPO.glob("docs/**/*.md")),
]
RECIPES = "docs/how-to/recipes.md"  # tests/workflow/test_recipes.py runs its commands
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PLANNED: set[tuple[str, ...]] = set()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (REPO / "Makefile").read_text(), re.MULTILINE))


def blocks(page: str) -> list[tuple[str, str]]:
    """The language, '' for commands, and the text of each block of code."""
    return BLOCK.findall((REPO / page).read_text(encoding="utf-8"))


def commands(text: str) -> list[list[str]]:
    return [words for line in text.replace("\\\n", " ").splitlines() if (words := shlex.split(line, comments=True))]


def carried_out(words: list[str]) -> Iterator[list[str]]:
    """The commands of Snakemake and of lambdascape that a command of a page comes to."""
    if words[0] != "make":
        yield [Path(words[0]).name, *words[1:]]
        return
    assert words[1] in TARGETS, f"there is no {' '.join(words)}"
    run = subprocess.run([*words, "--dry-run"], cwd=REPO, capture_output=True, text=True, check=True)
    for line in run.stdout.replace("\\\n", " ").splitlines():
        found = re.search(r"-m (snakemake|lambdascape) (.*)", line)
        if found and not line.startswith(("test ", "echo ")):
            yield [found[1], *shlex.split(found[2])]


def write_audio(folder: Path, seconds: float) -> None:
    """Clips of two classes in four sessions each, with the table that the tutorial shows."""
    folder.mkdir()
    rows = ["path,label,session"]
    for number in range(16):
        label, session = ("cooking", "working")[number % 2], number // 2
        noise = np.random.default_rng(number).normal(size=int(16_000 * seconds)) * (0.05 + number % 2 * 0.05)
        soundfile.write(folder / f"{number}.wav", noise, 16_000)
        rows.append(f"{number}.wav,{label},{label}{session // 2}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def at_work(checkout: Checkout, tmp_path: Path, repo: Path) -> Checkout:
    """A checkout beside the files of the user that the pages name."""
    shutil.copytree(repo / "studies", checkout.folder / "studies")
    shutil.copytree(repo / "profiles/slurm", checkout.folder / "profiles/ours")
    shutil.copy(repo / "tests/study/plugin.py", checkout.folder / "plugin.py")
    (checkout.folder / "my-embeddings").mkdir()
    (checkout.folder / "my-embeddings/openl3.h5").touch()
    (checkout.folder / "mine.yaml").write_text("study: mine\n")
    write_audio(tmp_path / "my-audio", 2.0)
    return checkout


def plan(checkout: Checkout, words: list[str]) -> None:
    """A dry run, unless another page has had the same one."""
    key = (*words, (checkout.folder / "mine.yaml").read_text())
    if key in PLANNED or "--lint" in words:  # `--lint` has a test of its own
        return
    run = checkout.dry_run(*words, config="")
    assert run.returncode == 0, run.stdout
    assert re.search(r"^total +\d+", run.stdout, re.MULTILINE), run.stdout
    PLANNED.add(key)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_and_nothing_is_unfinished(page: str) -> None:
    text = (REPO / page).read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    generated = REPO / "docs/reference/config.md"
    linked = [(REPO / page).parent.joinpath(target).resolve() for target in targets if target]
    assert [path for path in linked if not path.exists() and path != generated] == []
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", text)  # the marks of unfinished text
    assert [target for target in re.findall(r"`make ([a-z][a-z-]*)", text) if target not in TARGETS] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != RECIPES and any(not kind for kind, _ in blocks(page))]
)
def test_every_command_of_a_page_works(at_work: Checkout, page: str) -> None:
    """Those of Snakemake as dry runs, with the config files of the page as far as it has come."""
    for kind, text in blocks(page):
        if kind == "yaml":
            path = at_work.folder / text.split("\n")[0].removeprefix("# ")
            before = yaml.safe_load(path.read_text()) if path.exists() else {}
            path.write_text(yaml.safe_dump(laid_over(before, yaml.safe_load(text))))
        for words in commands(text) if not kind else ():
            assert Path(words[0]).name in ("make", "snakemake", "lambdascape"), words
            for program, *rest in carried_out(words):
                if program == "lambdascape":
                    asked = _parser().parse_args(rest)
                    if rest[0] == "call":
                        names = [word.partition("=")[0] for word in asked.values]
                        inspect.signature(find(asked.task)).bind(**dict.fromkeys(names))
                else:
                    plan(at_work, [word for word in rest if word not in ("-n", "--dry-run")])


@pytest.mark.long
def test_the_tutorial_ends_with_a_report(at_work: Checkout, tmp_path: Path) -> None:
    """Its study with a smaller network, shorter tiles and fewer epochs, on a folder of audio as it asks for."""
    (study, *_) = [text for kind, text in blocks("docs/tutorial.md") if kind == "yaml"]
    smaller = {
        "triplets": {"tile_s": 0.4, "neighbourhood_s": 0.4},
        "features": {"n_mels": 16, "n_shards": 2},
        "network": {"width": 2, "embedding_dim": 4},
        "training": {"epochs": 2, "batch_size": 16},
        "probes": {"by_epoch": {"epochs": 2}},
        "statistics": {"resamples": 100},
        "sweep": {"axes": {"l2": [1.0, 0]}, "seeds": [1]},
    }
    (at_work.folder / "mine.yaml").write_text(yaml.safe_dump(laid_over(yaml.safe_load(study), smaller)))
    run = at_work.snakemake("all", "--cores", "2", config="mine.yaml")
    assert run.returncode == 0, run.stdout
    assert (at_work.folder / "results/mine/report/index.html").exists()
    assert (at_work.folder / "results/datasets/my-audio/rejected.tsv").exists()


def test_the_claims_file_of_the_page_is_accepted(checkout: Checkout) -> None:
    (example,) = [text for kind, text in blocks("docs/reference/claims.md") if kind == "yaml"]
    (checkout.folder / "my-claims.yaml").write_text(example)
    (checkout.folder / "mine.yaml").write_text("study: mine\nclaims: my-claims.yaml\n")
    assert checkout.planned("results/mine/tables/claims.tsv", config="mine.yaml")["judge_claims"] == 1


def test_every_table_of_a_study_is_in_the_reference(finished: Checkout) -> None:
    page = (REPO / "docs/reference/tables.md").read_text()
    made = [*finished.folder.glob("results/tiny/tables/*.tsv"), *finished.folder.glob("results/tiny/similarity/*.tsv")]
    assert len(made) > 15
    assert [path.name for path in made if f"`{path.name}`" not in page] == []


def test_the_page_of_the_command_line_is_that_of_the_program() -> None:
    """`make docs` writes it anew."""
    spec = importlib.util.spec_from_file_location("hooks", REPO / "docs/hooks.py")
    assert spec
    assert spec.loader
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    assert hooks.COMMAND_LINE.read_text() == hooks.command_line_page()


def test_the_site_is_built_without_a_network(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 50
    loaded = re.compile(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="https?:')
    assert [path for path in pages if loaded.search(path.read_text())] == []
