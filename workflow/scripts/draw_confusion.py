"""Draw the figure `confusion`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.confusion import draw_confusion

    draw_confusion(
        snakemake.input.runs,
        snakemake.input.table,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
