"""Say for each run how λ acted in it."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.mechanism.verdicts import judge_mechanisms

    judge_mechanisms(
        snakemake.input.runs,
        snakemake.input.training,
        snakemake.input.layers,
        snakemake.output.mechanism,
    )
