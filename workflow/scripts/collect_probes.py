"""Collect the probes of all spaces, with intervals over sessions."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.tables.collect import collect_probes

    collect_probes(
        *(snakemake.params.spaces, snakemake.params.probes),
        *(snakemake.input.by_epoch, snakemake.input.scores, snakemake.input.confusions),
        *(snakemake.params.settings, snakemake.params.seed),
        scores_path=snakemake.output.scores,
        probe_epochs_path=snakemake.output.probe_epochs,
        confusion_path=snakemake.output.confusion,
        few_shot_path=snakemake.output.few_shot,
    )
