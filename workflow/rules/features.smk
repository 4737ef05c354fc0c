# All frames of all clips, once: every study over the same audio shares the store of a recipe.


rule features:
    input:
        features=study.features,
    localrule: True


rule extract_shard:
    input:
        clips="results/datasets/{dataset}/clips.tsv",
        audio=ancient(branch(study.is_synthetic, then="results/datasets/{dataset}/audio")),
        unpacked=ancient(study.unpacked),
    output:
        shard=temp("results/features/{dataset}/{recipe}/shards/{shard}.h5"),
    log:
        "results/logs/features/{dataset}/{recipe}/shards/{shard}.log",
    benchmark:
        "results/benchmarks/features/{dataset}/{recipe}/shards/{shard}.tsv"
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        audio=study.audio_of,
        settings=study.recipe_settings,
        n_shards=config["features"]["n_shards"],
        code=fingerprint("extract_shard"),
    script:
        "../scripts/extract_shard.py"


rule consolidate_features:
    input:
        clips="results/datasets/{dataset}/clips.tsv",
        shards=study.shards,
    output:
        features="results/features/{dataset}/{recipe}/features.h5",
        digest="results/features/{dataset}/{recipe}/features.h5.sha256",
    log:
        "results/logs/features/{dataset}/{recipe}/features.log",
    benchmark:
        "results/benchmarks/features/{dataset}/{recipe}/features.tsv"
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=fingerprint("consolidate_features"),
    script:
        "../scripts/consolidate_features.py"
