# What a simple classifier can read from a frozen space. Without labels the tables have only their headers.


rule probes:
    input:
        by_epoch=expand("results/{study}/probes/{space}/by_epoch.tsv", study=study.name, space=study.spaces),
        converged=expand("results/{study}/probes/{space}/converged.tsv", study=study.name, space=study.spaces),
    localrule: True


rule fit_by_epoch:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        epochs="results/{study}/probes/{space}/by_epoch.tsv",
    log:
        "results/logs/{study}/probes/{space}/by_epoch.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}/by_epoch.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=config["probes"]["by_epoch"],
        seed=study.space_seed_of,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("fit_by_epoch"),
    script:
        "../scripts/fit_by_epoch.py"


rule fit_converged:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        scores="results/{study}/probes/{space}/converged.tsv",
        confusion="results/{study}/probes/{space}/confusion.tsv",
    log:
        "results/logs/{study}/probes/{space}/converged.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}/converged.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=config["probes"]["converged"],
        seed=study.space_seed_of,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("fit_converged"),
    script:
        "../scripts/fit_converged.py"
