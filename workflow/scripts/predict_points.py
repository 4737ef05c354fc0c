"""Ask the converged probe of each space for the held-out points."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.viewer.predictions import predict_points

    predict_points(
        snakemake.input.runs,
        snakemake.input.points,
        *(snakemake.input.embeddings, snakemake.params.spaces),
        snakemake.input.probes,
        snakemake.params.test_fold,
        snakemake.output.predictions,
    )
