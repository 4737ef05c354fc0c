"""Say which measure would have picked without labels what the labels pick."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.label_free import rank_criteria

    rank_criteria(
        snakemake.params.runs,
        *(snakemake.input.runs, snakemake.input.training, snakemake.input.geometry),
        *(snakemake.input.confusions, snakemake.input.choice),
        snakemake.params.settings,
        snakemake.params.seed,
        snakemake.output.selection,
    )
