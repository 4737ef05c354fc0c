"""Judge the claims of the published study by the numbers of this one."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.claims import judge_claims

    judge_claims(
        snakemake.input.runs,
        snakemake.input.training,
        snakemake.input.probe_epochs,
        snakemake.input.scores,
        snakemake.output.claims,
    )
