"""Link to the features in the store that users share."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.features.sharing import fetch

    fetch(
        snakemake.params.shared,
        snakemake.input.clips,
        snakemake.params.settings,
        snakemake.output.features,
        snakemake.output.digest,
    )
