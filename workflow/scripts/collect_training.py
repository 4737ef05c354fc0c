"""Collect the histories of all runs and what became of their layers."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.collect import collect_training

    collect_training(
        snakemake.params.runs,
        snakemake.input.histories,
        snakemake.input.layers,
        snakemake.output.training,
        snakemake.output.layers,
    )
