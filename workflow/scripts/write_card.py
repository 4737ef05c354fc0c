"""Write the card of one exported network."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.exports.model_card import write_card

    write_card(
        snakemake.output.card,
        template=snakemake.input.template,
        model=snakemake.input.model,
        onnx=snakemake.input.onnx,
        tables=dict(snakemake.input.items()),
        synthetic=snakemake.params.synthetic,
        confidence=snakemake.params.confidence,
        checkout=snakemake.params.checkout,
    )
