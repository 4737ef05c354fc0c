# Every space beside every other, and what moves a space: the swept value, or the seed.


rule similarity:
    input:
        pairs=f"results/{study.name}/similarity/pairs.tsv",
        map=f"results/{study.name}/similarity/map.tsv",
        moves=f"results/{study.name}/similarity/moves.tsv",
    localrule: True


rule summarise_space:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        summary="results/{study}/similarity/spaces/{space}.h5",
        digest="results/{study}/similarity/spaces/{space}.h5.sha256",
    log:
        "results/logs/{study}/similarity/spaces/{space}.log",
    benchmark:
        "results/benchmarks/{study}/similarity/spaces/{space}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=config["geometry"],
        test_fold=config["split"]["test_fold"],
        task=task("similarity.space_summary.summarise_space"),
    script:
        "../scripts/call.py"


rule compare_spaces:
    input:
        summaries=ancient(expand("results/{{study}}/similarity/spaces/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/similarity/spaces/{space}.h5.sha256", space=study.spaces),
    output:
        pairs="results/{study}/similarity/pairs.tsv",
    log:
        "results/logs/{study}/similarity/pairs.log",
    benchmark:
        "results/benchmarks/{study}/similarity/pairs.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        names=study.spaces,
        measures=study.measure_tasks,
        distances=study.distances,
        task=task("similarity.pairs.compare_spaces"),
    script:
        "../scripts/call.py"


rule map_spaces:
    input:
        runs="results/{study}/runs.tsv",
        pairs="results/{study}/similarity/pairs.tsv",
    output:
        map="results/{study}/similarity/map.tsv",
    log:
        "results/logs/{study}/similarity/map.log",
    benchmark:
        "results/benchmarks/{study}/similarity/map.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        task=task("similarity.layout.map_spaces"),
    script:
        "../scripts/call.py"


rule judge_moves:
    input:
        runs="results/{study}/runs.tsv",
        pairs="results/{study}/similarity/pairs.tsv",
    output:
        moves=report(
            "results/{study}/similarity/moves.tsv",
            caption="../report/tables/moves.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "what moves a space: what varies, or the seed"},
        ),
    log:
        "results/logs/{study}/similarity/moves.log",
    benchmark:
        "results/benchmarks/{study}/similarity/moves.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        task=task("similarity.seed_test.judge_moves"),
    script:
        "../scripts/call.py"
