"""Draw one measure by epoch."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.training_curves import draw_curves

    draw_curves(
        snakemake.input.runs,
        snakemake.input.table,
        snakemake.params.measure,
        snakemake.input.published,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
