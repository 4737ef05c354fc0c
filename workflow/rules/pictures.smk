# The figures that show no space, but the data, and the layers of the networks; `figures` makes them with the others.


rule draw_dataset:
    input:
        clips=study.clips,
        rejected=study.rejected,
    output:
        svg=report(
            "results/{study}/figures/dataset.svg",
            caption="../report/dataset.rst",
            category="Data",
            labels={"Study": "{study}", "Figure": "clips and sessions of each class"},
        ),
        png="results/{study}/figures/dataset.png",
    log:
        "results/logs/{study}/figures/dataset.log",
    benchmark:
        "results/benchmarks/{study}/figures/dataset.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_dataset"),
    script:
        "../scripts/draw_dataset.py"


rule draw_tiles:
    input:
        clips=study.clips,
        features=ancient(study.features),
        digest=f"{study.features}.sha256",
    output:
        svg=report(
            "results/{study}/figures/tiles.svg",
            caption="../report/tiles.rst",
            category="Data",
            labels={"Study": "{study}", "Figure": "log-mel frames of a few tiles"},
        ),
        png="results/{study}/figures/tiles.png",
    log:
        "results/logs/{study}/figures/tiles.log",
    benchmark:
        "results/benchmarks/{study}/figures/tiles.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        tile_s=config["triplets"]["tile_s"],
        synthetic=study.is_synthetic,
        code=fingerprint("draw_tiles"),
    script:
        "../scripts/draw_tiles.py"


rule draw_dynamics:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/layers.tsv",
    output:
        svg=report(
            "results/{study}/figures/dynamics.svg",
            caption="../report/dynamics.rst",
            category="Training",
            labels={"Study": "{study}", "Figure": "what a step does to each stage, by epoch"},
        ),
        png="results/{study}/figures/dynamics.png",
    log:
        "results/logs/{study}/figures/dynamics.log",
    benchmark:
        "results/benchmarks/{study}/figures/dynamics.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_dynamics"),
    script:
        "../scripts/draw_dynamics.py"


rule draw_mechanism:
    input:
        runs="results/{study}/runs.tsv",
        layers="results/{study}/tables/layers.tsv",
        mechanism="results/{study}/tables/mechanism.tsv",
    output:
        svg=report(
            "results/{study}/figures/mechanism.svg",
            caption="../report/mechanism.rst",
            category="Training",
            labels={"Study": "{study}", "Figure": "how λ acted in each run"},
        ),
        png="results/{study}/figures/mechanism.png",
    log:
        "results/logs/{study}/figures/mechanism.log",
    benchmark:
        "results/benchmarks/{study}/figures/mechanism.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_mechanism"),
    script:
        "../scripts/draw_mechanism.py"
