"""Draw the figure `run_map`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.run_map import draw_run_map

    draw_run_map(
        snakemake.input.runs,
        snakemake.input.table,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
