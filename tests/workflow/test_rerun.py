"""What must rerun, and what must not (docs/explanation/architecture.md), by dry runs on a finished tiny study."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.checkouts import TINY, Checkout

REPORT = {"write_report": 1}
SCORE_TABLES = {"collect_probes": 1, "judge_claims": 1, "collect_runs": 1}
ARM_TABLES = {"compare_arms": 1, "choose_arm": 1, "rank_criteria": 1}
PROBE_FIGURES = {"plot_figure": 6}
SIMILARITY = {"compare_spaces": 1, "map_spaces": 1, "judge_moves": 1}
SIMILARITY_FIGURES = {"plot_figure": 3}
ALL_FIGURES = {"plot_figure": 14}
ONE_FIGURE = {"plot_figure": 1}
# The maps of the report: what is on them, and what is made of that.
POINTS = {"map_points": 1, "predict_points": 1, "draw_thumbnails": 1, "encode_sound": 1, "write_viewer": 1}
VIEWER = {"audit_neighbours": 1, "sample_points": 1} | POINTS
PAGE = {"write_viewer": 1} | REPORT
EXPORTS = {"export_table": 1}
# What the probes' files lead to; one job fits all probes of a space.
PROBED = {"fit_probes": 4} | SCORE_TABLES | ARM_TABLES | PROBE_FIGURES | {"predict_points": 1} | PAGE
TABLES = SCORE_TABLES | ARM_TABLES | SIMILARITY | {"collect_training": 1, "collect_geometry": 1, "judge_mechanisms": 1}
CHAIN = {"train_model": 1, "embed_trained": 1}
GATHERED = {"write_runs": 1} | TABLES | ALL_FIGURES | VIEWER | REPORT | EXPORTS


def judged(spaces: int) -> dict[str, int]:
    return dict.fromkeys(["fit_probes", "measure_geometry", "summarise_space"], spaces)


def with_config(finished: Checkout, old: str, new: str) -> dict[str, int]:
    with finished.edited("tiny.yaml", old, new):
        return finished.planned()


@pytest.mark.fault("P2")
def test_a_new_l2_runs_its_own_chain_and_what_gathers_the_runs(finished: Checkout) -> None:
    assert with_config(finished, "[1.0, 0.01]", "[1.0, 0.1, 0.01]") == CHAIN | judged(1) | GATHERED


BY_EPOCH, STUDY = "by_epoch: {epochs: 3}", "study: tiny\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # The mean log-mel is probed, too, with the new seed's validation sessions.
        ("seeds: [1]", "seeds: [1, 2]", dict.fromkeys(CHAIN, 2) | {"embed_untrained": 1} | judged(3)
         | {"fit_probes": 4} | GATHERED),
        ("epochs: 2", "epochs: 3", dict.fromkeys(CHAIN, 2) | judged(2) | GATHERED),
        (BY_EPOCH, "by_epoch: {epochs: 4}", PROBED),
        (BY_EPOCH, f"{BY_EPOCH}\n  knn: {{k_grid: [3]}}", PROBED),
        (BY_EPOCH, f"{BY_EPOCH}\n  knn: null", PROBED),
        (BY_EPOCH, f"{BY_EPOCH}\n  few_shot: {{draws: 2}}", PROBED),
        ("probes:\n", "split: {probe_folds: all}\nprobes:\n", PROBED),
        (STUDY, f"{STUDY}viewer: {{points: 30}}\n", {"sample_points": 1} | POINTS | REPORT),
        (STUDY, f"{STUDY}viewer: {{umap_neighbours: null}}\n", {"map_points": 1} | PAGE),
        (STUDY, f"{STUDY}viewer: {{neighbours: 3}}\n", VIEWER | REPORT),
        ("  name: tiny\n", "  name: tiny\n  licence: another\n", PAGE),
        (STUDY, f"{STUDY}claims: workflow/claims/margin.yaml\n", {"judge_claims": 1} | REPORT),
        (STUDY, f"{STUDY}claims: null\n", {"judge_claims": 1} | REPORT),
    ],
)  # fmt: skip
def test_a_changed_setting_repeats_what_follows_from_it(
    finished: Checkout, old: str, new: str, expected: dict[str, int]
) -> None:
    assert with_config(finished, old, new) == expected


def test_a_feature_setting_makes_another_store_and_everything_after(finished: Checkout) -> None:
    stores = sorted((finished.folder / "results/features/tiny").iterdir())
    planned = with_config(finished, "n_mels: 16", "n_mels: 20")
    features = {"extract_shard": 2, "consolidate_features": 1}
    spaces = {"embed_trained": 2, "embed_untrained": 1, "embed_mean_logmel": 1}
    more = {"list_unused": 1, "count_distant": 1, "plot_figure": 15}
    everything = features | {"train_model": 2} | spaces | judged(4) | TABLES | VIEWER | REPORT | EXPORTS | more
    assert planned == everything
    assert sorted((finished.folder / "results/features/tiny").iterdir()) == stores


@pytest.mark.fault("P1")
@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("figures/maps.py", "MAX_TILES = 1500", "MAX_TILES = 1000", ONE_FIGURE | REPORT),
        ("figures/dataset.py", "LINE = 0.235", "LINE = 0.25", ONE_FIGURE | REPORT),
        ("figures/dynamics.py", "MOST_TICKS = 4", "MOST_TICKS = 3", ONE_FIGURE | REPORT),
        ("mechanism/judging.py", "def _own", "def _of_its_own", {
            "judge_mechanisms": 1, "plot_figure": 1, "collect_runs": 1} | REPORT),
        ("figures/mechanism_stages.py", "ROW = 0.62", "ROW = 0.7", ONE_FIGURE | REPORT),
        ("figures/response.py", "def response_figure", "def another_figure", ONE_FIGURE | REPORT),
        ("report/answer.py", "def answer", "def another_answer", REPORT),
        ("tables/every_run.py", "def heading", "def other_heading", {"collect_runs": 1} | REPORT),
        ("models/batches.py", "class Batches", "class OtherBatches", dict.fromkeys(CHAIN, 2) | {"embed_untrained": 1}
         | judged(3) | TABLES | ALL_FIGURES | VIEWER | REPORT | EXPORTS),
        ("claims/ledger.py", "def judge_claims", "def judge_other_claims", {"judge_claims": 1} | REPORT),
        ("probes/knn.py", "QUERIES = 1 << 14", "QUERIES = 1 << 13", PROBED),
        ("geometry/shape.py", "def uniformity", "def other_uniformity", {
            "measure_geometry": 4, "collect_geometry": 1, "plot_figure": 2, "rank_criteria": 1,
            "judge_claims": 1, "collect_runs": 1} | REPORT),
        ("tables/comparisons.py", "def _pairs", "def _other_pairs", ARM_TABLES | {
            "plot_figure": 2} | REPORT),
        ("similarity/space_group.py", "COLUMNS = 1024", "COLUMNS = 512", SIMILARITY | SIMILARITY_FIGURES | REPORT),
        ("similarity/space_summary.py", "MOST_GROUPS = 1000", "MOST_GROUPS = 999", {
            "summarise_space": 4} | SIMILARITY | SIMILARITY_FIGURES | REPORT),
        ("geometry/label_audit.py", "FENCE = 3.0", "FENCE = 2.5", VIEWER | REPORT),
        ("viewer/projections.py", "MIN_DIST = 0.1", "MIN_DIST = 0.2", {"map_points": 1} | PAGE),
        ("viewer/sound.py", "LEVEL = 0.9", "LEVEL = 0.8", {"encode_sound": 1} | PAGE),
        ("viewer/viewer_page.py", "def findings", "def other_findings", PAGE),
        ("figures/run_map.py", "SEED_MARKERS =", "OTHER_MARKERS =", ONE_FIGURE | REPORT),
        ("exports/embedding_table.py", "LEAST_ROWS = 1 << 12", "LEAST_ROWS = 1 << 13", EXPORTS | REPORT),
        ("../../report/page/style.css", "1.0625rem", "1.0rem", REPORT),
        ("../../report/viewer/viewer.js", "const REACH = 18", "const REACH = 20", PAGE),
        ("../../claims/regularisation.yaml", "share: 0.05", "share: 0.1", {"judge_claims": 1} | REPORT),
    ],
)  # fmt: skip
def test_changed_code_repeats_what_runs_it(
    finished: Checkout, module: str, old: str, new: str, expected: dict[str, int]
) -> None:  # and that it is changed back repeats nothing: the next test would see it
    with finished.edited(f"workflow/lib/lambdascape/{module}", old, new):
        assert finished.planned() == expected


def test_a_brought_space_runs_its_own_chain_and_what_gathers_the_spaces(finished: Checkout) -> None:
    shutil.copy(finished.folder / "results/tiny/embeddings/mean_logmel.h5", finished.folder / "own.h5")
    planned = with_config(finished, "study: tiny", "study: tiny\nspaces: {openl3: own.h5}")
    (finished.folder / "own.h5").unlink()
    tables = SCORE_TABLES | ARM_TABLES | SIMILARITY | {"collect_geometry": 1, "judge_mechanisms": 1}
    chain = {"embed_own": 1} | judged(1) | {"write_runs": 1}
    assert planned == chain | tables | ALL_FIGURES | VIEWER | REPORT | EXPORTS


def test_exports_repeat_nothing_but_themselves_and_the_report_that_lists_them(finished: Checkout) -> None:
    models = {"export_model": 2, "write_card": 2}
    for words, expected in (
        ("{table: csv}", EXPORTS),
        ("{always: []}", {}),
        ("{always: [table, projector]}", {"export_projector": 1}),
        ("{always: [table, models]}", models),
        ("{always: [table, models], onnx: true}", models | {"export_onnx": 2}),
    ):
        assert with_config(finished, "study: tiny", f"study: tiny\nexports: {words}") == expected | REPORT
    assert finished.planned("exports") == models | {"export_projector": 1, "exports": 1}


def test_comments_docstrings_and_formatting_repeat_nothing(finished: Checkout) -> None:
    with ExitStack() as stack:
        for name in ("models/training", "models/network", "features/store", "features/extraction", "figures/style"):
            file = f"workflow/lib/lambdascape/{name}.py"
            stack.enter_context(finished.edited(file, '"""\n', ' More words."""\n\n\n# A comment.\n'))
        assert finished.planned() == {}


def test_touched_files_repeat_nothing(finished: Checkout) -> None:
    """A `git checkout` gives every file of the code a new date; `touch` does so for results."""
    with finished.touched("*"):
        assert finished.planned() == {}


def test_a_touched_store_too_large_to_be_compared_by_content_repeats_nothing(finished: Checkout) -> None:
    """Snakemake compares files above a size by date alone; held to 15 kB, the HDF5 files are such files."""
    with finished.touched("*.h5"):
        assert finished.planned("--max-checksum-file-size", "15000") == {}


def test_a_moved_checkout_repeats_nothing(finished: Checkout) -> None:
    before = finished.folder
    finished.folder = before.with_name("moved elsewhere")
    shutil.move(before, finished.folder)
    try:
        assert finished.planned() == {}
    finally:
        shutil.move(finished.folder, before)
        finished.folder = before


def test_threads_and_resources_repeat_nothing(finished: Checkout) -> None:
    words = ("--set-resources", "train_model:mem_mb=9000", "--default-resources", "runtime=5")
    assert finished.planned("--cores", "7", "--set-threads", "train_model=3", *words) == {}


def test_every_stage_is_a_target_and_repeats_nothing(finished: Checkout) -> None:
    stages = ("datasets", "features", "models", "embeddings", "probes", "geometry", "similarity", "tables", "figures")
    assert finished.planned(*stages, "viewer", "report") == {}


def test_another_study_over_the_same_audio_computes_no_feature(finished: Checkout) -> None:
    other = TINY.replace("study: tiny", "study: other").replace("width: 2", "width: 3")
    (finished.folder / "other.yaml").write_text(other)
    planned = finished.planned(config="other.yaml")
    assert "train_model" in planned
    assert not {"synthesise_demo", "list_clips", "extract_shard", "consolidate_features"} & set(planned)
    Path(finished.folder / "other.yaml").unlink()
