"""Lay the points out on a map of each space and find their neighbours."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.viewer.projections import map_points

    map_points(
        snakemake.input.runs,
        snakemake.input.points,
        *(snakemake.input.embeddings, snakemake.params.spaces),
        snakemake.params.settings,
        snakemake.output.coordinates,
        snakemake.output.neighbours,
    )
