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
        names=study.spaces,
        test_fold=config["split"]["test_fold"],
        task=task("exports.embedding_table.export_table"),
    script:
        "../scripts/call.py"


rule export_projector:
    input:
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
    output:
        config="results/{study}/exports/projector/projector_config.pbtxt",
        after_tensors=expand("results/{{study}}/exports/projector/{space}.tsv", space=study.spaces),
        after_metadata=expand("results/{{study}}/exports/projector/{space}_tiles.tsv", space=study.spaces),
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
        names=study.spaces,
        settings=config["geometry"],
        test_fold=config["split"]["test_fold"],
        task=task("exports.projector.export_projector"),
    script:
        "../scripts/call.py"


rule export_model:
    input:
        features=ancient(study.features),
        features_digest=f"{study.features}.sha256",
        weights=ancient("results/{study}/models/{run}/embedder.weights.h5"),
        weights_digest="results/{study}/models/{run}/embedder.weights.h5.sha256",
    output:
        model="results/{study}/exports/models/{run}/embedder.keras",
        digest="results/{study}/exports/models/{run}/embedder.keras.sha256",
    log:
        "results/logs/{study}/exports/models/{run}/embedder.log",
    benchmark:
        "results/benchmarks/{study}/exports/models/{run}/embedder.tsv"
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
        gpu=1,
    params:
        settings=study.settings_of,
        network=study.network_of,
        seed=study.seed_of,
        facts=study.export_facts_of,
        task=task("exports.saved_model.export_model"),
    script:
        "../scripts/call.py"


rule export_onnx:
    input:
        features=ancient(study.features),
        features_digest=f"{study.features}.sha256",
        model=ancient("results/{study}/exports/models/{run}/embedder.keras"),
        model_digest="results/{study}/exports/models/{run}/embedder.keras.sha256",
    output:
        onnx="results/{study}/exports/models/{run}/embedder.onnx",
        digest="results/{study}/exports/models/{run}/embedder.onnx.sha256",
    log:
        "results/logs/{study}/exports/models/{run}/onnx.log",
    benchmark:
        "results/benchmarks/{study}/exports/models/{run}/onnx.tsv"
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        device={"backend": "tensorflow", "device": "cpu", "deterministic": False},
        task=task("exports.saved_model.export_onnx"),
    script:
        "../scripts/call.py"


rule write_card:
    input:
        template=f"{report_folder}/card.md.j2",
        model=ancient("results/{study}/exports/models/{run}/embedder.keras"),
        model_digest="results/{study}/exports/models/{run}/embedder.keras.sha256",
        onnx=branch(config["exports"]["onnx"], then=["results/{study}/exports/models/{run}/embedder.onnx"]),
        clips=study.clips,
        runs="results/{study}/runs.tsv",
        training="results/{study}/tables/training.tsv",
        scores="results/{study}/tables/scores.tsv",
        mechanism="results/{study}/tables/mechanism.tsv",
    output:
        card="results/{study}/exports/models/{run}/README.md",
    log:
        "results/logs/{study}/exports/models/{run}/card.log",
    benchmark:
        "results/benchmarks/{study}/exports/models/{run}/card.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        synthetic=study.is_synthetic,
        confidence=config["statistics"]["confidence"],
        checkout=study.checkout,
        task=task("exports.model_card.write_card"),
    script:
        "../scripts/call.py"
