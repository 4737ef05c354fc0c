"""Draw the log-mel picture of every point."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.viewer.thumbnails import draw_pictures

    draw_pictures(
        snakemake.input.points,
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.tile_s,
        snakemake.output.sheet,
    )
