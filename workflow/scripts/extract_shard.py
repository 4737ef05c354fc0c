"""Compute the log-mel frames of one share of the clips."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads):
    from lambdascape.features.extraction import extract_shard

    extract_shard(
        snakemake.input.clips,
        snakemake.params.audio,
        snakemake.params.settings,
        int(snakemake.wildcards.shard),
        snakemake.params.n_shards,
        snakemake.output.shard,
    )
