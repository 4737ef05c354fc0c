"""The report of a study: one HTML file that opens offline."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lambdascape.config.settings import Config
from lambdascape.core.disk import shown_bytes
from lambdascape.core.errors import InputError
from lambdascape.core.files import write_text
from lambdascape.core.tsv import read_table, read_text_table
from lambdascape.mechanism.judging import TEXT as MECHANISM_TEXT
from lambdascape.report import (
    comparisons_section,
    formatting,
    probes_section,
    provenance_section,
    rankings_section,
    similarity_section,
)
from lambdascape.report.answer import answer
from lambdascape.report.claims_section import TEXT, ledger
from lambdascape.report.exports_section import list_exports
from lambdascape.report.figures_section import Picture, lighter, pictures
from lambdascape.report.leakage import Facts, checklist
from lambdascape.report.mechanism_section import ALL_RULES, CARD_NOTE, mechanism_sentence
from lambdascape.report.next_steps import RULES, next_steps
from lambdascape.report.runs_section import run_table
from lambdascape.report.settings_section import differences, table_1
from lambdascape.report.triplets_section import distant_tables
from lambdascape.study.hyperparameters import PROTOCOLS
from lambdascape.study.run_table import TEXT as RUNS_TEXT
from lambdascape.study.run_table import Sweep, read_sweep
from lambdascape.tables.distant_tiles import TEXT as DISTANT_TEXT
from lambdascape.tables.every_run import read_every_run
from lambdascape.tables.flagged import MARK, warnings_of
from lambdascape.tables.rankings import TEXT as PROTOCOL_TEXT
from lambdascape.viewer.viewer_page import script_sources

LARGEST_PAGE = 15_000_000  # bytes; a larger one opens slowly, and mail refuses it
MOST_PARTS = 5  # of a page that is too large, named
TEXT_COLUMNS = {
    "runs": RUNS_TEXT,
    "training": ("run", "split", "measure"),
    "scores": ("run", "probe", "split", "unit", "measure", "class"),
    "geometry": ("run", "split", "measure", "reason"),
    "comparisons": ("unit", "measure", "family", "first", "second"),
    "choice": ("arm",),
    "selection": ("criterion", "better", "picks", "labels_pick"),
    "moves": ("measure", "note"),
    "mechanism": MECHANISM_TEXT,
    "claims": TEXT,
    "distant": DISTANT_TEXT,
}


def write_report(
    output: str | Path,
    *,
    template: str | Path,
    study: str,
    config: Config,
    synthetic: bool,
    tables: Mapping[str, str | Path],
    figures: Mapping[str, str | Path],
    words: Mapping[str, Mapping[str, Any]],
    viewer: str | Path | None,
    exported: Sequence[str | Path],
    sources: Sequence[str | Path],
    benchmarks: Mapping[str, str | Path],
    receipts: str | Path,
    checkout: str | Path,
    command: str,
    export_command: str,
) -> None:
    """Write the report of a study.

    Args:
        output: the HTML file.
        template: Jinja2 template of the page; its parts are in the folder `page` beside it.
        study: name of the study.
        config: the whole config, defaults filled in.
        synthetic: whether the audio was made by the workflow; the report then says so first.
        tables: paths of runs, training, scores, geometry, moves, comparisons, choice, selection, mechanism, every_run,
            claims, distant, clips, rejected, warnings, unused_clips; protocols, a list of the one table or of none;
            more may be.
        figures: name to path of the SVG, its PNG beside it; those that no template places come behind the spaces.
        words: of every figure, see `figures_section.pictures`.
        viewer: the maps and their sound, see `viewer.viewer_page.write_viewer`; None leaves them out.
        exported: files for other tools, which the report links.
        sources: files whose SHA-256 is shown; for `<file>.sha256`, the digest noted there.
        benchmarks: stage to the folder of its benchmark files, in the order of the stages.
        receipts: folder of the receipts of the study's jobs, for the leakage checklist.
        checkout: folder of the code, for its git state.
        command: what reproduces the study.
        export_command: what makes all of its exports.

    Raises:
        InputError: a table has not the columns it needs, or a caption or receipt cannot be read;
            or the page is larger than `LARGEST_PAGE` even with the PNG in place of every larger drawing.
    """
    read = {name: read_table(tables[name], text=columns) for name, columns in TEXT_COLUMNS.items()}
    listed = {name: read_text_table(tables[name]) for name in ("clips", "rejected", "warnings", "unused_clips")}
    sweep = read_sweep(tables["runs"])
    found = answer(sweep, read["scores"], read["choice"], read["comparisons"], config.statistics.confidence)
    shown = pictures(figures, words, output, _places(tables, sources), found.numbers)
    folder = Path(template).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = dict(
        **_frame(folder, viewer),
        **_method(config, table_1(config, read["runs"], sweep), listed),
        exports=list_exports(exported, output),
        export_command=export_command,
        study=study,
        symbol=sweep.symbol,
        axis=sweep.axis,
        swept=bool(sweep.key),
        synthetic=synthetic,
        labelled=not read["scores"].empty,
        answer=found,
        flagged=warnings_of(read["training"]),
        mark=MARK,
        advice=next_steps(
            sweep, read, config.statistics.confidence, config, sessions=listed["clips"]["session"].nunique()
        ),
        advice_rules=RULES,
        further=[name for name in shown if name not in _placed(folder)],
        ledger=ledger(read["claims"]),
        leakage=checklist(
            Facts(
                listed["clips"],
                config,
                read["scores"],
                dict(zip(read["runs"]["run"], read["runs"]["kind"], strict=True)),
                Path(receipts),
            )
        ),
        **_protocols(tables.get("protocols", [])),
        sources=provenance_section.facts(config, checkout),
        digests=provenance_section.digests(sources),
        times=provenance_section.times(benchmarks),
        citations=provenance_section.citations(checkout),
        command=command,
        run_table=run_table(sweep, read_every_run(tables["every_run"]), read["mechanism"]),
        **distant_tables(read["distant"], config),
        **_comparisons(sweep, read, 1 - config.statistics.confidence),
        **_tables(sweep, read, listed, tables, config),
    )
    page = environment.get_template(Path(template).name)
    text = page.render(values, pictures=shown)
    if (excess := len(text.encode()) - LARGEST_PAGE) > 0:
        shown = lighter(shown, figures, excess)
        text = page.render(values, pictures=shown)
    _require_small(output, text, shown, values["viewer"])
    write_text(text, output)


def _placed(folder: Path) -> set[str]:
    """Names of the figures that have a place in the templates."""
    templates = [path.read_text(encoding="utf-8") for path in (folder / "page").glob("*.j2")]
    return set(re.findall(r'figure\("(\w+)"\)', "".join(templates)))


def _places(tables: Mapping[str, str | Path], sources: Sequence[str | Path]) -> dict[str, str | Path]:
    """Files beyond the study's folder that captions name: the manifest's, and those of which a digest was noted."""
    noted = (Path(source) for source in sources if Path(source).suffix == ".sha256")
    return {f"{name}.tsv": tables[name] for name in ("clips", "rejected")} | {
        source.stem: source.with_suffix("") for source in noted
    }


def _require_small(output: str | Path, page: str, shown: Mapping[str, Picture], viewer: str) -> None:
    if (size := len(page.encode())) <= LARGEST_PAGE:
        return
    parts = {f"figure {name}": len(picture.source) for name, picture in shown.items()} | {
        "the viewer (fewer viewer.points)": len(viewer.encode())
    }
    largest = sorted(parts, key=lambda name: parts[name], reverse=True)[:MOST_PARTS]
    named = ", ".join(f"{name} {shown_bytes(parts[name])}" for name in largest)
    raise InputError(
        f"{output}: must be at most {shown_bytes(LARGEST_PAGE)}; it has {shown_bytes(size)}, of which most is {named}"
    )


def _frame(folder: Path, viewer: str | Path | None) -> dict[str, Any]:
    """Look and behaviour of the page, and the viewer, by the name that the template uses."""
    parts = {
        name: (folder / "page" / name).read_text(encoding="utf-8") for name in ("style.css", "print.css", "page.js")
    }
    piece = Path(viewer).read_text(encoding="utf-8") if viewer else ""
    return {
        "style": Markup(parts["style.css"] + parts["print.css"]),
        "script": Markup(parts["page.js"]),
        "policy": _policy(f"<script>\n{parts['page.js']}\n</script>{piece}"),
        "viewer": Markup(piece),
    }


def _method(config: Config, hyperparameters: Mapping[str, Any], listed: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """What was run on which data, by the name that the template uses."""
    return {
        "hyperparameters": hyperparameters,
        "differences": differences(hyperparameters),
        "protocol": PROTOCOLS[config.protocol],
        "dataset": config.dataset,
        "test_fold": config.split.test_fold,
        "rejects": provenance_section.rejects(listed["clips"], listed["rejected"]),
        "confidence": config.statistics.confidence,
        "resamples": config.statistics.resamples,
    }


def _comparisons(sweep: Sweep, read: Mapping[str, pd.DataFrame], level: float) -> dict[str, Any]:
    """Tables and sentences on the arms against each other, by the name that the template uses."""
    comparisons, selection = read["comparisons"], read["selection"]
    return {
        "choice_table": comparisons_section.choice_table(sweep, read["choice"]),
        "comparison_sentence": comparisons_section.comparison_sentence(sweep, comparisons, level),
        "comparison_table": comparisons_section.comparison_table(sweep, comparisons, level),
        "reference_table": comparisons_section.reference_table(sweep, comparisons, level),
        "selection_sentence": comparisons_section.selection_sentence(sweep, selection),
        "selection_table": comparisons_section.selection_table(sweep, selection),
    }


def _protocols(paths: Any) -> dict[str, Any]:
    """Sentences and table of the comparison with another study, by the name that the template uses."""
    if not paths:
        return {"protocol_sentences": [], "protocol_table": None}
    table = read_table(paths[0], text=PROTOCOL_TEXT)
    return {
        "protocol_sentences": rankings_section.protocol_sentences(table),
        "protocol_table": rankings_section.protocol_table(table),
    }


def _tables(
    sweep: Sweep,
    read: Mapping[str, pd.DataFrame],
    listed: Mapping[str, pd.DataFrame],
    paths: Mapping[str, str | Path],
    config: Config,
) -> dict[str, Any]:
    """The tables of the page, by the name that the template uses."""
    scores, clips = read["scores"], listed["clips"]
    test_fold, plugins = config.split.test_fold, config.plugins
    chosen = sweep.arms.get(comparisons_section.chosen_arm(read["choice"]), "")
    return {
        "score_summary": formatting.score_summary(sweep, scores, chosen),
        "class_scores": formatting.class_scores(sweep, scores, clips, test_fold),
        "probe_summary": probes_section.probe_summary(sweep, scores, plugins),
        "calibration_summary": probes_section.calibration_summary(sweep, scores, plugins),
        "folds_summary": probes_section.folds_summary(sweep, scores, test_fold),
        "training_summary": formatting.training_summary(sweep, read["training"], plugins),
        "mechanism_sentence": mechanism_sentence(sweep, read["mechanism"]),
        "mechanism_rules": ALL_RULES,
        "card_note": CARD_NOTE,
        "geometry_summary": formatting.geometry_summary(sweep, read["geometry"]),
        "group_summaries": formatting.group_summaries(sweep, read["geometry"]),
        "moved": similarity_section.moved(sweep, read["moves"]),
        "moves_summary": similarity_section.moves_summary(sweep, read["moves"], plugins),
        "clip_facts": formatting.clip_facts(clips),
        "clip_tables": formatting.clip_tables(clips, test_fold),
        "rejected": formatting.listing(
            "Rejected clips",
            listed["rejected"],
            ["Path", "Rule", "Found", "Expected"],
            str(paths["rejected"]),
        ),
        "warnings": formatting.listing(
            "Clips that are odd, and used all the same",
            listed["warnings"],
            ["Path", "Warning", "Found", "Expected"],
            str(paths["warnings"]),
        ),
        "unused": formatting.listing(
            "Clips of which some or all is unused",
            listed["unused_clips"],
            ["Clip", "Session", "Reason"],
            str(paths["unused_clips"]),
        ),
    }


def _policy(scripts: str) -> str:
    """The content security policy: the page may run only these scripts, named by their digests, and load nothing."""
    own = " ".join(script_sources(scripts))
    return f"default-src 'none'; img-src data:; media-src data: blob:; style-src 'unsafe-inline'; script-src {own}"
