# What a simple classifier can read from a frozen space. Without labels the tables have only their headers.


rule probes:
    input:
        by_epoch=expand("results/{study}/probes/{space}/by_epoch.tsv", study=study.name, space=study.spaces),
    localrule: True


# One job for all probes of a space: reading and importing take longer than most of them.
rule fit_probes:
    input:
        embeddings=ancient("results/{study}/embeddings/{space}.h5"),
        digest="results/{study}/embeddings/{space}.h5.sha256",
    output:
        epochs="results/{study}/probes/{space}/by_epoch.tsv",
        scores=expand("results/{{study}}/probes/{{space}}/{probe}.tsv", probe=study.probes),
        counts=expand("results/{{study}}/probes/{{space}}/{probe}_confusion.tsv", probe=study.probes),
    log:
        "results/logs/{study}/probes/{space}.log",
    benchmark:
        "results/benchmarks/{study}/probes/{space}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        by_epoch=study.by_epoch_settings_of,
        triplets=study.by_epoch_triplets_of,
        seed=study.space_seed_of,
        probes=study.probe_jobs,
        seeds=study.validation_seeds_of,
        test_fold=config["split"]["test_fold"],
        task=task("probes.fit.fit_probes"),
    script:
        "../scripts/call.py"
