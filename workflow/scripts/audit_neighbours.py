"""List the clips that most of the spaces find in an odd place."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.geometry.label_audit import audit_neighbours

    audit_neighbours(
        snakemake.input.runs,
        snakemake.input.embeddings,
        snakemake.params.spaces,
        snakemake.params.neighbours,
        snakemake.params.seed,
        snakemake.output.audit,
    )
