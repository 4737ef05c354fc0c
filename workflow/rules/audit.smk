# Clips that most of the spaces find in an odd place: mislabels and broken microphones.


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
        spaces=study.spaces,
        neighbours=config["viewer"]["neighbours"],
        seed=config["viewer"]["seed"],
        code=fingerprint("audit_neighbours"),
    script:
        "../scripts/audit_neighbours.py"
