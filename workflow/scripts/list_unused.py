"""List the clips that give no embedding or no triplet."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.collect import list_unused

    list_unused(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.tile_s,
        snakemake.output.unused,
    )
