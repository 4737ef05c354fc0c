"""Compare every pair of arms on the test sessions."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.comparisons import compare_arms

    compare_arms(
        snakemake.params.runs,
        snakemake.input.confusions,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.comparisons,
    )
