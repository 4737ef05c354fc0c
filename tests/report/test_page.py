"""The report is one harmless offline file that says what the tables say, and no more."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from lambdascape.config.settings import Config
from lambdascape.core.declarations import declared
from lambdascape.core.errors import InputError
from lambdascape.core.files import file_digest, write_text
from lambdascape.core.tsv import read_table, write_table
from lambdascape.jobs.machine import processor
from lambdascape.mechanism.judging import TEXT as MECHANISM_TEXT
from lambdascape.models.collapse import FLAGS
from lambdascape.report import comparisons_section as report_comparisons
from lambdascape.report import formatting as report_tables
from lambdascape.report.answer import answer
from lambdascape.report.claims_section import ledger
from lambdascape.report.figures_section import caption_html
from lambdascape.report.page import write_report
from lambdascape.report.probes_section import calibration_summary, folds_summary, probe_summary
from lambdascape.report.provenance_section import digests
from lambdascape.report.runs_section import run_table
from lambdascape.report.settings_section import table_1
from lambdascape.report.similarity_section import moved
from lambdascape.study.catalogue import PAGE_PARTS
from lambdascape.study.setting_names import in_words
from lambdascape.tables.every_run import read_every_run
from lambdascape.tables.flagged import MARK, flagged, warnings_of
from lambdascape.tables.rankings import compare_protocols
from support.studies import CLAIMS, EPOCHS, FakeStudy

ROOT = Path(__file__).parents[2]
CAPTIONS = ROOT / "workflow" / "report"
SPACES = ("maps", "spectra", "similarity", "moves", "run_map")
FIGURES = ("response", "selection", "loss", "dynamics", "mechanism", "probe_f1", "probe_cross_entropy",
    "few_shot", "confusion", "dataset", "tiles", *SPACES)  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><title>{}</title></svg>'
WORDS = {
    name: {key: one.options[key] for key in ("title", "caption", "wide")} for name, one in declared("figure").items()
}
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def text_file(path: Path, text: str) -> Path:
    write_text(text, path)
    return path


def write(study: FakeStudy, synthetic: bool = True, **changes: Any) -> str:
    folder = study.folder
    figures = {name: text_file(folder / f"{name}.svg", SVG.format(name)) for name in FIGURES}
    text_file(folder / "benchmarks" / "models" / "a.tsv", "s\th:m:s\tmax_rss\n61.0\t0:01:01\t812.5\n")
    given: dict[str, Any] = {
        "template": CAPTIONS / "index.html.j2",
        "study": "demo",
        "config": CONFIG,
        "synthetic": synthetic,
        "tables": study.tables,
        "figures": figures,
        "words": WORDS,
        "viewer": None,
        "exported": [],
        "sources": [study.tables["scores"]],
        "benchmarks": {"models": folder / "benchmarks" / "models"},
        "receipts": folder / "receipts",
        "checkout": ROOT,
        "command": "make run STUDY='a & b'",
        "export_command": "make run TARGET=exports STUDY='a & b'",
    }
    given |= changes
    write_report(folder / "index.html", **given | {"config": Config.of(given["config"])})
    return (folder / "index.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Tags with their attributes, visible text, and tags left open."""

    VOID = ("meta", "img", "br", "hr", "link", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.source = page
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The report of the study that the others are changes of."""
    return Page(write(FakeStudy(tmp_path_factory.mktemp("usual"))))


def test_the_page_is_whole_and_loads_nothing(usual: Page) -> None:
    assert usual.open == []
    assert not {tag for tag, _ in usual.tags} & {"link", "iframe", "object", "embed", "base"}
    for tag, attributes in usual.tags:
        value = attributes.get("src")
        assert value is None or value.startswith("data:image/")
        assert tag == "a" or "href" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import", usual.source)


def test_the_only_script_is_the_pages_own_known_by_its_digest(usual: Page) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", usual.source, re.DOTALL)
    assert scripts == ["\n" + (CAPTIONS / "page" / "page.js").read_text(encoding="utf-8") + "\n"]
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f'script-src &#39;sha256-{digest}&#39;"' in usual.source


def test_the_viewer_stands_in_the_page_and_only_its_own_scripts_may_run(tmp_path: Path, usual: Page) -> None:
    section = '<section id="viewer"><h2>Maps</h2><script>start("λ")</script></section>'
    viewer = text_file(tmp_path / "viewer.html", section)
    text = write(FakeStudy(tmp_path / "study"), viewer=viewer)
    page = Page(text)
    assert page.open == []
    assert page.text.index("Maps") < page.text.index("Geometry of the spaces")
    assert ("a", {"href": "#viewer"}) in page.tags
    digest = base64.b64encode(hashlib.sha256('start("λ")'.encode()).digest()).decode()
    assert text.count("&#39;sha256-") == 2
    assert f'&#39;sha256-{digest}&#39;"' in text
    assert "#viewer" not in usual.source


def test_data_are_cited_as_the_study_says_and_not_where_it_says_nothing(study: FakeStudy, usual: Page) -> None:
    config = CONFIG | {"dataset": CONFIG["dataset"] | {"citation": "Somebody & Co. (2015). Sounds. doi:10.1/2"}}
    text = Page(write(study, config=config)).text
    assert text.index("The software:") < text.index("Somebody & Co. (2015). Sounds. doi:10.1/2")
    assert "The data that the study ran on" not in usual.text


def test_captions_link_the_files_that_they_name(study: FakeStudy, tmp_path: Path) -> None:
    digest = text_file(tmp_path / "store" / "features.h5.sha256", f"{'0' * 64}  features.h5\n")
    targets = {a.get("href") for tag, a in Page(write(study, sources=[digest])).tags if tag == "a"}
    assert {"store/features.h5", "../embeddings/", "../tables/scores.tsv"} <= targets


def heavy(folder: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, Path]:
    """Figures of these sizes in kB, of the SVG and of its PNG."""
    for name, (_, png) in sizes.items():
        (folder / f"heavy_{name}.png").write_bytes(bytes(1000 * png))
    return {n: text_file(folder / f"heavy_{n}.svg", SVG.format("x" * 1000 * svg)) for n, (svg, _) in sizes.items()}


def shown_kinds(text: str) -> dict[str, str]:
    return dict(re.findall(r'<figure id="figure-(\w+)">\s*<div[^>]*><img src="data:image/([a-z]+)', text))


def test_a_page_too_large_shows_drawings_as_png(study: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    sizes = {"response": (90, 1), "maps": (60, 1), "spectra": (30, 1), "moves": (100, 200)}
    given = {"figures": heavy(tmp_path, sizes)}
    whole = write(study, **given)
    assert set(shown_kinds(whole).values()) == {"svg"}
    limit = len(whole.encode()) - 150_000  # more than one drawing saves, fewer than two
    monkeypatch.setattr("lambdascape.report.page.LARGEST_PAGE", limit)
    text = write(study, **given)
    assert len(text.encode()) <= limit
    # Of the moves the PNG is larger.
    assert shown_kinds(text) == {"response": "png", "maps": "png", "spectra": "svg", "moves": "svg"}


def test_a_page_that_stays_too_large_is_refused(study: FakeStudy, tmp_path: Path, monkeypatch: Any) -> None:
    given = {"figures": heavy(tmp_path, {"response": (90, 80), "maps": (60, 70)})}
    viewer = text_file(tmp_path / "viewer.html", f"<section>{'x' * 100_000}</section>")
    monkeypatch.setattr("lambdascape.report.page.LARGEST_PAGE", 100_000)
    told = "must be at most 100 kB; .* most is figure response 107 kB, the viewer .* 100 kB, figure maps 80 kB"
    (tmp_path / "index.html").unlink(missing_ok=True)
    with pytest.raises(InputError, match=told):
        write(study, viewer=viewer, **given)
    assert not (tmp_path / "index.html").exists()


def test_exports_are_linked_from_where_the_page_lies(tmp_path: Path, usual: Page) -> None:
    table = tmp_path / "study" / "exports" / "embeddings.parquet"
    table.parent.mkdir(parents=True)
    table.write_bytes(bytes(2_000_000))
    page = Page(write(FakeStudy(tmp_path / "study"), exported=[table]))
    assert ("a", {"href": "exports/embeddings.parquet"}) in page.tags
    assert "2 MB" in page.text
    assert "../exports" in page.text
    assert "made by make run TARGET=exports STUDY='a & b' ;" in page.text
    assert "Nothing was exported yet" in usual.text


def test_links_reach_their_places_and_every_picture_and_table_is_named(usual: Page) -> None:
    places = {attributes["id"] for _, attributes in usual.tags if "id" in attributes}
    targets = {str(a["href"]) for tag, a in usual.tags if tag == "a"}
    assert {target[1:] for target in targets if target.startswith("#")} <= places
    assert {target for target in targets if target.startswith("../tables/")} >= {"../tables/scores.tsv"}
    pictures = [attributes for tag, attributes in usual.tags if tag == "img"]
    assert len(pictures) == len(FIGURES)
    assert all(picture["alt"] for picture in pictures)
    names = [tag for tag, _ in usual.tags]
    assert names.count("table") == names.count("caption") > 5
    assert all("scope" in attributes for tag, attributes in usual.tags if tag == "th")
    assert "0.702 at λ = 0.01" in str(pictures[0]["alt"])


def test_every_claim_is_there_with_verdict_estimate_evidence_and_what_would_refute_it(usual: Page) -> None:
    for _, sentence, verdict, estimated, *_, power, brief, evidence, test, refuted_when, _ in CLAIMS:
        for words in (sentence, verdict, estimated, power, brief, evidence, test, refuted_when):
            assert words in usual.text
    assert "Of the claims of Somebody (2020): 1 confirmed, 1 refuted, 1 undecided." in usual.text
    assert "λ = 0.01 less λ = 1: -0.20 (-0.30 to -0.10)." in usual.text


def test_the_answer_the_verdicts_and_what_to_do_next_come_first(usual: Page) -> None:
    order = ("The answer", "What was claimed", "What to do next", "Claims, judged", "1. The loss", "The numbers behind")
    places = [usual.text.index(words) for words in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((0.1234, 0.1, 0.15), ("0.123", "0.100 to 0.150")),
        ((-0.00002, -0.41, 0.41), ("-0.000020", "-0.41 to 0.41")),
        ((0.0287, -0.5435, 0.6009), ("0.029", "-0.54 to 0.60")),
        ((0.2469, -0.0067, 0.5004), ("0.25", "-0.0067 to 0.50")),
        ((-1e-12, -0.41, 0.41), ("0.000000", "-0.41 to 0.41")),
        ((16.0, 15.0, 17.0), ("16.0", "15.0 to 17.0")),
        ((1234.5, 1100.0, 1400.0), ("1234", "1100 to 1400")),
        ((0.05, 0.05, 0.05), ("0.05000", "0.05000 to 0.05000")),
        ((0.0, 0.0, 0.0), ("0.000000", "0.000000 to 0.000000")),
        ((0.51234, np.nan, np.nan), ("0.512", "no interval")),
        ((np.nan, np.nan, np.nan), ("", "")),
    ],
)
def test_estimates_are_as_exact_as_intervals(
    numbers: tuple[float, ...], shown: tuple[str, str], tmp_path: Path
) -> None:
    claims = FakeStudy(tmp_path).frame("claims").head(1)
    claims[["estimate", "low", "high"]] = [numbers]
    entry = ledger(claims).entries[0]
    assert (entry.estimate, entry.interval) == shown


@pytest.mark.parametrize(("left", "words"), [([], "The study names no claims."), ([2], "None could be tested")])
def test_where_no_claim_was_tested_the_page_says_so(study: FakeStudy, left: list[int], words: str) -> None:
    write_table(study.frame("claims").iloc[left], study.tables["claims"])
    assert words in Page(write(study)).text


def test_labels_and_paths_from_outside_come_out_harmless(usual: Page) -> None:
    assert usual.source.count("<script") == 1  # the page's own
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in usual.source
    assert "0.4 &lt;b&gt;bold&lt;/b&gt;" in usual.source
    assert "audio/&lt;bad&gt;.wav" in usual.source
    assert "STUDY=&#39;a &amp; b&#39;" in usual.source


def test_made_data_are_called_synthetic_and_others_are_not(tmp_path: Path, usual: Page) -> None:
    assert "The data are synthetic" in usual.text
    real = Page(write(FakeStudy(tmp_path), synthetic=False, config=_real())).text
    assert "synthetic" not in real
    assert "dataset.demo" not in real


def _real() -> dict[str, Any]:
    return CONFIG | {
        "dataset": CONFIG["dataset"] | {"adapter": "folder", "title": "Kitchen recordings", "licence": "CC BY 4.0"}
    }


def test_licence_times_digests_and_command_are_told(study: FakeStudy) -> None:
    page = Page(write(study, config=_real()))
    for words in ("CC BY 4.0", "1 min 01 s", "812 MB", file_digest(study.tables["scores"]), "tensorflow", "make run"):
        assert words in page.text


def test_without_labels_a_sentence_replaces_the_probes(tmp_path: Path) -> None:
    page = Page(write(FakeStudy(tmp_path, labelled=False)))
    assert "The data have no labels, so there are no probes" in page.text
    assert "Scores of the converged probe" not in page.text
    # Triplet loss, dynamics, mechanism, those of the data.
    assert sum(tag == "img" for tag, _ in page.tags) == 5 + len(SPACES)
    assert "Effective rank" in page.text
    assert "Sessions in the spaces" in page.text
    assert "Classes in the spaces" not in page.text


@pytest.mark.finding("A5", "B5", "B12")
def test_classes_and_nuisances_have_tables_of_their_own_and_unknown_nodes_none(study: FakeStudy) -> None:
    shape, (classes, sessions) = (
        report_tables.geometry_summary(study.sweep, study.frame("geometry")),
        report_tables.group_summaries(study.sweep, study.frame("geometry")),
    )
    assert [row[0] for row in shape.rows] == ["Effective rank", "new measure", "Intrinsic dimension (TwoNN)"]
    assert set(shape.rows[0][2:]) == {"12.500 (2.500)"}  # in brackets not centred
    assert "Missing: Intrinsic dimension (TwoNN), because there are 9 sessions." in shape.note
    assert (classes.caption[:7], sessions.caption[:8]) == ("Classes", "Sessions")
    found = {row[0]: set(row[2:]) for row in classes.rows}
    assert found["Silhouette"] == found["AMI of k-means"] == {"0.250"}
    assert found["Retrieval: MAP@R"] == {"–"}
    assert found["Retrieval: tiles"] == {"60"}
    assert {row[0]: set(row[2:]) for row in sessions.rows}["Silhouette"] == {"0.125"}


THREE = {"seeds": (1, 2, 3)}
MATTERED = "different from what it would be if neither λ nor the seed mattered (permutation test over runs, p = 0.0"


def moves_of(study: FakeStudy) -> pd.DataFrame:
    return pd.read_csv(study.tables["moves"], sep="\t")


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        (THREE, "λ changes the space more than the seed does, on average: 0.300 compared with 0.100 (not a test)."),
        (THREE, MATTERED),
        ({}, "their classes and nothing else would be 0.050 on average, below 0.125 in 95 of 100 cases"),
        (THREE, "effect beyond that of the seeds, though it may be small (permutation"),
        ({}, "effect beyond that of the seeds (permutation test over runs, p = 0.167, least possible 0.167)"),
        ({"seeds": (1,)}, "With one seed there is no noise floor"),
        ({"points": ({"l2": 0.1},)}, "Nothing varies between runs of one seed"),
    ],
)
def test_a_sentence_says_whether_l2_moves_the_space(changes: dict[str, Any], finding: str, tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, **changes)
    text = " ".join(moved(study.sweep, moves_of(study)))
    assert finding in text
    numbers = "0.100 if only the seed differs, 0.300 if only λ differs, 0.400 if both differ" in text
    assert numbers == (changes in ({}, THREE))
    assert "0.900 from the untrained networks and 0.900 from the mean log-mel" in text


def test_what_the_tests_leave_open_is_left_open(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    moves = moves_of(study).assign(p=0.5, p_excess=0.3, axis=0.05, missing=2)
    moves = moves.assign(excess=-0.05, note="a space is one point")
    first, second, third, *rest = moved(study.sweep, moves)
    assert first.startswith(
        "In these runs λ changes the space less than the seed does, on average: 0.050 compared with 0.1"
    )
    assert second.startswith("This is not significantly different from what it would be if neither λ nor the seed matt")
    assert third.startswith(
        "No significant effect of λ beyond that of the seeds is found (permutation test over runs, p = 0.5"
    )
    assert "2 pairs of spaces cannot be compared: a space is one point." in rest


@pytest.mark.finding("A3")
@pytest.mark.parametrize(("excess", "side"), [(0.2, "more"), (-0.2, "less")])
def test_a_small_p_of_the_excess_is_no_evidence_that_l2_matters_more(excess: float, side: str, tmp_path: Path) -> None:
    """Its null is that neither matters; where both matter equally it is below 0.05 in up to half of studies."""
    study = FakeStudy(tmp_path, seeds=(1, 2, 3))
    moves = moves_of(study).assign(p_excess=0.0123, excess=excess, note="")
    sentences = moved(study.sweep, moves)
    compared = [words for words in sentences if re.search(r"\b(more|less)\b.* than the seed", words)]
    tested = [words for words in sentences if "0.012" in words]
    assert len(compared) == len(tested) == 1
    assert side in compared[0]
    assert "p = " not in compared[0]
    assert "if neither λ nor the seed mattered" in tested[0]
    assert "which of the two matters more is not tested" in tested[0]


def test_where_no_two_runs_can_be_compared_the_reason_stands(study: FakeStudy) -> None:
    none = dict.fromkeys(("seed", "axis", "both", "excess", "p_excess", "gap", "p"), np.nan)
    moves = moves_of(study).assign(**none, missing=9, note="0 of 7 classes …")
    first, *rest = moved(study.sweep, moves)
    assert first == "The distance of the spaces of two runs is unknown: 0 of 7 classes …."
    some = moves_of(study).assign(null_mean=np.nan, note="2 of 7 classes …")
    rest = moved(study.sweep, some)
    assert any(words.endswith("it was not fitted: 2 of 7 classes ….") for words in rest)
    assert "CKA: 2 of 7 classes …." in rest


@pytest.mark.slow
@pytest.mark.parametrize(
    "points",
    [({"l2": 0.01},), ({"tile_s": 1.0}, {"tile_s": 5.0}), ({"l2": 0.1, "margin": 1.0}, {"l2": 1.0, "margin": 2.0})],
)
def test_other_axes_are_reported_too(points: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    text = Page(write(FakeStudy(tmp_path, points=points), synthetic=False)).text
    asked = {1: "What embedding space does", 2: "How does"}[len(points)]
    assert asked in text
    assert "nan" not in text.split()
    assert ("Not λ alone differs between the runs, but also margin" in text) == ("margin" in points[0])


def test_the_rule_knows_every_part_of_the_page() -> None:
    assert sorted(PAGE_PARTS) == sorted(path.name for path in (CAPTIONS / "page").iterdir())


def test_a_figure_that_no_template_places_is_shown_too(tmp_path: Path) -> None:
    figures = {"mine": text_file(tmp_path / "mine.svg", SVG.format("mine"))}
    words = {"mine": {"title": "Mine", "caption": "**What is mine.** How to read it.", "wide": False}}
    page = Page(write(FakeStudy(tmp_path), figures=figures, words=words))
    assert [attributes["alt"] for tag, attributes in page.tags if tag == "img"] == ["Mine."]


def test_a_large_drawing_is_shown_as_its_png(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("lambdascape.report.figures_section.LARGEST_SVG", 10)
    for name in FIGURES:
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG")
    assert write(FakeStudy(tmp_path)).count("data:image/png;base64,") == len(FIGURES)


@pytest.mark.parametrize("text", [".. raw:: html\n\n   <b>x</b>\n", ".. include:: /etc/passwd\n", "`open\n=\n"])
def test_a_caption_that_breaks_the_rules_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the caption of bad must be reStructuredText"):
        caption_html(text, "bad")


def answer_of(folder: Path, scores: dict[float, tuple[float, ...]], **changes: Any) -> Any:
    """The answer to a study with these scores for each λ, one per seed."""
    seeds = tuple(range(len(next(iter(scores.values())))))
    points = tuple({"l2": l2} for l2 in scores)
    study = FakeStudy(folder, points=points, seeds=seeds, score=lambda p, s: scores[p["l2"]][s], **changes)
    return answered(study, study.frame("scores"))


def answered(study: FakeStudy, scores: pd.DataFrame, **changes: pd.DataFrame) -> Any:
    judged = study.judged() | changes
    return answer(study.sweep, scores, judged["choice"], judged["comparisons"], 0.95)


@pytest.mark.parametrize(
    ("scores", "headline"),
    [
        ({1.0: (0.5, 0.52), 0.1: (0.7, 0.72)}, "λ = 0.1, chosen on validation sessions, scores above every other λ"),
        ({1.0: (0.5, 0.7), 0.1: (0.55, 0.72)}, "No λ stands out: λ = 0.1 is chosen on validation sessions"),
        ({1.0: (0.5, 0.52), 0.1: (0.7, 0.72), 0.01: (0.72, 0.71)}, "but does not differ significantly from λ = 0.1"),
        ({1.0: (0.5, 0.52), 0.1: (0.7, 0.72), 0.01: (0.6, 0.73)}, "but does not differ significantly from λ = 0.01"),
        ({1.0: (0.5,), 0.1: (0.9,)}, "λ = 0.1 is chosen on validation sessions, but with one seed that may be chance."),
        ({1.0: (0.5, 0.6)}, "The study trains one setting, so it compares none."),
    ],
)
def test_the_headline_claims_no_more_than_the_seeds_allow(
    scores: dict[float, tuple[float, ...]], headline: str, tmp_path: Path
) -> None:
    assert headline in answer_of(tmp_path, scores).headline


def test_the_answer_names_means_references_intervals_and_few_seeds(tmp_path: Path) -> None:
    said = " ".join(answer_of(tmp_path, {1.0: (0.22, 0.24), 0.1: (0.27, 0.29)}).sentences)
    assert "(mean of 2 seeds): 0.280 at λ = 0.1, 0.230 at λ = 1." in said
    assert "it scores 0.280 on held-out sessions (0.240 to 0.340)" in said
    assert "Their labels were unseen, but the networks were trained on their audio." in said
    assert (
        "λ = 0.1 less the second on validation, λ = 1: 0.050 (-0.020 to 0.100 for new runs on new sessions; p 0.004"
        in said
    )
    assert "λ = 0.1 less the untrained network (0.200), on the same sessions: 0.080 (0.030 to 0.150 for" in said
    assert "λ = 0.1 less the mean log-mel (0.300), on the same sessions: -0.020 (-0.070 to 0.050 for new runs" in said
    assert "choose λ = 0.1, with a probability of 1.00 of being the best" in said
    assert "With 2 seeds chance is not excluded" in said
    said = " ".join(answer_of(tmp_path / "one", {1.0: (0.2,), 0.1: (0.3,)}).sentences)
    assert "0.100 (0.070 to 0.130 for these runs on new sessions; no p with one seed)" in said


@pytest.mark.finding("B4")
def test_references_are_compared_on_the_same_sessions_and_not_by_two_intervals(tmp_path: Path) -> None:
    # The intervals of the means overlap: 0.24 to 0.34 and 0.16 to 0.26.
    study = FakeStudy(tmp_path, points=({"l2": 1.0}, {"l2": 0.1}), score=lambda p, _: 0.28 if p["l2"] == 0.1 else 0.1)
    pairs = study.judged()["comparisons"]
    apart = pairs.assign(wide_low=pairs["difference"] - 0.01, wide_high=pairs["difference"] + 0.015, p=0.002)
    said = " ".join(answered(study, study.frame("scores"), comparisons=apart).sentences)
    assert (
        "λ = 0.1 less the untrained network (0.200), on the same sessions: 0.080 (0.070 to 0.095 for new runs on new "
        "sessions; p 0.002, after Holm 0.004)." in said
    )
    assert "λ = 0.1 less the mean log-mel (0.300), on the same sessions: -0.020 (-0.030 to -0.005 for new runs" in said
    assert "overlap" not in said
    table = report_comparisons.reference_table(study.sweep, apart, 0.05)
    assert [row[0] for row in table.rows] == [
        f"λ = {l2} less {name}" for l2 in ("1", "0.1") for name in ("untrained network", "mean log-mel")
    ]


def test_what_validation_chooses_is_called_the_best_whatever_the_held_out_sessions_say(tmp_path: Path) -> None:
    study = FakeStudy(tmp_path, points=({"l2": 1.0}, {"l2": 0.1}), score=lambda p, _: 0.4 if p["l2"] == 1.0 else 0.5)
    choice = study.judged()["choice"]
    other = choice.assign(chosen=1 - choice["chosen"], validation_mean=choice["validation_mean"].to_numpy()[::-1])
    found = answered(study, study.frame("scores"), choice=other)
    assert found.headline == "λ = 1 is chosen on validation sessions, but scores below λ = 0.1 on held-out ones."
    said = " ".join(found.sentences)
    assert "choose λ = 1, with a probability of 0.00 of being the best; it scores 0.400 on held-out sessions" in said
    assert "λ = 0.1 has a higher held-out mean, 0.500, which is biased upwards" in said
    assert "λ = 1 less the second on validation, λ = 0.1: -0.100 (-0.150 to -0.030 for new runs on new sessions" in said


def test_without_intervals_none_are_compared(study: FakeStudy) -> None:
    missing = study.judged()["comparisons"].assign(low=np.nan, high=np.nan, p=np.nan, p_holm=np.nan)
    scores = study.frame("scores").assign(low=np.nan, high=np.nan)
    said = " ".join(answered(study, scores, comparisons=missing).sentences)
    assert "without an interval, which needs two held-out sessions" in said
    assert "overlap" not in said


def test_comparisons_are_summed_up_in_a_sentence_that_names_those_that_hold(study: FakeStudy) -> None:
    sweep, pairs = study.sweep, report_comparisons.main_pairs(study.judged()["comparisons"])

    def said(table: pd.DataFrame) -> str:
        return report_comparisons.comparison_sentence(sweep, table, 0.05)

    assert said(pairs.assign(p_holm=[0.3, 0.04, 1.0])).endswith(
        "for 3 comparisons, 1 pair differs: λ = 0.01 scores 0.200 above λ = 1 (p = 0.040)."
    )
    assert said(pairs.assign(p_holm=0.0001)).count("(p < 0.001)") == 3
    assert said(pairs.assign(p_holm=[0.3, 0.2, 1.0])) == (
        "No pair of λ differs after Holm’s correction for 3 comparisons (smallest p 0.200)."
    )
    assert "takes two seeds" in said(pairs.assign(p_holm=np.nan))
    assert said(pairs.head(0)) == ""
    table = report_comparisons.comparison_table(sweep, pairs.assign(p_holm=[0.3, 0.04, 1.0]), 0.05)
    assert (len(table.rows), table.strong, table.rows[1][0]) == (3, [1], "λ = 1 less λ = 0.01")


def test_the_report_shows_every_arm_the_choice_and_what_needs_no_label(study: FakeStudy, usual: Page) -> None:
    assert "After Holm’s correction for 3 comparisons, 3 pairs differ" in usual.text
    words = "Without labels, effective rank would have picked λ = 0.01, as the labels do; held-out loss"
    assert words in usual.text
    table = report_comparisons.choice_table(study.sweep, study.judged()["choice"])
    assert [row[0] for row in table.rows] == ["λ = 1", "λ = 0.1", "λ = 0.01"]
    assert table.strong == [2]


def test_criteria_that_disagree_with_the_labels_have_a_signed_difference(study: FakeStudy) -> None:
    sweep, selection = study.sweep, study.judged()["selection"]
    best = selection["labels_pick"].iloc[0]
    more = selection.assign(picks=[selection["picks"].iloc[0], best, best], agrees=[0, 1, 1])
    said = report_comparisons.selection_sentence(sweep, more.assign(difference=0.014))
    assert said == (
        "Without labels, effective rank and uniformity would have picked λ = 0.01, as the labels do; held-out "
        "loss picks λ = 1 (+0.014 held-out macro-F1 compared with the labels’ pick)."
    )
    assert "(-0.200 held-out macro-F1" in report_comparisons.selection_sentence(sweep, more)
    all_of_them = report_comparisons.selection_sentence(sweep, more.assign(picks=best, agrees=1))
    assert "held-out loss, effective rank and uniformity would" in all_of_them


def test_the_tables_hold_the_means_of_the_scores(study: FakeStudy) -> None:
    summary = report_tables.score_summary(study.sweep, study.frame("scores"), "λ = 0.01")
    by_name = {row[0]: row[1:] for row in summary.rows}
    here = [study.value(space) for space in study.spaces if space.get("l2") == 0.01]
    assert by_name["λ = 0.01"][:3] == [
        f"{np.mean(here):.3f}",
        f"{min(here):.3f} to {max(here):.3f}",
        f"{min(here) - 0.04:.3f} to {max(here) + 0.06:.3f}",
    ]
    assert by_name["mean log-mel"][0] == "0.300"
    assert list(by_name)[summary.strong[0]] == "λ = 0.01"
    assert "Macro-F1 per segment" not in summary.header
    assert "C is at an end" not in summary.note
    classes = report_tables.class_scores(study.sweep, study.frame("scores"), study._clips(), "fold1")
    assert [row[:3] for row in classes.rows] == [[name, "4", "4"] for name in sorted(study.classes)]


@pytest.mark.finding("C2")
def test_segments_have_a_column_where_they_are_not_the_clips(study: FakeStudy) -> None:
    sweep, scores = study.sweep, study.frame("scores")
    clip = scores[(scores["probe"] == "converged") & (scores["unit"] == "clip")].assign(unit="segment")
    alike = report_tables.score_summary(sweep, pd.concat([scores, clip]), "")
    assert "Macro-F1 per segment" not in alike.header
    lower = pd.concat([scores, clip.assign(value=clip["value"] - 0.25)])
    summary = report_tables.score_summary(sweep, lower, "")
    place = summary.header.index("Macro-F1 per segment")
    reference = next(row for row in summary.rows if row[0] == "mean log-mel")
    assert (reference[1], reference[place]) == ("0.300", "0.050")
    assert "the baseline's 84.5 %, compare with this column alone" in summary.note


@pytest.mark.finding("A2")
def test_spaces_whose_c_ends_its_grid_are_counted(study: FakeStudy) -> None:
    sweep, scores = study.sweep, study.frame("scores")
    runs = list(scores["run"].unique())
    shares = dict.fromkeys(runs, 0.0) | {runs[0]: 1.0, runs[-1]: 0.5}  # of the last, half of the seeds' fits
    chosen = [
        (run, "converged", "validation", "clip", "c_at_end", "", share, np.nan, np.nan) for run, share in shares.items()
    ]
    more = pd.concat([scores, pd.DataFrame(chosen, columns=scores.columns)])
    assert report_tables.ends_of_grid(more) == (2, len(runs))
    assert f"C is at an end of its grid in 2 of {len(runs)} spaces" in report_tables.score_summary(sweep, more, "").note


def with_flags(study: FakeStudy, *rows: tuple[str, int, str, str]) -> pd.DataFrame:
    """The study's training.tsv with these flags (run, epoch, split, flag) raised, all others down."""
    training = study.frame("training")
    keys = training[["run", "epoch", "split"]]
    down = [keys.assign(measure=flag, value=0.0) for flag in FLAGS]
    up = pd.DataFrame(rows, columns=["run", "epoch", "split", "measure"]).assign(value=1.0)
    flags = pd.concat([up, *down]).drop_duplicates(["run", "epoch", "split", "measure"])
    table = pd.concat([training, flags], ignore_index=True)
    write_table(table, study.tables["training"])
    study.collect_runs(table)
    return table


def table_of_runs(study: FakeStudy) -> Any:
    mechanism = read_table(study.tables["mechanism"], text=MECHANISM_TEXT)
    return run_table(study.sweep, read_every_run(study.tables["every_run"]), mechanism)


def test_a_run_that_ended_ill_is_marked_and_told_above_the_scores(study: FakeStudy) -> None:
    first, second, third = "l2~1.0_seed~1", "l2~0.1_seed~2", "l2~0.01_seed~1"
    table = with_flags(
        study,
        (first, EPOCHS, "test", "collapsed"),
        (second, EPOCHS, "train", "at_rest"),
        (second, EPOCHS, "test", "at_rest"),
        (third, EPOCHS - 1, "test", "collapsed"),  # and got better
    )
    assert flagged(table) == {"collapsed": [first], "at_rest": [second]}
    page = Page(write(study)).text
    collapse = f"After the last epoch of 1 of 6 runs the space has collapsed: all tiles lie in one place ({first})."
    rest = f"After the last epoch of 1 of 6 runs no triplet is active ({second})."
    assert collapse in page
    assert rest in page
    assert max(page.index(collapse), page.index(rest)) < page.index("The numbers behind the answer")
    runs = table_of_runs(study)
    marked = [row.cells[0].text for row in runs.rows if MARK in row.cells[0].text]
    assert marked == [f"{first} {MARK}", f"{second} {MARK}"]
    assert runs.ill


@pytest.mark.finding("A1")
@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_has_a_sentence_and_what_a_second_space_shows_is_not_said_of_the_run(flag: str) -> None:
    columns = ["run", "epoch", "split", "measure", "value"]
    rows = [("one", 2, "test", flag, 1.0), ("two", 2, "test", flag, 0.0), ("two", 2, "test_recomputed", flag, 1.0)]
    (words,) = warnings_of(pd.DataFrame(rows, columns=columns))
    assert words.startswith(f"After the last epoch of 1 of 2 runs {FLAGS[flag]} (one). ")


def test_every_run_has_a_row_to_sort_by_numbers_its_colour_and_a_card(study: FakeStudy, usual: Page) -> None:
    runs = table_of_runs(study)
    assert [row.cells[0].text for row in runs.rows] == [space["run"] for space in study.spaces]
    names = [column.name for column in runs.columns]
    assert names[:3] == ["Run", "λ", "Seed"]
    at = names.index("Macro-F1, held-out")
    assert runs.columns[at].number
    value = study.value(study.spaces[0])
    assert float(runs.rows[0].cells[at].value) == pytest.approx(value)
    assert runs.rows[0].cells[at].text == f"{value:.3f} ({value - 0.04:.3f} to {value + 0.06:.3f})"
    assert runs.rows[0].colour == runs.rows[1].colour != runs.rows[2].colour
    assert (runs.rows[-1].colour, runs.rows[-1].cells[1].text) == ("", "–")
    assert dict(runs.rows[0].card)["Epochs"] == str(EPOCHS)
    assert dict(runs.rows[0].card)["How λ acted"]
    rows = [attributes for tag, attributes in usual.tags if tag == "tr" and attributes.get("class") == "behind"]
    assert len(rows) == sum(space["kind"] == "trained" for space in study.spaces)


def test_runs_that_ended_well_are_not_marked(study: FakeStudy, usual: Page) -> None:
    with_flags(study)
    assert MARK not in write(study)
    assert MARK not in usual.source  # a history of earlier versions knows no flags


def test_clips_are_counted_in_hours_and_moments(tmp_path: Path) -> None:
    folds, classes = report_tables.clip_tables(FakeStudy(tmp_path)._clips(), "fold2")
    assert folds.rows[1] == ["fold2", "held out", "24", "12", "12", "0.07"]
    assert folds.rows[-1][2:] == ["48", "24", "12", "0.13"]
    assert len(classes.rows) == 3


def test_long_lists_are_cut_and_say_where_the_rest_is() -> None:
    table = pd.DataFrame({"clip": [f"c{i}" for i in range(report_tables.MOST_ROWS + 1)]})
    cut = report_tables.listing("Clips", table, ["Clip"], "all.tsv")
    assert len(cut.rows) == report_tables.MOST_ROWS
    assert cut.note == "The first 50 of 51; all are in all.tsv."
    assert report_tables.listing("Clips", table.head(0), ["Clip"], "all.tsv") is None


def test_table_1_leaves_no_setting_out_and_marks_what_differs(study: FakeStudy) -> None:
    config = CONFIG | {"network": CONFIG["network"] | {"new_setting": 3}}
    groups = table_1(Config.of(config), study.frame_of_runs(), study.sweep)
    found = {row["name"]: row for rows in groups.values() for row in rows}
    assert found["L2 regularisation factor λ"] == {
        "name": "L2 regularisation factor λ",
        "value": "1, 0.1, 0.01",
        "published": "1, 0.1, 0.01",
        "compared": "same",
        "why": "",
    }
    assert found["Sample rate"]["value"] == "16000 Hz"
    assert found["Width of the network"]["compared"] == "different"
    assert found["Optimizer"]["compared"] == "same"
    assert found["Number of generators"]["compared"] == ""
    assert found["network.new_setting"]["value"] == "3"
    shown = {name for name in found if "." not in name}
    for block in ("features", "split", "triplets", "network", "training", "geometry", "statistics"):
        for key in set(CONFIG[block]) - {"n_shards", "tensorboard"}:
            assert in_words(key)[0] in shown


def test_table_1_tells_the_epochs_of_training_from_those_of_the_probe(tmp_path: Path) -> None:
    points = ({"l2": 1.0, "epochs": 50, "probe_epochs": 12}, {"l2": 0.01, "epochs": 30, "probe_epochs": 20})
    study = FakeStudy(tmp_path, points=points)
    rows = pd.read_csv(study.tables["runs"], sep="\t")
    found = {row["name"]: row for group in table_1(Config.of(CONFIG), rows, study.sweep).values() for row in group}
    assert found["Epochs"]["value"] == "50, 30"
    assert found["Epochs of the probe"]["value"] == "12, 20"
    assert found["Batch size of the probe"]["value"] == "64 tiles"
    assert study.sweep.others_in_words == "epochs and epochs of the probe"


def test_only_a_study_compared_with_another_has_a_section_on_it(tmp_path: Path, usual: Page) -> None:
    study = FakeStudy(tmp_path / "own", points=({"l2": 1.0}, {"l2": 0.1}, {"l2": 0.01}))
    assert "Compared with another study" not in usual.source
    other = FakeStudy(tmp_path / "other", seeds=(1,), score=lambda point, seed: 0.5 + 0.1 * np.log10(point["l2"]))
    path = tmp_path / "protocols.tsv"
    compare_protocols(["as-published", "strict"], other.tables, study.tables, 0.95, path)
    study.tables["protocols"] = [path]
    page = Page(write(study, config=CONFIG | {"protocol": "strict"}))
    assert "Compared with another study" in page.text
    words = "From as-published to strict, by macro-F1 per clip, converged probe: "
    assert f"{words}3 of 3 pairs of λ change their order." in page.text
    assert "as-published rests on one seed: a changed order may be chance." in page.text
    assert "Protocol strict: one schedule and one budget for all runs, several seeds." in page.text


def test_digests_are_taken_or_read_where_they_were_noted(tmp_path: Path) -> None:
    (tmp_path / "small.tsv").write_text("a\n", encoding="utf-8")
    (tmp_path / "large.h5.sha256").write_text(f"{'0' * 64}  large.h5\n", encoding="utf-8")
    rows = digests([tmp_path / "small.tsv", tmp_path / "large.h5.sha256"]).rows
    assert rows == [
        [str(tmp_path / "small.tsv"), file_digest(tmp_path / "small.tsv")],
        [str(tmp_path / "large.h5"), "0" * 64],
    ]
    assert processor()


def test_probes_stand_side_by_side_and_what_each_puts_first_is_said(study: FakeStudy) -> None:
    sweep, scores = study.sweep, study.frame("scores")
    table = probe_summary(sweep, scores)
    assert table.header == ["Space", "Converged", "Nearest neighbours", "1 session", "20 sessions", "By epoch"]
    value = np.mean([study.value(s) for s in study.spaces if s.get("l2") == 0.01])
    row = next(row for row in table.rows if row[0] == "λ = 0.01")
    assert row[1:5] == [f"{value / divisor:.3f}" for divisor in (1, 2, 4, 3)]
    assert "about the mean of the training tiles; uncentred: about the origin" in table.note
    assert "Highest by Converged, Nearest neighbours, 1 session, 20 sessions: λ = 0.01." in table.note
    calibration = calibration_summary(sweep, scores)
    assert [row[3:5] for row in calibration.rows if row[0] == "λ = 0.01"] == [[f"{value / 2:.3f}"] * 2]
    assert folds_summary(sweep, scores, "fold1") is None


def test_scores_of_folds_that_training_has_heard_are_called_so(study: FakeStudy) -> None:
    rows = [
        (space["run"], "folds", split, "segment", "macro_f1", "", value, np.nan, np.nan)
        for space in study.spaces
        for split, value in (("fold1", 0.5), ("fold2", 0.75), ("mean", 0.625))
    ]
    table = folds_summary(study.sweep, pd.DataFrame(rows, columns=study.frame("scores").columns), "fold1")
    assert table.header == ["Space", "fold1, held out", "fold2, trained on", "Mean", "Mean less held out"]
    assert table.rows[0][1:] == ["0.500", "0.750", "0.625", "0.125"]
    assert "all folds but fold1" in table.note
