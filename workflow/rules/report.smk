# One page that opens offline: the answer, the figures, the verdicts, and where all of it comes from.


rule report:
    input:
        page=study.page,
    localrule: True


rule write_report:
    input:
        template=f"{report_folder}/index.html.j2",
        captions=expand("{folder}/{figure}.rst", folder=report_folder, figure=study.figures),
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
        comparisons="results/{study}/tables/comparisons.tsv",
        choice="results/{study}/tables/choice.tsv",
        selection="results/{study}/tables/selection.tsv",
        mechanism="results/{study}/tables/mechanism.tsv",
        claims="results/{study}/tables/claims.tsv",
        protocols=study.protocols,
        viewer="results/{study}/viewer/viewer.html",
        sources=[study.clips, f"{study.features}.sha256", "results/{study}/tables/scores.tsv", *claims],
    output:
        page="results/{study}/report/index.html",
    log:
        "results/logs/{study}/report.log",
    benchmark:
        "results/benchmarks/{study}/report.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        figures=study.figures,
        about=study.about,
        code=fingerprint("write_report"),
    script:
        "../scripts/write_report.py"


onsuccess:
    print(study.closing_words())
