# The network of each run for other tools, with its card.


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
        seed=study.seed_of,
        facts=study.export_facts_of,
        code=fingerprint("export_model"),
    script:
        "../scripts/export_model.py"


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
        settings={"training": {"backend": "tensorflow", "device": "cpu", "deterministic": False}},
        code=fingerprint("export_onnx"),
    script:
        "../scripts/export_onnx.py"


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
        code=fingerprint("write_card"),
    script:
        "../scripts/write_card.py"
