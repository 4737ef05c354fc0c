"""Fit a logistic regression to one space, to convergence."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.probes.converged import fit_converged

    fit_converged(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.params.seeds,
        snakemake.output.scores,
        snakemake.output.confusion,
    )
