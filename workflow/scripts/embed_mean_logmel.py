"""Take the mean log-mel frame of every tile as its embedding."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.embeddings.trained import embed_mean_logmel

    embed_mean_logmel(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.settings,
        snakemake.output.embeddings,
    )
    write_digest(snakemake.output.embeddings, snakemake.output.digest)
