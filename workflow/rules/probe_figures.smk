# Figures of the probes; the target `figures` makes them with the others.


use rule draw_triplet_loss as draw_probe_f1 with:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/probe_epochs.tsv",
        published=ancient(study.curves_behind),
    output:
        svg=report(
            "results/{study}/figures/probe_f1.svg",
            caption="../report/probe_f1.rst",
            category="Probes",
            labels={"Study": "{study}", "Figure": "macro-F1 of the published probe by epoch"},
        ),
        png="results/{study}/figures/probe_f1.png",
    log:
        "results/logs/{study}/figures/probe_f1.log",
    benchmark:
        "results/benchmarks/{study}/figures/probe_f1.tsv"
    localrule: True
    params:
        measure="macro_f1",
        published=contents(*study.curves_behind),
        synthetic=study.is_synthetic,
        code=fingerprint("draw_curves"),


use rule draw_probe_f1 as draw_probe_cross_entropy with:
    output:
        svg=report(
            "results/{study}/figures/probe_cross_entropy.svg",
            caption="../report/probe_cross_entropy.rst",
            category="Probes",
            labels={"Study": "{study}", "Figure": "cross-entropy of the published probe by epoch"},
        ),
        png="results/{study}/figures/probe_cross_entropy.png",
    log:
        "results/logs/{study}/figures/probe_cross_entropy.log",
    benchmark:
        "results/benchmarks/{study}/figures/probe_cross_entropy.tsv"
    localrule: True
    params:
        measure="cross_entropy",
        published=contents(*study.curves_behind),
        synthetic=study.is_synthetic,
        code=fingerprint("draw_curves"),


rule draw_few_shot:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/few_shot.tsv",
    output:
        svg=report(
            "results/{study}/figures/few_shot.svg",
            caption="../report/few_shot.rst",
            category="Probes",
            labels={"Study": "{study}", "Figure": "score with few labelled sessions"},
        ),
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


rule draw_confusion:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/confusion.tsv",
    output:
        svg=report(
            "results/{study}/figures/confusion.svg",
            caption="../report/confusion.rst",
            category="Probes",
            labels={"Study": "{study}", "Figure": "confusion matrices"},
        ),
        png="results/{study}/figures/confusion.png",
    log:
        "results/logs/{study}/figures/confusion.log",
    benchmark:
        "results/benchmarks/{study}/figures/confusion.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_confusion"),
    script:
        "../scripts/draw_confusion.py"
