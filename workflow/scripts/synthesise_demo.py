"""Make the demo data set."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.datasets.demo import synthesise

    synthesise(snakemake.output.audio, snakemake.params.settings)
    write_digest(snakemake.output.audio, snakemake.output.digest)
