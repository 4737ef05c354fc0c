# What a simple classifier can read from a frozen space. Without labels the tables have only their headers.


rule probes:
    input:
        by_epoch=expand("results/{study}/probes/{space}/by_epoch.tsv", study=study.name, space=study.spaces),
        others=expand(
            "results/{study}/probes/{space}/{probe}.tsv", study=study.name, space=study.spaces, probe=study.probes
        ),
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
        settings=study.by_epoch_settings_of,
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
        confusion="results/{study}/probes/{space}/converged_confusion.tsv",
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
        seeds=study.validation_seeds_of,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("fit_converged"),
    script:
        "../scripts/fit_converged.py"


rule fit_knn:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        scores="results/{study}/probes/{space}/knn.tsv",
        confusion="results/{study}/probes/{space}/knn_confusion.tsv",
    log:
        "results/logs/{study}/probes/{space}/knn.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}/knn.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=config["probes"]["knn"],
        seeds=study.validation_seeds_of,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("fit_knn"),
    script:
        "../scripts/fit_knn.py"


rule fit_mlp:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        scores="results/{study}/probes/{space}/mlp.tsv",
        confusion="results/{study}/probes/{space}/mlp_confusion.tsv",
    log:
        "results/logs/{study}/probes/{space}/mlp.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}/mlp.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=config["probes"]["mlp"],
        seeds=study.validation_seeds_of,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("fit_mlp"),
    script:
        "../scripts/fit_mlp.py"
