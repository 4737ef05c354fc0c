"""Write the network of one run as a file that Keras alone can load."""

from lambdascape.jobs.devices import network_job

with network_job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.exports.saved_model import export_model

    export_model(
        snakemake.input.weights,
        snakemake.input.features,
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.params.facts,
        snakemake.output.model,
    )
    write_digest(snakemake.output.model, snakemake.output.digest)
