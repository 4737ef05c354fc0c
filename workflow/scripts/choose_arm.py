"""Choose an arm on the validation sessions."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.comparisons import choose_arm

    choose_arm(
        snakemake.params.runs,
        snakemake.input.confusions,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.choice,
    )
