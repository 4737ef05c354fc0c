"""Measure the shape of one space."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.geometry.shape import measure_geometry

    measure_geometry(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.output.geometry,
        snakemake.output.spectrum,
        snakemake.output.centroids,
    )
