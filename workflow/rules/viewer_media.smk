# A picture of every point of the viewer, and its sound where the data set may be passed on.


rule draw_pictures:
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
        code=fingerprint("draw_pictures"),
    script:
        "../scripts/draw_pictures.py"


rule encode_sound:
    input:
        points="results/{study}/viewer/points.tsv",
        audit="results/{study}/tables/audit.tsv",
        made=ancient(branch(study.is_synthetic, then=f"results/datasets/{study.dataset}/audio")),
        unpacked=ancient(study.unpacked),
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
        code=fingerprint("encode_sound"),
    script:
        "../scripts/encode_sound.py"
