"""The rooms of the house: what may stand where (workflow/README.md)."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LIBRARY = REPO / "workflow/lib/lambdascape"
RULES = sorted((REPO / "workflow/rules").glob("*.smk"))
SCRIPTS = sorted((REPO / "workflow/scripts").glob("*.py"))
MODULES = sorted(LIBRARY.rglob("*.py"))
STAGES = [
    "common",
    "downloads",
    "datasets",
    "features",
    "triplets",
    "models",
    "embeddings",
    "probes",
    "refitted_probes",
    "geometry",
    "similarity",
    "tables",
    "comparisons",
    "claims",
    "figures",
    "protocols",
    "probe_figures",
    "landscape",
    "pictures",
    "audit",
    "viewer",
    "viewer_media",
    "report",
    "exports",
    "exported_models",
]
# TensorFlow costs seconds in every job that imports it.
WITH_TENSORFLOW = {
    "batch_statistics",
    "batches",
    "layer_diagnostics",
    "network",
    "normalisation",
    "losses",
    "training",
    "triplet_model",
}


def name_of(path: Path) -> str:
    return path.stem


def code_of(path: Path) -> str:
    """The text of a rule file without comments."""
    return "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))


def test_the_top_level_holds_what_the_plan_names() -> None:
    plan = (
        "README.md Snakefile config.yaml Makefile pyproject.toml profiles/default studies envs workflow/README.md"
        " workflow/schemas/config.schema.yaml tests/unit tests/workflow tests/end_to_end .ci/run LICENSE CITATION.cff"
        " CHANGELOG.md CONTRIBUTING.md"
    )
    assert [name for name in plan.split() if not (REPO / name).exists()] == []


def test_the_snakefile_is_a_table_of_contents() -> None:
    text = (REPO / "Snakefile").read_text()
    assert re.findall(r'include: "workflow/rules/(\w+)\.smk"', text) == STAGES
    assert sorted(map(name_of, RULES)) == sorted(STAGES)
    code = code_of(REPO / "Snakefile")
    assert not re.search(r"\bdef |\blambda\b|^\s*run:", code, re.MULTILINE)
    assert len(re.findall(r"^rule (\w+)", code, re.MULTILINE)) == 1


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_rule_files_hold_no_logic(path: Path) -> None:
    code = code_of(path)
    assert not re.search(r"\bdef |\blambda\b|^\s*run:|^\s*shell:", code, re.MULTILINE)
    assert len(path.read_text().splitlines()) <= 150


@pytest.mark.parametrize("path", [path for path in RULES if path.stem != "common"], ids=name_of)
def test_every_rule_names_its_files_and_keeps_log_benchmark_fingerprint_and_resources(path: Path) -> None:
    blocks = re.split(r"^(?:use )?rule ", code_of(path), flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        rule = block.split(":")[0].split(" as ")[-1].removesuffix(" with")
        for section in re.findall(r"^    (?:input|output):\n((?:        .*\n)+)", block, re.MULTILINE):
            assert re.match(r"        \w+=", section), f"{rule}: inputs and outputs have names"
        if "localrule: True" in block and "script:" not in block:
            continue  # a target
        assert "    log:\n" in block, rule
        assert "    benchmark:\n" in block, rule
        assert re.search(r'code=fingerprint\("(\w+)"\)', block), rule
        inherits = " with" in block.split("\n")[0]
        assert inherits or "resources:" in block or "localrule: True" in block, rule


@pytest.mark.parametrize("path", [path for path in RULES if path.stem != "common"], ids=name_of)
def test_the_fingerprint_is_that_of_the_script(path: Path) -> None:
    for block in re.split(r"^rule ", code_of(path), flags=re.MULTILINE)[1:]:
        scripts = set(re.findall(r"scripts/(\w+)\.py", block))
        assert scripts == set(re.findall(r'fingerprint\("(\w+)"\)', block))


def test_every_script_has_a_rule() -> None:
    used = {name for path in RULES for name in re.findall(r"scripts/(\w+)\.py", path.read_text())}
    assert used == set(map(name_of, SCRIPTS))


def test_a_rule_is_named_as_its_script() -> None:
    for path in RULES:
        for block in re.split(r"^rule ", code_of(path), flags=re.MULTILINE)[1:]:
            script = re.search(r"scripts/(\w+)\.py", block)
            if script and script[1] != "draw_curves":  # three figures of one kind
                assert block.split(":")[0] == script[1]


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_scripts_only_hand_on(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    decisions = ast.If | ast.For | ast.While | ast.IfExp | ast.FunctionDef | ast.Lambda | ast.comprehension | ast.Try
    assert not [node for node in ast.walk(tree) if isinstance(node, decisions)]
    numbers = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int]
    assert [node.value for node in numbers] == [0]  # snakemake.log[0]
    assert len(text.splitlines()) <= 20
    assert "snakemake.config" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_every_job_leaves_a_receipt_of_what_it_makes_to_keep(path: Path) -> None:
    rule = next(text for text in map(code_of, RULES) if f"scripts/{path.name}" in text)
    temporary = "temp(" in rule.split(f"rule {path.stem}:")[-1].split("log:")[0]
    told = "snakemake.threads, snakemake.output, " in path.read_text() and "snakemake.params):" in path.read_text()
    assert told != temporary


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_library_knows_no_engine_and_no_config_and_stays_short(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"^\s*(import|from) snakemake\b", text, re.MULTILINE)
    assert "config.yaml" not in text
    assert len(text.splitlines()) <= 400
    if path.stem not in WITH_TENSORFLOW:
        top = [line for line in text.splitlines() if re.match(r"(import|from) (tensorflow|keras)\b", line)]
        assert top == []


def test_readers_need_no_locks() -> None:
    """A file system of a cluster may have none."""
    opened = [
        line for path in MODULES for line in path.read_text().splitlines() if re.search(r'h5py\.File\(.*"r"', line)
    ]
    assert len(opened) >= 4
    assert [line for line in opened if 'locking="best-effort"' not in line] == []


def test_no_rule_reads_more_of_the_config_than_its_own_block() -> None:
    for path in RULES:
        if path.stem in ("common", "report"):
            continue
        assert not re.search(r"=config,|=config$", code_of(path), re.MULTILINE), path.name


def test_lambda_is_never_an_identifier() -> None:
    for path in MODULES:
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not [name for name in names if "lambda" in name.lower() and name != "lambdascape"], path.name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "README.md",
            "CONTRIBUTING.md",
            "workflow/README.md",
            "workflow/RECIPES.md",
            "workflow/STORE.md",
            "workflow/CLUSTERS.md",
        ),
        "workflow/claims/README.md",
    ],
)
def test_pages_link_to_what_is_there_and_have_no_gaps(name: str) -> None:
    text = (REPO / name).read_text()
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (REPO / name).parent.joinpath(target).exists()] == []
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", text)  # the marks of unfinished text: no page may carry one


@pytest.mark.parametrize("path", sorted((REPO / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_no_benchmark_stands_in_the_way_of_a_package(path: Path) -> None:
    """A script's folder comes first where modules are looked for: a coverage.py there broke Numba."""
    assert find_spec(path.stem) is None
