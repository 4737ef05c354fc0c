"""Rank the values of two studies beside each other."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.rankings import compare_protocols

    compare_protocols(
        snakemake.params.names,
        dict(zip(snakemake.params.others, snakemake.input.others, strict=True)),
        dict(snakemake.input.items()),
        snakemake.params.confidence,
        snakemake.output.protocols,
    )
