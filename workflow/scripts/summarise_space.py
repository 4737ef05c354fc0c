"""Keep of one space what comparing it with others needs."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.similarity.space_summary import summarise_space

    summarise_space(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.output.summary,
    )
    write_digest(snakemake.output.summary, snakemake.output.digest)
