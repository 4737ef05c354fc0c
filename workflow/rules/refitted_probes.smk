# Probes that are fitted several times over: to few sessions of each class, and with every fold held out in turn.


rule fit_few_shot:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        scores="results/{study}/probes/{space}/few_shot.tsv",
        confusion="results/{study}/probes/{space}/few_shot_confusion.tsv",
    log:
        "results/logs/{study}/probes/{space}/few_shot.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}/few_shot.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=config["probes"]["few_shot"],
        test_fold=config["split"]["test_fold"],
        code=fingerprint("fit_few_shot"),
    script:
        "../scripts/fit_few_shot.py"


rule fit_folds:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        scores="results/{study}/probes/{space}/folds.tsv",
        confusion="results/{study}/probes/{space}/folds_confusion.tsv",
    log:
        "results/logs/{study}/probes/{space}/folds.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}/folds.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=config["probes"]["converged"],
        seeds=study.validation_seeds_of,
        code=fingerprint("fit_folds"),
    script:
        "../scripts/fit_folds.py"
