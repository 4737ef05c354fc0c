# What the triplets of the study are made of.


rule count_distant:
    input:
        clips=study.clips,
        features=ancient(study.features),
        digest=f"{study.features}.sha256",
    output:
        distant="results/{study}/tables/distant.tsv",
    log:
        "results/logs/{study}/tables/distant.log",
    benchmark:
        "results/benchmarks/{study}/tables/distant.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=study.triplet_settings,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("count_distant"),
    script:
        "../scripts/count_distant.py"
