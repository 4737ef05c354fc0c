# The same tiles on a map of every space, with pictures and, where the data set may be passed on, sound.


rule viewer:
    input:
        page=f"results/{study.name}/viewer/index.html",
    localrule: True


rule sample_points:
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
        names=study.spaces,
        test_fold=config["split"]["test_fold"],
        most=config["viewer"]["points"],
        seed=config["viewer"]["seed"],
        task=task("viewer.points.sample_points"),
    script:
        "../scripts/call.py"


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
        names=study.spaces,
        settings=config["viewer"],
        task=task("viewer.projections.map_points"),
    script:
        "../scripts/call.py"


rule predict_points:
    input:
        runs="results/{study}/runs.tsv",
        embeddings=ancient(expand("results/{{study}}/embeddings/{space}.h5", space=study.spaces)),
        digests=expand("results/{{study}}/embeddings/{space}.h5.sha256", space=study.spaces),
        points="results/{study}/viewer/points.tsv",
        scores=expand("results/{{study}}/probes/{space}/converged.tsv", space=study.spaces),
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
        names=study.spaces,
        test_fold=config["split"]["test_fold"],
        task=task("viewer.predictions.predict_points"),
    script:
        "../scripts/call.py"


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
        contents=contents(f"{report_folder}/viewer"),
        task=task("viewer.viewer_page.write_viewer"),
    script:
        "../scripts/call.py"


rule draw_thumbnails:
    input:
        points="results/{study}/viewer/points.tsv",
        clips=study.clips,
        features=ancient(study.features),
        digest=f"{study.features}.sha256",
    output:
        sheet="results/{study}/viewer/pictures.webp",
    log:
        "results/logs/{study}/viewer/pictures.log",
    benchmark:
        "results/benchmarks/{study}/viewer/pictures.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        tile_s=config["triplets"]["tile_s"],
        task=task("viewer.thumbnails.draw_thumbnails"),
    script:
        "../scripts/call.py"


rule encode_sound:
    input:
        points="results/{study}/viewer/points.tsv",
        audit="results/{study}/tables/audit.tsv",
        after_made=ancient(branch(study.is_synthetic, then=f"results/datasets/{study.dataset}/audio")),
        after_unpacked=ancient(study.unpacked),
    output:
        sound="results/{study}/viewer/sound.tsv",
        attribution="results/{study}/viewer/attribution.txt",
    log:
        "results/logs/{study}/viewer/sound.log",
    benchmark:
        "results/benchmarks/{study}/viewer/sound.tsv"
    conda:
        "../../envs/features.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        audio=study.heard,
        tile_s=config["triplets"]["tile_s"],
        task=task("viewer.sound.encode_sound"),
    script:
        "../scripts/call.py"
