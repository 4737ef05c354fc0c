"""Draw the figure `similarity`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.similarity_matrices import draw_similarity

    draw_similarity(
        snakemake.input.runs,
        snakemake.input.table,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
