"""Compare every space with every other."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.similarity.pairs import compare_spaces

    compare_spaces(snakemake.params.spaces, snakemake.input.summaries, snakemake.output.pairs)
