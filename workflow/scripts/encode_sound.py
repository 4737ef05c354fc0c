"""Encode the sound of the points where the data set may be passed on."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.viewer.sound import encode_sound

    encode_sound(
        snakemake.input.points,
        snakemake.input.audit,
        snakemake.params.audio,
        snakemake.params.tile_s,
        snakemake.output.sound,
        snakemake.output.attribution,
    )
