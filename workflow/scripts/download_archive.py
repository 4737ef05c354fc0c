"""Download one archive of a data set, unless it is there already, and check it."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.datasets.downloads import download_archive

    download_archive(
        snakemake.params.archive,
        snakemake.params.set,
        snakemake.params.given,
        snakemake.output.checked,
    )
