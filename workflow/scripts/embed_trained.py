"""Embed every tile by the network of one run."""

from lambdascape.jobs.devices import network_job

with network_job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.embeddings.trained import embed_trained

    embed_trained(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.input.weights,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.embeddings,
    )
    write_digest(snakemake.output.embeddings, snakemake.output.digest)
