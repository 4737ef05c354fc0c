"""Draw the tiles that the viewer shows."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.viewer.points import draw_points

    draw_points(
        *(snakemake.input.runs, snakemake.input.embeddings, snakemake.params.spaces),
        snakemake.input.clips,
        snakemake.input.audit,
        snakemake.params.test_fold,
        snakemake.params.most,
        snakemake.params.seed,
        snakemake.output.points,
    )
