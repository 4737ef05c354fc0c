"""Join the shards into one store."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, [snakemake.input.clips], snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.features.extraction import consolidate

    consolidate(snakemake.input.clips, snakemake.input.shards, snakemake.output.features)
    write_digest(snakemake.output.features, snakemake.output.digest)
