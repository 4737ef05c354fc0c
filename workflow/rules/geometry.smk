# The shape of each space, in its own dimension.


rule geometry:
    input:
        geometry=expand("results/{study}/geometry/{space}.tsv", study=study.name, space=study.spaces),
    localrule: True


rule measure_geometry:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        geometry="results/{study}/geometry/{space}.tsv",
        spectrum="results/{study}/geometry/{space}_spectrum.tsv",
        centroids="results/{study}/geometry/{space}_centroids.tsv",
    log:
        "results/logs/{study}/geometry/{space}.log",
    benchmark:
        "results/benchmarks/{study}/geometry/{space}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=config["geometry"],
        test_fold=config["split"]["test_fold"],
        task=task("geometry.shape.measure_geometry"),
    script:
        "../scripts/call.py"
