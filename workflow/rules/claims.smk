# The verdict on each claim of the study's claims file.


rule judge_claims:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        probe_epochs="results/{study}/tables/probe_epochs.tsv",
        scores="results/{study}/tables/scores.tsv",
        geometry="results/{study}/tables/geometry.tsv",
        confusions=expand("results/{{study}}/probes/{run}/converged_confusion.tsv", run=study.runs),
        claims=ancient(claims),
        published=ancient(study.published_curves),
    output:
        claims=report(
            "results/{study}/tables/claims.tsv",
            caption="../report/tables/claims.rst",
            category="Tables",
            labels={"Study": "{study}", "Table": "the verdict on each claim"},
        ),
    log:
        "results/logs/{study}/tables/claims.log",
    benchmark:
        "results/benchmarks/{study}/tables/claims.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        names_of_confusions=list(study.runs),
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        contents=contents(*claims, study.published_curves),
        plugins=config["plugins"],
        task=task("claims.ledger.judge_claims"),
    script:
        "../scripts/call.py"
