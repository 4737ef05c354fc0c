"""Fit a multilayer perceptron to one space."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.probes.mlp import fit_mlp

    fit_mlp(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.params.seeds,
        snakemake.output.scores,
        snakemake.output.confusion,
    )
