"""Draw the figure `few_shot`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.few_shot_curve import draw_few_shot

    draw_few_shot(
        snakemake.input.runs,
        snakemake.input.table,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
