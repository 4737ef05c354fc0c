"""Judge the claims of the study by its numbers."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.claims.ledger import judge_claims

    judge_claims(
        snakemake.input.claims,
        snakemake.input.runs,
        tables=dict(snakemake.input.items()),
        confusions=dict(zip(snakemake.params.runs, snakemake.input.confusions, strict=True)),
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        output=snakemake.output.claims,
        published=snakemake.input.published,
    )
