"""Compare every pair of arms, and each with every reference, on the test sessions."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.comparisons import compare_arms

    compare_arms(
        snakemake.params.runs,
        snakemake.params.references,
        snakemake.input.confusions,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.comparisons,
    )
