"""Lay out all spaces on a map."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.similarity.layout import map_spaces

    map_spaces(snakemake.input.runs, snakemake.input.pairs, snakemake.output.map)
