"""Turn one archive of a data set into features and delete it."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.datasets.streaming import drain_archive

    drain_archive(
        snakemake.wildcards.archive,
        snakemake.params.archive,
        snakemake.params.settings,
        snakemake.params.recipe,
        snakemake.params.audio,
        snakemake.output.shard,
        snakemake.output.looks,
        snakemake.threads,
    )
