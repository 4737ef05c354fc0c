# Figures of the probes beside the converged one.


rule draw_few_shot:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/few_shot.tsv",
    output:
        svg=report("results/{study}/figures/few_shot.svg", caption="../report/few_shot.rst", category="Figures"),
        png="results/{study}/figures/few_shot.png",
    log:
        "results/logs/{study}/figures/few_shot.log",
    benchmark:
        "results/benchmarks/{study}/figures/few_shot.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_few_shot"),
    script:
        "../scripts/draw_few_shot.py"
