"""Draw the figure `protocols`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.protocol_ranks import draw_protocols

    draw_protocols(snakemake.input.table, snakemake.output.svg, snakemake.output.png, snakemake.params.synthetic)
