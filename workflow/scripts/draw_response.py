"""Draw the figure `response`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.response import draw_response

    draw_response(
        snakemake.input.runs,
        snakemake.input.table,
        snakemake.input.choice,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
