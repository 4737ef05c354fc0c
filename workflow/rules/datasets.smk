# What is there to learn from: one row per clip, and one row per file that cannot be used
# or is odd, with the reason.


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
        code=fingerprint("synthesise_demo"),
    script:
        "../scripts/synthesise_demo.py"


rule list_clips:
    input:
        audio=ancient(branch(study.is_synthetic, then="results/datasets/{dataset}/audio")),
        digest=branch(study.is_synthetic, then="results/datasets/{dataset}/audio.sha256"),
        unpacked=study.unpacked,
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
        audio=study.audio_of,
        settings=study.dataset_settings,
        index=study.index_digest_of,
        code=fingerprint("list_clips"),
    script:
        "../scripts/list_clips.py"
