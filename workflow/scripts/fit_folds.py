"""Fit the converged probe to one space, with every fold held out in turn."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.probes.folds import fit_folds

    fit_folds(
        snakemake.input.embeddings,
        snakemake.params.settings,
        snakemake.params.seeds,
        snakemake.output.scores,
        snakemake.output.confusion,
    )
