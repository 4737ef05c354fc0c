# Tidy tables of all spaces together.


rule tables:
    input:
        runs=f"results/{study.name}/runs.tsv",
        tables=expand("results/{study}/tables/{table}.tsv", study=study.name, table=study.tables),
    localrule: True


rule write_runs:
    output:
        runs="results/{study}/runs.tsv",
    log:
        "results/logs/{study}/runs.log",
    benchmark:
        "results/benchmarks/{study}/runs.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        rows=study.run_rows,
        code=fingerprint("write_runs"),
    script:
        "../scripts/write_runs.py"


rule collect_training:
    input:
        histories=expand("results/{{study}}/models/{run}/history.tsv", run=study.runs),
        layers=expand("results/{{study}}/models/{run}/layers.tsv", run=study.runs),
    output:
        training="results/{study}/tables/training.tsv",
        layers="results/{study}/tables/layers.tsv",
    log:
        "results/logs/{study}/tables/training.log",
    benchmark:
        "results/benchmarks/{study}/tables/training.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        runs=list(study.runs),
        code=fingerprint("collect_training"),
    script:
        "../scripts/collect_training.py"


rule collect_probes:
    input:
        by_epoch=expand("results/{{study}}/probes/{space}/by_epoch.tsv", space=study.spaces),
        scores=expand("results/{{study}}/probes/{space}/{probe}.tsv", space=study.spaces, probe=study.probes),
        confusions=expand(
            "results/{{study}}/probes/{space}/{probe}_confusion.tsv", space=study.spaces, probe=study.probes
        ),
    output:
        scores=report(
            "results/{study}/tables/scores.tsv",
            caption="../report/tables/scores.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "every score of every probe"},
        ),
        probe_epochs="results/{study}/tables/probe_epochs.tsv",
        confusion="results/{study}/tables/confusion.tsv",
        few_shot="results/{study}/tables/few_shot.tsv",
    log:
        "results/logs/{study}/tables/probes.log",
    benchmark:
        "results/benchmarks/{study}/tables/probes.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spaces=study.spaces,
        probes=study.probes,
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        code=fingerprint("collect_probes"),
    script:
        "../scripts/collect_probes.py"


rule collect_geometry:
    input:
        geometry=expand("results/{{study}}/geometry/{space}.tsv", space=study.spaces),
        spectra=expand("results/{{study}}/geometry/{space}_spectrum.tsv", space=study.spaces),
        centroids=expand("results/{{study}}/geometry/{space}_centroids.tsv", space=study.spaces),
    output:
        geometry=report(
            "results/{study}/tables/geometry.tsv",
            caption="../report/tables/geometry.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "the shape of each space"},
        ),
        spectra="results/{study}/tables/spectra.tsv",
        centroids="results/{study}/tables/centroids.tsv",
    log:
        "results/logs/{study}/tables/geometry.log",
    benchmark:
        "results/benchmarks/{study}/tables/geometry.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        spaces=study.spaces,
        code=fingerprint("collect_geometry"),
    script:
        "../scripts/collect_geometry.py"


rule list_unused:
    input:
        clips=study.clips,
        features=ancient(study.features),
        digest=f"{study.features}.sha256",
    output:
        unused="results/{study}/tables/unused_clips.tsv",
    log:
        "results/logs/{study}/tables/unused_clips.log",
    benchmark:
        "results/benchmarks/{study}/tables/unused_clips.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        tile_s=config["triplets"]["tile_s"],
        code=fingerprint("list_unused"),
    script:
        "../scripts/list_unused.py"
