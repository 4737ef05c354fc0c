# Each figure is drawn from tables by a module of its own, so that a change of one redraws that one.


rule figures:
    input:
        figures=expand(
            "results/{study}/figures/{figure}.{kind}", study=study.name, figure=study.figures, kind=["svg", "png"]
        ),
    localrule: True


rule draw_response:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/scores.tsv",
        choice="results/{study}/tables/choice.tsv",
    output:
        svg=report(
            "results/{study}/figures/response.svg",
            caption="../report/response.rst",
            category="Answer",
            labels={"Study": "{study}", "Figure": "score against what varies"},
        ),
        png="results/{study}/figures/response.png",
    log:
        "results/logs/{study}/figures/response.log",
    benchmark:
        "results/benchmarks/{study}/figures/response.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_response"),
    script:
        "../scripts/draw_response.py"


rule draw_triplet_loss:
    input:
        runs="results/{study}/runs.tsv",
        table="results/{study}/tables/training.tsv",
        published=ancient(study.curves_behind),
    output:
        svg=report(
            "results/{study}/figures/triplet_loss.svg",
            caption="../report/triplet_loss.rst",
            category="Training",
            labels={"Study": "{study}", "Figure": "triplet loss by epoch"},
        ),
        png="results/{study}/figures/triplet_loss.png",
    log:
        "results/logs/{study}/figures/triplet_loss.log",
    benchmark:
        "results/benchmarks/{study}/figures/triplet_loss.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        measure="triplet_loss",
        published=contents(*study.curves_behind),
        synthetic=study.is_synthetic,
        code=fingerprint("draw_curves"),
    script:
        "../scripts/draw_curves.py"


rule draw_maps:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
    output:
        svg=report(
            "results/{study}/figures/maps.svg",
            caption="../report/maps.rst",
            category="Spaces",
            labels={"Study": "{study}", "Figure": "maps of the tiles"},
        ),
        png="results/{study}/figures/maps.png",
    log:
        "results/logs/{study}/figures/maps.log",
    benchmark:
        "results/benchmarks/{study}/figures/maps.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spaces=study.spaces,
        test_fold=config["split"]["test_fold"],
        synthetic=study.is_synthetic,
        code=fingerprint("draw_maps"),
    script:
        "../scripts/draw_maps.py"
