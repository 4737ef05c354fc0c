"""Make the demo data set."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from lambdascape.datasets.demo import synthesise

    synthesise(snakemake.output.audio, snakemake.params.settings)
