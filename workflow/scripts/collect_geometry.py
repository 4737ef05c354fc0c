"""Collect the geometry of all spaces."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.collect import collect_geometry

    collect_geometry(
        snakemake.params.spaces,
        snakemake.input.geometry,
        snakemake.input.spectra,
        snakemake.input.centroids,
        snakemake.output.geometry,
        snakemake.output.spectra,
        snakemake.output.centroids,
    )
