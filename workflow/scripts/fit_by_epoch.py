"""Fit the published probe to one space and watch it epoch by epoch."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.probes.by_epoch import fit_by_epoch

    fit_by_epoch(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.epochs,
    )
