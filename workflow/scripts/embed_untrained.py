"""Embed every tile by the network with its initial weights."""

from lambdascape.jobs.devices import network_job

with network_job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.embeddings.recomputed import embed_untrained

    embed_untrained(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.test_fold,
        snakemake.params.settings,
        int(snakemake.wildcards.seed),
        snakemake.output.embeddings,
    )
    write_digest(snakemake.output.embeddings, snakemake.output.digest)
