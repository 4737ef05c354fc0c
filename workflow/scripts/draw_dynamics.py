"""Draw the figure `dynamics`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.dynamics import draw_dynamics

    draw_dynamics(
        snakemake.input.runs,
        snakemake.input.table,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
