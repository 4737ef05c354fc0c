"""Draw the figure `spectra`."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.figures.spectra import draw_spectra

    draw_spectra(
        snakemake.input.runs,
        snakemake.input.table,
        *(snakemake.output.svg, snakemake.output.png),
        snakemake.params.synthetic,
    )
