"""Make the demo data set."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.datasets.demo import synthesise
    from lambdascape.files import write_digest

    synthesise(snakemake.output.audio, snakemake.params.settings)
    write_digest(snakemake.output.audio, snakemake.output.digest)
