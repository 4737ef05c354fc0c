"""Draw the figure `selection`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.selection import draw_selection

    draw_selection(
        *(snakemake.input.runs, snakemake.input.training, snakemake.input.geometry),
        *(snakemake.input.scores, snakemake.input.selection),
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
