# What a study hands to other tools. Of these files a plain run makes what `exports.always` names.


rule exports:
    input:
        files=[file for files in study.exports.values() for file in files],
    localrule: True


rule export_table:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
    output:
        table=f"results/{{study}}/exports/embeddings.{config['exports']['table']}",
    log:
        "results/logs/{study}/exports/embeddings.log",
    benchmark:
        "results/benchmarks/{study}/exports/embeddings.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spaces=study.spaces,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("export_table"),
    script:
        "../scripts/export_table.py"


rule export_projector:
    input:
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
    output:
        config="results/{study}/exports/projector/projector_config.pbtxt",
        tensors=expand("results/{{study}}/exports/projector/{space}.tsv", space=study.spaces),
        metadata=expand("results/{{study}}/exports/projector/{space}_tiles.tsv", space=study.spaces),
    log:
        "results/logs/{study}/exports/projector.log",
    benchmark:
        "results/benchmarks/{study}/exports/projector.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spaces=study.spaces,
        settings=config["geometry"],
        test_fold=config["split"]["test_fold"],
        code=fingerprint("export_projector"),
    script:
        "../scripts/export_projector.py"
