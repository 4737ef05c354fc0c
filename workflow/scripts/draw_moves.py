"""Draw the figure `moves`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.seed_distances import draw_moves

    draw_moves(
        snakemake.input.runs,
        snakemake.input.table,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
