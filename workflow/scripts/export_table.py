"""Write the embeddings of all spaces as one table."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.exports.embedding_table import export_table

    export_table(
        snakemake.params.spaces,
        snakemake.input.embeddings,
        snakemake.input.runs,
        snakemake.params.test_fold,
        snakemake.output.table,
    )
