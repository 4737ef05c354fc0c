# This study's ranking of what it varies against another study's, where the config names one: of two protocols, as a rule.


rule compare_protocols:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        scores="results/{study}/tables/scores.tsv",
        others=list(study.other_tables.values()),
    output:
        protocols="results/{study}/tables/protocols.tsv",
    log:
        "results/logs/{study}/tables/protocols.log",
    benchmark:
        "results/benchmarks/{study}/tables/protocols.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        names=[config["compare_with"], study.name],
        others=list(study.other_tables),
        confidence=config["statistics"]["confidence"],
        code=fingerprint("compare_protocols"),
    script:
        "../scripts/compare_protocols.py"


rule draw_protocols:
    input:
        table="results/{study}/tables/protocols.tsv",
    output:
        svg=report(
            "results/{study}/figures/protocols.svg",
            caption="../report/protocols.rst",
            category="Answer",
            labels={"Study": "{study}", "Figure": "ranking here and in the study compared with"},
        ),
        png="results/{study}/figures/protocols.png",
    log:
        "results/logs/{study}/figures/protocols.log",
    benchmark:
        "results/benchmarks/{study}/figures/protocols.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_protocols"),
    script:
        "../scripts/draw_protocols.py"
