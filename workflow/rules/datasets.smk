# Where the audio comes from, and what there is to learn from: one row per clip, and one row with its reason per file that
# cannot be used or is odd.

# Servers refuse users who open many connections. `--resources downloads=1` on the command line has precedence.
workflow.global_resources.setdefault("downloads", 2)


rule download_archive:
    output:
        checked="results/datasets/{dataset}/download/archives/{archive}.md5",
    log:
        "results/logs/datasets/{dataset}/download/archives/{archive}.log",
    benchmark:
        "results/benchmarks/datasets/{dataset}/download/archives/{archive}.tsv"
    localrule: True  # the nodes of a cluster often have no way out
    conda:
        "../../envs/features.yaml"
    resources:
        downloads=1,
        mem_mb=500,
        runtime=1440,
    params:
        archive=study.archive_of,
        dataset=study.archive_set,
        given=config["dataset"]["archives"],
        task=task("datasets.downloads.download_archive"),
    script:
        "../scripts/call.py"


rule unpack_archive:
    input:
        checked="results/datasets/{dataset}/download/archives/{archive}.md5",
    output:
        listed="results/datasets/{dataset}/download/unpacked/{archive}.tsv",
    log:
        "results/logs/datasets/{dataset}/download/unpacked/{archive}.log",
    benchmark:
        "results/benchmarks/datasets/{dataset}/download/unpacked/{archive}.tsv"
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=500,
        runtime=120,
    params:
        folder=study.audio_of,
        task=task("datasets.unpacking.unpack_archive"),
    script:
        "../scripts/call.py"


# Instead of both where no audio is kept: an archive passes through, and its features stay.


rule drain_archive:
    output:
        shard="results/features/{dataset}/{recipe}/archives/{archive}.h5",
        looks="results/features/{dataset}/{recipe}/archives/{archive}.tsv",
    log:
        "results/logs/features/{dataset}/{recipe}/archives/{archive}.log",
    benchmark:
        "results/benchmarks/features/{dataset}/{recipe}/archives/{archive}.tsv"
    localrule: True  # the nodes of a cluster often have no way out
    conda:
        "../../envs/features.yaml"
    resources:
        downloads=1,
        mem_mb=2000,
        runtime=1440,
    params:
        name="{archive}",
        archive=study.archive_of,
        dataset=study.archive_set,
        given=config["dataset"]["archives"],
        channels=config["dataset"]["channels"],
        recipe=study.recipe_settings,
        root=study.audio_of,
        task=task("datasets.streaming.drain_archive"),
    script:
        "../scripts/call.py"


rule datasets:
    input:
        clips=study.clips,
    localrule: True


rule synthesise_demo:
    output:
        audio=directory("results/datasets/{dataset}/audio"),
        digest="results/datasets/{dataset}/audio.sha256",
    log:
        "results/logs/datasets/{dataset}/audio.log",
    benchmark:
        "results/benchmarks/datasets/{dataset}/audio.tsv"
    localrule: True
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=config["dataset"]["demo"],
        task=task("datasets.demo.synthesise"),
    script:
        "../scripts/call.py"


rule list_clips:
    input:
        after_audio=ancient(branch(study.is_synthetic, then="results/datasets/{dataset}/audio")),
        digest=branch(study.is_synthetic, then="results/datasets/{dataset}/audio.sha256"),
        after_unpacked=study.unpacked,
        looks=study.looks,
    output:
        clips="results/datasets/{dataset}/clips.tsv",
        rejected=report(
            "results/datasets/{dataset}/rejected.tsv",
            caption="../report/tables/rejected.rst",
            category="Tables",
            labels={"Data set": "{dataset}", "Table": "files that cannot be used, and why"},
        ),
        warnings="results/datasets/{dataset}/warnings.tsv",
    log:
        "results/logs/datasets/{dataset}/clips.log",
    benchmark:
        "results/benchmarks/datasets/{dataset}/clips.tsv"
    conda:
        "../../envs/features.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        root=study.audio_of,
        settings=study.dataset_settings,
        contents=study.index_digest_of,
        reader=study.adapter_task,
        task=task("datasets.manifest.list_clips"),
    script:
        "../scripts/call.py"
