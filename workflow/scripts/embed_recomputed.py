"""Embed every tile by the network of one run, with the statistics of its weights in batch normalisation."""

from lambdascape.devices import network_job

with network_job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.embeddings import embed_recomputed
    from lambdascape.files import write_digest

    embed_recomputed(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.test_fold,
        snakemake.input.weights,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.embeddings,
    )
    write_digest(snakemake.output.embeddings, snakemake.output.digest)
