# Arms against each other: every pair on the test sessions; the one that validation chooses; what would have chosen
# without labels. Without labels these tables have only their headers. Then runs against each other: how λ acted in each.


rule compare_arms:
    input:
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
        runs=list(study.runs),
        references=study.references,
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        code=fingerprint("compare_arms"),
    script:
        "../scripts/compare_arms.py"


rule choose_arm:
    input:
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
        runs=list(study.runs),
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        code=fingerprint("choose_arm"),
    script:
        "../scripts/choose_arm.py"


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
        runs=list(study.runs),
        settings=config["statistics"],
        seed=config["sweep"]["seeds"][0],
        code=fingerprint("rank_criteria"),
    script:
        "../scripts/rank_criteria.py"


rule draw_selection:
    input:
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        geometry="results/{study}/tables/geometry.tsv",
        scores="results/{study}/tables/scores.tsv",
        selection="results/{study}/tables/selection.tsv",
    output:
        svg=report(
            "results/{study}/figures/selection.svg",
            caption="../report/selection.rst",
            category="Answer",
            labels={"Study": "{study}", "Figure": "measures that need no label against the score"},
        ),
        png="results/{study}/figures/selection.png",
    log:
        "results/logs/{study}/figures/selection.log",
    benchmark:
        "results/benchmarks/{study}/figures/selection.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        code=fingerprint("draw_selection"),
    script:
        "../scripts/draw_selection.py"


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
        code=fingerprint("judge_mechanisms"),
    script:
        "../scripts/judge_mechanisms.py"
