"""Collect the histories of all runs."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables import collect_training

    collect_training(snakemake.params.runs, snakemake.input.histories, snakemake.output.training)
