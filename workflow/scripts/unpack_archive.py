"""Unpack one archive of a data set into the folder that all of them share."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.datasets.unpacking import unpack_archive

    unpack_archive(snakemake.input.checked, snakemake.params.audio, snakemake.output.listed)
