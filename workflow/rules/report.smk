# One page that opens offline: the answer, the figures, the verdicts, and where all of it comes from.


rule report:
    input:
        page=study.page,
    localrule: True


rule write_report:
    input:
        template=ancient(f"{report_folder}/index.html.j2"),
        after_parts=ancient(expand("{folder}/page/{part}", folder=report_folder, part=study.page_parts)),
        figures=expand("results/{{study}}/figures/{figure}.svg", figure=study.figures),
        after_pictures=expand("results/{{study}}/figures/{figure}.png", figure=study.figures),
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
        **study.about,
        names_of_figures=study.figures,
        words=study.figure_files.words,
        contents=contents(
            f"{report_folder}/index.html.j2",
            f"{report_folder}/page",
        ),
        task=task("report.page.write_report"),
    script:
        "../scripts/call.py"


onsuccess:
    print(study.closing_words())
