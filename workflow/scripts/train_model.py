"""Train the embedder of one run."""

from lambdascape.jobs.devices import network_job

with network_job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.models.training import train

    train(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.weights,
        *(snakemake.output.history, snakemake.output.layers),
        snakemake.params.checkpoint,
        snakemake.params.code,
    )
    write_digest(snakemake.output.weights, snakemake.output.digest)
