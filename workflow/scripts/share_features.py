"""Put the features into the store that users share."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.features.sharing import share

    share(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.settings,
        snakemake.params.shared,
        snakemake.output.shared,
    )
