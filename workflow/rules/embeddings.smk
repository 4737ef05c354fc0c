# Every tile as a point: in the space of each run, and in the baselines that training must beat.


rule embeddings:
    input:
        embeddings=expand("results/{study}/embeddings/{space}.h5", study=study.name, space=study.spaces),
    localrule: True


rule embed_trained:
    input:
        clips=study.clips,
        features=ancient(study.features),
        features_digest=f"{study.features}.sha256",
        weights=ancient("results/{study}/models/{run}/embedder.weights.h5"),
        weights_digest="results/{study}/models/{run}/embedder.weights.h5.sha256",
    output:
        embeddings="results/{study}/embeddings/{run}.h5",
        digest="results/{study}/embeddings/{run}.h5.sha256",
    log:
        "results/logs/{study}/embeddings/{run}.log",
    benchmark:
        "results/benchmarks/{study}/embeddings/{run}.tsv"
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=1,
    params:
        settings=study.settings_of,
        network=study.network_of,
        seed=study.seed_of,
        task=task("embeddings.trained.embed_trained"),
    script:
        "../scripts/call.py"


rule embed_recomputed:
    input:
        clips=study.clips,
        features=ancient(study.features),
        features_digest=f"{study.features}.sha256",
        weights=ancient("results/{study}/models/{run}/embedder.weights.h5"),
        weights_digest="results/{study}/models/{run}/embedder.weights.h5.sha256",
    output:
        embeddings="results/{study}/embeddings/{run}_recomputed.h5",
        digest="results/{study}/embeddings/{run}_recomputed.h5.sha256",
    log:
        "results/logs/{study}/embeddings/{run}_recomputed.log",
    benchmark:
        "results/benchmarks/{study}/embeddings/{run}_recomputed.tsv"
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=1,
    params:
        settings=study.settings_of,
        network=study.network_of,
        seed=study.seed_of,
        test_fold=config["split"]["test_fold"],
        task=task("embeddings.recomputed.embed_recomputed"),
    script:
        "../scripts/call.py"


rule embed_untrained:
    input:
        clips=study.clips,
        features=ancient(study.features),
        features_digest=f"{study.features}.sha256",
    output:
        embeddings="results/{study}/embeddings/{untrained}.h5",
        digest="results/{study}/embeddings/{untrained}.h5.sha256",
    log:
        "results/logs/{study}/embeddings/{untrained}.log",
    benchmark:
        "results/benchmarks/{study}/embeddings/{untrained}.tsv"
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=1,
    params:
        settings=study.reference_settings,
        network=study.reference_network,
        seed=study.untrained_seed_of,
        test_fold=config["split"]["test_fold"],
        task=task("embeddings.recomputed.embed_untrained"),
    script:
        "../scripts/call.py"


rule embed_mean_logmel:
    input:
        clips=study.clips,
        features=ancient(study.features),
        features_digest=f"{study.features}.sha256",
    output:
        embeddings="results/{study}/embeddings/mean_logmel.h5",
        digest="results/{study}/embeddings/mean_logmel.h5.sha256",
    log:
        "results/logs/{study}/embeddings/mean_logmel.log",
    benchmark:
        "results/benchmarks/{study}/embeddings/mean_logmel.tsv"
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        tile_s=config["triplets"]["tile_s"],
        task=task("embeddings.trained.embed_mean_logmel"),
    script:
        "../scripts/call.py"


rule embed_own:
    input:
        source=study.own_source_of,
        tiles=ancient("results/{study}/embeddings/mean_logmel.h5"),
        tiles_digest="results/{study}/embeddings/mean_logmel.h5.sha256",
    output:
        embeddings="results/{study}/embeddings/{own}.h5",
        digest="results/{study}/embeddings/{own}.h5.sha256",
    log:
        "results/logs/{study}/embeddings/{own}.log",
    benchmark:
        "results/benchmarks/{study}/embeddings/{own}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        tile_s=config["triplets"]["tile_s"],
        task=task("embeddings.brought.embed_own"),
    script:
        "../scripts/call.py"
