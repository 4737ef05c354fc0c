"""Draw the figure `dataset`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.dataset import draw_dataset

    draw_dataset(
        snakemake.input.clips,
        snakemake.input.rejected,
        snakemake.output.svg,
        snakemake.output.png,
        snakemake.params.synthetic,
    )
