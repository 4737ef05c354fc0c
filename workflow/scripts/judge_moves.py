"""Ask what moves a space: the swept value, or the seed."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.similarity.seed_test import judge_moves

    judge_moves(snakemake.input.runs, snakemake.input.pairs, snakemake.output.moves)
