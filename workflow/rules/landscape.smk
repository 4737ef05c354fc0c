# The figures of geometry and similarity; the target `figures` makes them with the others.


rule draw_spectra:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/spectra.tsv",
    output:
        svg=report(
            "results/{study}/figures/spectra.svg",
            caption="../report/spectra.rst",
            category="Spaces",
            labels={"Study": "{study}", "Figure": "variance along each direction"},
        ),
        png="results/{study}/figures/spectra.png",
    log:
        "results/logs/{study}/figures/spectra.log",
    benchmark:
        "results/benchmarks/{study}/figures/spectra.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_spectra"),
    script:
        "../scripts/draw_spectra.py"


rule draw_similarity:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/similarity/pairs.tsv",
    output:
        svg=report(
            "results/{study}/figures/similarity.svg",
            caption="../report/similarity.rst",
            category="Spaces",
            labels={"Study": "{study}", "Figure": "how much alike every two spaces are"},
        ),
        png="results/{study}/figures/similarity.png",
    log:
        "results/logs/{study}/figures/similarity.log",
    benchmark:
        "results/benchmarks/{study}/figures/similarity.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_similarity"),
    script:
        "../scripts/draw_similarity.py"


rule draw_moves:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/similarity/pairs.tsv",
    output:
        svg=report(
            "results/{study}/figures/moves.svg",
            caption="../report/moves.rst",
            category="Spaces",
            labels={"Study": "{study}", "Figure": "what moves a space: what varies, or the seed"},
        ),
        png="results/{study}/figures/moves.png",
    log:
        "results/logs/{study}/figures/moves.log",
    benchmark:
        "results/benchmarks/{study}/figures/moves.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_moves"),
    script:
        "../scripts/draw_moves.py"


rule draw_run_map:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/similarity/map.tsv",
    output:
        svg=report(
            "results/{study}/figures/run_map.svg",
            caption="../report/run_map.rst",
            category="Spaces",
            labels={"Study": "{study}", "Figure": "map of all runs"},
        ),
        png="results/{study}/figures/run_map.png",
    log:
        "results/logs/{study}/figures/run_map.log",
    benchmark:
        "results/benchmarks/{study}/figures/run_map.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_run_map"),
    script:
        "../scripts/draw_run_map.py"
