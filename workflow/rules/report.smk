# One page that opens offline: the answer, the figures, the verdicts, and where all of it comes from.


rule report:
    input:
        page=study.page,
    localrule: True


rule collect_runs:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        scores="results/{study}/tables/scores.tsv",
        geometry="results/{study}/tables/geometry.tsv",
        mechanism="results/{study}/tables/mechanism.tsv",
        histories=expand("results/{{study}}/models/{run}/history.tsv", run=study.runs),
    output:
        runs=report(
            "results/{study}/tables/every_run.tsv",
            caption="../report/tables/every_run.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "every run in one row"},
        ),
    log:
        "results/logs/{study}/tables/every_run.log",
    benchmark:
        "results/benchmarks/{study}/tables/every_run.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        runs=list(study.runs),
        receipts="results/receipts/{study}",
        code=fingerprint("collect_runs"),
    script:
        "../scripts/collect_runs.py"


rule write_report:
    input:
        template=ancient(f"{report_folder}/index.html.j2"),
        parts=ancient(expand("{folder}/page/{part}", folder=report_folder, part=study.page_parts)),
        captions=ancient(expand("{folder}/{figure}.rst", folder=report_folder, figure=study.figures)),
        figures=expand("results/{{study}}/figures/{figure}.svg", figure=study.figures),
        pictures=expand("results/{{study}}/figures/{figure}.png", figure=study.figures),
        clips=study.clips,
        rejected=study.rejected,
        warnings=study.warnings,
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        scores="results/{study}/tables/scores.tsv",
        geometry="results/{study}/tables/geometry.tsv",
        moves="results/{study}/similarity/moves.tsv",
        unused_clips="results/{study}/tables/unused_clips.tsv",
        distant="results/{study}/tables/distant.tsv",
        comparisons="results/{study}/tables/comparisons.tsv",
        choice="results/{study}/tables/choice.tsv",
        selection="results/{study}/tables/selection.tsv",
        mechanism="results/{study}/tables/mechanism.tsv",
        every_run="results/{study}/tables/every_run.tsv",
        claims="results/{study}/tables/claims.tsv",
        protocols=study.protocols,
        viewer="results/{study}/viewer/viewer.html",
        exported=study.exported,
        sources=[study.clips, f"{study.features}.sha256", "results/{study}/tables/scores.tsv", *ancient(claims)],
    output:
        page="results/{study}/report/index.html",
    log:
        "results/logs/{study}/report.log",
    benchmark:
        "results/benchmarks/{study}/report.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        figures=study.figures,
        about=study.about,
        words=contents(
            f"{report_folder}/index.html.j2",
            f"{report_folder}/page",
            *expand("{folder}/{figure}.rst", folder=report_folder, figure=study.figures),
        ),
        code=fingerprint("write_report"),
    script:
        "../scripts/write_report.py"


onsuccess:
    print(study.closing_words())
