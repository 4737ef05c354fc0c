# Every figure is declared in its module, with what it is drawn from: a change of one redraws that one.


rule figures:
    input:
        figures=expand(
            "results/{study}/figures/{figure}.{kind}", study=study.name, figure=study.figures, kind=["svg", "png"]
        ),
    localrule: True


rule plot_figure:
    input:
        unpack(study.figure_files.tables_of),
        features=ancient(study.figure_files.features_of),
        embeddings=ancient(study.figure_files.embeddings_of),
        published=ancient(study.figure_files.curves_of),
        digests=study.figure_files.digests_of,
    output:
        svg=report(
            "results/{study}/figures/{figure}.svg",
            caption="../report/figure.rst",
            category=study.figure_files.category_of,
            labels=study.figure_files.labels_of,
        ),
        png="results/{study}/figures/{figure}.png",
    log:
        "results/logs/{study}/figures/{figure}.log",
    benchmark:
        "results/benchmarks/{study}/figures/{figure}.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        arguments=study.figure_files.arguments_of,
        caption=study.figure_files.caption_of,
        contents=study.figure_files.contents_of,
        task=study.figure_files.task_of,
    script:
        "../scripts/call.py"
