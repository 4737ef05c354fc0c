# The archives of a data set, where the config asks for them: one job downloads one archive, another unpacks it.

# Servers turn away who opens many connections. `--resources downloads=1` on the command line goes before.
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
        set=study.archive_set,
        given=config["dataset"]["archives"],
        code=fingerprint("download_archive"),
    script:
        "../scripts/download_archive.py"


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
        audio=study.audio_of,
        code=fingerprint("unpack_archive"),
    script:
        "../scripts/unpack_archive.py"


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
        archive=study.archive_of,
        settings=study.archive_settings,
        recipe=study.recipe_settings,
        audio=study.audio_of,
        code=fingerprint("drain_archive"),
    script:
        "../scripts/drain_archive.py"
