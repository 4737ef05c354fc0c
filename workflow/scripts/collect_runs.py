"""Gather what there is to know of each run in one row."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.every_run import collect_runs

    collect_runs(
        snakemake.input.runs,
        snakemake.input.training,
        snakemake.input.scores,
        snakemake.input.geometry,
        snakemake.input.mechanism,
        dict(zip(snakemake.params.runs, snakemake.input.histories, strict=True)),
        snakemake.params.receipts,
        snakemake.output.runs,
    )
