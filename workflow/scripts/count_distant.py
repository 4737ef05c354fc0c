"""Count how often a distant tile shares its anchor's class, session, moment or node."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.distant_tiles import count_distant

    count_distant(
        snakemake.input.features,
        snakemake.input.clips,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.output.distant,
    )
