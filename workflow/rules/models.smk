# One embedder per run: a point of the sweep and a seed.


rule models:
    input:
        histories=expand("results/{study}/models/{run}/history.tsv", study=study.name, run=study.runs),
    localrule: True


rule train_model:
    input:
        clips=study.clips,
        features=ancient(study.features),
        digest=f"{study.features}.sha256",
    output:
        weights="results/{study}/models/{run}/embedder.weights.h5",
        digest="results/{study}/models/{run}/embedder.weights.h5.sha256",
        history="results/{study}/models/{run}/history.tsv",
        layers="results/{study}/models/{run}/layers.tsv",
    log:
        "results/logs/{study}/models/{run}.log",
    benchmark:
        "results/benchmarks/{study}/models/{run}.tsv"
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=1440,
        gpu=1,
    params:
        settings=study.settings_of,
        loss=study.loss_of,
        network=study.network_of,
        seed=study.seed_of,
        test_fold=config["split"]["test_fold"],
        checkpoint="results/checkpoints/{study}/{run}.h5",
        task=task("models.training.train"),
        code=fingerprint("models.training"),
    script:
        "../scripts/call.py"
