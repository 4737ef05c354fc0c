"""Collect the probes of all spaces, with intervals over sessions."""

from lambdascape.jobs import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables import collect_probes

    collect_probes(
        snakemake.params.spaces,
        *(snakemake.input.by_epoch, snakemake.input.converged, snakemake.input.confusion),
        snakemake.params.settings,
        snakemake.params.seed,
        *(snakemake.output.scores, snakemake.output.probe_epochs, snakemake.output.confusion),
    )
