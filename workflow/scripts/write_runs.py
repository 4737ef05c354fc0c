"""List the spaces of the study with their hyperparameters."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.tsv import write_rows

    write_rows(snakemake.params.rows, snakemake.output.runs)
