"""Lay embeddings that the user brings on the tiles of the study."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.embeddings.brought import embed_own

    embed_own(
        snakemake.input.source,
        snakemake.input.tiles,
        snakemake.params.tile_s,
        snakemake.output.embeddings,
    )
    write_digest(snakemake.output.embeddings, snakemake.output.digest)
