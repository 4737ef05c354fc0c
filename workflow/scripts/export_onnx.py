"""Write an exported network as ONNX, compared with the original."""

from lambdascape.jobs.devices import network_job

with network_job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.core.files import write_digest
    from lambdascape.exports.saved_model import export_onnx

    export_onnx(snakemake.input.model, snakemake.input.features, snakemake.output.onnx)
    write_digest(snakemake.output.onnx, snakemake.output.digest)
