"""Write the viewer, for the report and as a page of its own."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.viewer.viewer_page import write_viewer

    write_viewer(
        dict(snakemake.input),
        snakemake.params.about,
        snakemake.output.fragment,
        snakemake.output.page,
    )
