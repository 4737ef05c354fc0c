"""Write the report of the study."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.report.page import write_report

    write_report(
        snakemake.output.page,
        template=snakemake.input.template,
        tables=dict(snakemake.input.items()),
        figures=dict(zip(snakemake.params.figures, snakemake.input.figures, strict=True)),
        captions=dict(zip(snakemake.params.figures, snakemake.input.captions, strict=True)),
        viewer=snakemake.input.viewer,
        exported=snakemake.input.exported,
        sources=snakemake.input.sources,
        **snakemake.params.about,
    )
