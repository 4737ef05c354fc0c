"""Draw the figure `mechanism`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.mechanism_stages import draw_mechanism

    draw_mechanism(
        snakemake.input.runs,
        snakemake.input.layers,
        snakemake.input.mechanism,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
