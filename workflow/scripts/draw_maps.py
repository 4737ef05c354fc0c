"""Draw the figure `maps`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.maps import draw_maps

    draw_maps(
        snakemake.input.runs,
        snakemake.input.embeddings,
        snakemake.params.spaces,
        snakemake.params.test_fold,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
