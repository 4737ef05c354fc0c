"""Write the spaces for TensorBoard's projector."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.exports.projector import export_projector

    export_projector(
        snakemake.params.spaces,
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.output.config,
    )
