"""Join the shards into one store."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, [snakemake.input.clips], snakemake.params):
    from lambdascape.features import consolidate
    from lambdascape.files import write_digest

    consolidate(snakemake.input.clips, snakemake.input.shards, snakemake.output.features)
    write_digest(snakemake.output.features, snakemake.output.digest)
