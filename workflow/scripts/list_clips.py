"""List the clips of a data set, its files that cannot be used, and what is odd about the others."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.datasets.manifest import list_clips

    list_clips(
        snakemake.params.audio,
        snakemake.params.settings,
        snakemake.output.clips,
        snakemake.output.rejected,
        snakemake.output.warnings,
        threads=snakemake.threads,
        looks=snakemake.input.looks,
    )
