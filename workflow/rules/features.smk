# All frames of all clips, once: every study over the same audio shares the store of a recipe, and where the config names
# a features_store, so does every user.


ruleorder: fetch_features > consolidate_features


rule features:
    input:
        features=study.features,
        shared=study.features_store.receipts,
    localrule: True


rule extract_shard:
    input:
        clips="results/datasets/{dataset}/clips.tsv",
        after_audio=ancient(branch(study.is_synthetic, then="results/datasets/{dataset}/audio")),
        after_unpacked=ancient(study.unpacked),
    output:
        features=temp("results/features/{dataset}/{recipe}/shards/{shard}.h5"),
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
        root=study.audio_of,
        settings=study.recipe_settings,
        n_shards=config["features"]["n_shards"],
        task=task("features.extraction.extract_shard"),
    script:
        "../scripts/call.py"


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
        task=task("features.extraction.consolidate"),
    script:
        "../scripts/call.py"


# Instead of both where the store that users share has them: a link, once they are checked.


rule fetch_features:
    input:
        clips="results/datasets/{dataset}/clips.tsv",
    output:
        features="results/features/{dataset}/{recipe}/features.h5",
        digest="results/features/{dataset}/{recipe}/features.h5.sha256",
    log:
        "results/logs/features/{dataset}/{recipe}/features.log",
    benchmark:
        "results/benchmarks/features/{dataset}/{recipe}/features.tsv"
    wildcard_constraints:
        recipe=study.features_store.fetched_recipe,
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        shared=study.features_store.folder_of,
        settings=study.recipe_settings,
        task=task("features.sharing.fetch"),
    script:
        "../scripts/call.py"


rule share_features:
    input:
        clips="results/datasets/{dataset}/clips.tsv",
        features=ancient("results/features/{dataset}/{recipe}/features.h5"),
        digest="results/features/{dataset}/{recipe}/features.h5.sha256",
    output:
        shared="results/features/{dataset}/{recipe}/shared.tsv",
    log:
        "results/logs/features/{dataset}/{recipe}/shared.log",
    benchmark:
        "results/benchmarks/features/{dataset}/{recipe}/shared.tsv"
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        folder=study.features_store.folder,
        settings=study.recipe_settings,
        task=task("features.sharing.share"),
    script:
        "../scripts/call.py"
