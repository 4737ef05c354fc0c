"""Draw the figure `tiles`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.tiles import draw_tiles

    draw_tiles(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.tile_s,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
