"""Draw the figure `mechanism`."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.mechanism import draw_mechanism

    draw_mechanism(
        snakemake.input.runs,
        snakemake.input.layers,
        snakemake.input.mechanism,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
