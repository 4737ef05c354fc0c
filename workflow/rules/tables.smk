# Tidy tables of all runs and spaces together, and of arms against each other. Without labels those of scores have only their
# headers.


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
        task=task("tables.collect.write_runs"),
    script:
        "../scripts/call.py"


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
        task=task("tables.collect.list_unused"),
    script:
        "../scripts/call.py"


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
        task=task("tables.distant_tiles.count_distant"),
    script:
        "../scripts/call.py"


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
        task=task("tables.collect.collect_training"),
    script:
        "../scripts/call.py"


rule collect_probes:
    input:
        by_epoch=expand("results/{{study}}/probes/{space}/by_epoch.tsv", space=study.spaces),
        scores=expand("results/{{study}}/probes/{space}/{probe}.tsv", space=study.spaces, probe=study.probes),
        counts=expand("results/{{study}}/probes/{space}/{probe}_confusion.tsv", space=study.spaces, probe=study.probes),
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
        task=task("tables.collect.collect_probes"),
    script:
        "../scripts/call.py"


rule collect_geometry:
    input:
        geometries=expand("results/{{study}}/geometry/{space}.tsv", space=study.spaces),
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
        runs=study.spaces,
        task=task("tables.collect.collect_geometry"),
    script:
        "../scripts/call.py"


rule compare_arms:
    input:
        runs="results/{study}/runs.tsv",
        confusions=expand("results/{{study}}/probes/{space}/converged_confusion.tsv", space=study.compared),
    output:
        comparisons=report(
            "results/{study}/tables/comparisons.tsv",
            caption="../report/tables/comparisons.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "every pair of arms"},
        ),
    log:
        "results/logs/{study}/tables/comparisons.log",
    benchmark:
        "results/benchmarks/{study}/tables/comparisons.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spaces=study.compared,
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        task=task("tables.comparisons.compare_arms"),
    script:
        "../scripts/call.py"


rule choose_arm:
    input:
        runs="results/{study}/runs.tsv",
        confusions=expand("results/{{study}}/probes/{run}/converged_confusion.tsv", run=study.runs),
    output:
        choice=report(
            "results/{study}/tables/choice.tsv",
            caption="../report/tables/choice.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "what validation sessions choose"},
        ),
    log:
        "results/logs/{study}/tables/choice.log",
    benchmark:
        "results/benchmarks/{study}/tables/choice.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spaces=list(study.runs),
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        task=task("tables.comparisons.choose_arm"),
    script:
        "../scripts/call.py"


rule rank_criteria:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        geometry="results/{study}/tables/geometry.tsv",
        confusions=expand("results/{{study}}/probes/{run}/converged_confusion.tsv", run=study.runs),
        choice="results/{study}/tables/choice.tsv",
    output:
        selection="results/{study}/tables/selection.tsv",
    log:
        "results/logs/{study}/tables/selection.log",
    benchmark:
        "results/benchmarks/{study}/tables/selection.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spaces=list(study.runs),
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        plugins=config["plugins"],
        task=task("tables.label_free.rank_criteria"),
    script:
        "../scripts/call.py"


rule judge_mechanisms:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        layers="results/{study}/tables/layers.tsv",
    output:
        mechanism=report(
            "results/{study}/tables/mechanism.tsv",
            caption="../report/tables/mechanism.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "how λ acted in each run, and why that is said"},
        ),
    log:
        "results/logs/{study}/tables/mechanism.log",
    benchmark:
        "results/benchmarks/{study}/tables/mechanism.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        task=task("mechanism.judging.judge_mechanisms"),
    script:
        "../scripts/call.py"


rule compare_protocols:
    input:
        first=list(study.other_tables.values()),
        second=["results/{study}/runs.tsv", "results/{study}/tables/training.tsv", "results/{study}/tables/scores.tsv"],
    output:
        protocols="results/{study}/tables/protocols.tsv",
    log:
        "results/logs/{study}/tables/protocols.log",
    benchmark:
        "results/benchmarks/{study}/tables/protocols.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        names=[config["compare_with"], study.name],
        names_of_first=list(study.other_tables),
        names_of_second=["runs", "training", "scores"],
        confidence=config["statistics"]["confidence"],
        task=task("tables.rankings.compare_protocols"),
    script:
        "../scripts/call.py"


rule audit_neighbours:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
    output:
        audit=report(
            "results/{study}/tables/audit.tsv",
            caption="../report/tables/audit.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "clips that most spaces find in an odd place"},
        ),
    log:
        "results/logs/{study}/tables/audit.log",
    benchmark:
        "results/benchmarks/{study}/tables/audit.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        names=study.spaces,
        neighbours=config["viewer"]["neighbours"],
        seed=config["viewer"]["seed"],
        task=task("geometry.label_audit.audit_neighbours"),
    script:
        "../scripts/call.py"


rule collect_runs:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        scores="results/{study}/tables/scores.tsv",
        geometry="results/{study}/tables/geometry.tsv",
        mechanism="results/{study}/tables/mechanism.tsv",
        histories=expand("results/{{study}}/models/{run}/history.tsv", run=study.runs),
    output:
        runs=report(
            "results/{study}/tables/every_run.tsv",
            caption="../report/tables/every_run.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "every run in one row"},
        ),
    log:
        "results/logs/{study}/tables/every_run.log",
    benchmark:
        "results/benchmarks/{study}/tables/every_run.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        names_of_histories=list(study.runs),
        receipts="results/receipts/{study}",
        task=task("tables.every_run.collect_runs"),
    script:
        "../scripts/call.py"
