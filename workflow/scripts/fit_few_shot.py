"""Fit a probe to few sessions of each class in one space."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.probes.few_shot import fit_few_shot

    fit_few_shot(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.output.scores,
        snakemake.output.confusion,
    )
