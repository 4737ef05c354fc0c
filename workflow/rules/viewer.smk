# The same tiles on a map of every space, to look at and to listen to.


rule viewer:
    input:
        page=f"results/{study.name}/viewer/index.html",
    localrule: True


rule draw_points:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
        clips=study.clips,
        audit="results/{study}/tables/audit.tsv",
    output:
        points="results/{study}/viewer/points.tsv",
    log:
        "results/logs/{study}/viewer/points.log",
    benchmark:
        "results/benchmarks/{study}/viewer/points.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        spaces=study.spaces,
        test_fold=config["split"]["test_fold"],
        most=config["viewer"]["points"],
        seed=config["viewer"]["seed"],
        code=fingerprint("draw_points"),
    script:
        "../scripts/draw_points.py"


rule map_points:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
        points="results/{study}/viewer/points.tsv",
    output:
        coordinates="results/{study}/viewer/coordinates.tsv",
        neighbours="results/{study}/viewer/neighbours.tsv",
    log:
        "results/logs/{study}/viewer/maps.log",
    benchmark:
        "results/benchmarks/{study}/viewer/maps.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        spaces=study.spaces,
        settings=study.viewer_settings,
        code=fingerprint("map_points"),
    script:
        "../scripts/map_points.py"


rule predict_points:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
        points="results/{study}/viewer/points.tsv",
        probes=expand("results/{{study}}/probes/{space}/converged.tsv", space=study.spaces),
    output:
        predictions="results/{study}/viewer/predictions.tsv",
    log:
        "results/logs/{study}/viewer/predictions.log",
    benchmark:
        "results/benchmarks/{study}/viewer/predictions.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        spaces=study.spaces,
        test_fold=config["split"]["test_fold"],
        code=fingerprint("predict_points"),
    script:
        "../scripts/predict_points.py"


rule write_viewer:
    input:
        template=ancient(f"{report_folder}/viewer/viewer.html.j2"),
        around=ancient(f"{report_folder}/viewer/around.html.j2"),
        style=ancient(f"{report_folder}/viewer/style.css"),
        script=ancient(f"{report_folder}/viewer/viewer.js"),
        runs="results/{study}/runs.tsv",
        points="results/{study}/viewer/points.tsv",
        coordinates="results/{study}/viewer/coordinates.tsv",
        neighbours="results/{study}/viewer/neighbours.tsv",
        predictions="results/{study}/viewer/predictions.tsv",
        pictures="results/{study}/viewer/pictures.webp",
        sound="results/{study}/viewer/sound.tsv",
        attribution="results/{study}/viewer/attribution.txt",
        audit="results/{study}/tables/audit.tsv",
    output:
        fragment="results/{study}/viewer/viewer.html",
        page="results/{study}/viewer/index.html",
    log:
        "results/logs/{study}/viewer/viewer.log",
    benchmark:
        "results/benchmarks/{study}/viewer/viewer.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        about=study.viewer_about,
        words=contents(f"{report_folder}/viewer"),
        code=fingerprint("write_viewer"),
    script:
        "../scripts/write_viewer.py"
